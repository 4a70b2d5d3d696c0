// Switching, yielding, spawning, waiting, computing.
#pragma once

#include "common.hpp"

#include <boost/context/fiber.hpp>
#include <boost/context/pooled_fixedsize_stack.hpp>

#include <atomic>
#include <fstream>
#include <memory>
#include <sys/resource.h>

// Into a coroutine and out again are two switches.
inline std::string switches(const Params &params) {
    uint64_t rounds = params.at("rounds"), ball = 0;
    boost::context::fiber coroutine([&](boost::context::fiber &&caller) {
        for (;;) {
            ball += 1;
            caller = std::move(caller).resume();
        }
        return std::move(caller);
    });
    auto play = [&](uint64_t rounds) {
        ball = 0;
        auto start = Clock::now();
        for (uint64_t round = 0; round < rounds; round++)
            coroutine = std::move(coroutine).resume();
        auto time = Clock::now() - start;
        check(ball == rounds);
        return time;
    };
    play(rounds / 10);
    return ns_each(play(rounds), 2 * rounds);
}

// Many fibers that start together: the time from the first that starts to the last that arrives.
struct Race {
    explicit Race(uint64_t tasks) : tasks(tasks) {}

    void wait_at_gate() {
        std::unique_lock<fibers::mutex> guard(lock);
        at_gate += 1;
        opened.wait(guard, [this] { return is_open; });
    }

    bool is_ready() const { return at_gate == tasks; }

    void open() {
        {
            std::unique_lock<fibers::mutex> guard(lock);
            is_open = true;
        }
        opened.notify_all();
    }

    void started() {
        if (!has_started.exchange(true))
            start = Clock::now();
    }

    void goal() {
        if (at_goal.fetch_add(1) + 1 == tasks)
            end = Clock::now();
    }

    uint64_t tasks;
    std::atomic<uint64_t> at_gate{0}, at_goal{0};
    std::atomic<bool> has_started{false};
    Clock::time_point start, end;
    fibers::mutex lock;
    fibers::condition_variable opened;
    bool is_open = false;
};

inline void wait_until(std::function<bool()> condition) {
    while (!condition())
        boost::this_fiber::sleep_for(std::chrono::milliseconds(1));
}

inline void yield_often(uint64_t rounds) {
    for (uint64_t round = 0; round < rounds; round++)
        boost::this_fiber::yield();
}

inline std::string yields(const Params &params) {
    uint64_t tasks = params.at("tasks"), rounds = params.at("rounds");
    return run(params, [=] {
        Race race(tasks);
        std::vector<Fiber> runners;
        for (uint64_t task = 0; task < tasks; task++)
            runners.push_back(start([&] {
                race.wait_at_gate();
                yield_often(rounds / 10);
                race.started();
                yield_often(rounds);
                race.goal();
            }));
        wait_until([&] { return race.is_ready(); });
        race.open();
        for (auto &runner : runners)
            runner.join();
        check(race.at_goal == tasks);
        return ns_each(race.end - race.start, tasks * rounds);
    });
}

inline std::string spawn(const Params &params) {
    uint64_t batch = params.at("batch"), batches = params.at("batches");
    auto play = [=](uint64_t batches) {
        std::vector<uint64_t> results(batch);
        std::vector<Fiber> spawned;
        uint64_t sum = 0;
        auto begin = Clock::now();
        for (uint64_t b = 0; b < batches; b++) {
            for (uint64_t n = 0; n < batch; n++)
                spawned.push_back(start([&results, n] { results[n] = n + 1; }));
            for (uint64_t n = 0; n < batch; n++) {
                spawned[n].join();
                sum += results[n];
            }
            spawned.clear();
        }
        auto time = Clock::now() - begin;
        check(sum == batches * batch * (batch + 1) / 2);
        return time;
    };
    return run(params, [=] {
        play(batches / 10);
        return ns_each(play(batches), batches * batch);
    });
}

// Resident pages and the page tables that map them, in bytes.
inline uint64_t memory() {
    std::ifstream status("/proc/self/status");
    uint64_t total = 0, kib;
    for (std::string word; status >> word;)
        if ((word == "VmRSS:" || word == "VmPTE:") && status >> kib)
            total += kib * 1024;
    return total;
}

inline double cpu_ms() {
    rusage usage;
    check(getrusage(RUSAGE_SELF, &usage) == 0);
    auto ms = [](timeval time) { return double(time.tv_sec) * 1e3 + double(time.tv_usec) / 1e3; };
    return ms(usage.ru_utime) + ms(usage.ru_stime);
}

inline std::string idle(const Params &params) {
    uint64_t tasks = params.at("tasks");
    stacks = Stacks::Allocated;
    return run(params, [=] {
        const uint64_t batch = 1000;
        Race race(tasks);
        uint64_t before = memory();
        auto begin = Clock::now();
        for (uint64_t task = 1; task <= tasks; task++) {
            start([&] {
                race.wait_at_gate();
                race.goal();
            }).detach();
            if (task % batch == 0)
                boost::this_fiber::yield();
        }
        while (!race.is_ready())
            boost::this_fiber::yield();
        auto time = Clock::now() - begin;
        uint64_t bytes = memory() - before;
        race.open();
        wait_until([&] { return race.at_goal == tasks; });
        return figure("bytes", double(bytes) / double(tasks)) + " " + ns_each(time, tasks);
    });
}

// The deadlines of the programs in Rust: within a second, in an order that looks random.
inline std::string timers(const Params &params) {
    uint64_t tasks = params.at("tasks");
    return run(params, [=] {
        Race race(tasks);
        Clock::time_point base;
        std::atomic<int64_t> late{0};
        std::vector<Fiber> sleepers;
        for (uint64_t task = 0; task < tasks; task++)
            sleepers.push_back(start([&, task] {
                race.wait_at_gate();
                auto due = base + std::chrono::microseconds(task * 618'033 % 1'000'000);
                boost::this_fiber::sleep_until(due);
                auto after = std::chrono::nanoseconds(Clock::now() - due).count();
                check(after >= 0);
                late += after;
                race.goal();
            }));
        wait_until([&] { return race.is_ready(); });
        double before = cpu_ms();
        base = Clock::now() + std::chrono::seconds(1);
        race.open();
        for (auto &sleeper : sleepers)
            sleeper.join();
        check(race.at_goal == tasks);
        double used = cpu_ms() - before;
        double mean = double(late) / double(tasks) / 1e3;
        return figure("late_us", mean) + " " + figure("cpu_ms", used);
    });
}

// Steps of xorshift64, each of which needs the one before.
__attribute__((noinline)) inline uint64_t work(uint64_t seed, uint64_t steps) {
    uint64_t x = seed + 1;
    for (uint64_t step = 0; step < steps; step++) {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
    }
    return x;
}

// `parallel` finds the same sum as all parts alone.
template <typename Part, typename Parallel>
std::string spread(const Params &params, uint64_t parts, Part part, Parallel parallel) {
    auto start = Clock::now();
    uint64_t expected = 0;
    for (uint64_t n = 0; n < parts; n++)
        expected += part(n);
    auto alone = Clock::now() - start;
    return run(params, [=] {
        auto start = Clock::now();
        check(parallel() == expected);
        auto time = Clock::now() - start;
        return ms(time) + " " + figure("speedup", ns(alone) / ns(time));
    });
}

// The left half in a fiber of its own, the right half in this one.
inline uint64_t fork(uint64_t first, uint64_t leaves, uint64_t steps) {
    if (leaves == 1)
        return work(first, steps);
    uint64_t half = leaves / 2, left_sum = 0;
    auto left = start([=, &left_sum] { left_sum = fork(first, half, steps); });
    uint64_t right = fork(first + half, leaves - half, steps);
    left.join();
    return left_sum + right;
}

inline std::string forkjoin(const Params &params) {
    uint64_t leaves = params.at("leaves"), steps = params.at("steps");
    auto part = [=](uint64_t leaf) { return work(leaf, steps); };
    return spread(params, leaves, part, [=] { return fork(0, leaves, steps); });
}

inline std::string imbalance(const Params &params) {
    uint64_t tasks = params.at("tasks"), steps = params.at("steps");
    auto part = [=](uint64_t task) { return work(task, steps << (task % 7)); };
    return spread(params, tasks, part, [=] {
        std::vector<uint64_t> results(tasks);
        std::vector<Fiber> spawned;
        for (uint64_t task = 0; task < tasks; task++)
            spawned.push_back(start([&results, part, task] { results[task] = part(task); }));
        uint64_t sum = 0;
        for (uint64_t task = 0; task < tasks; task++) {
            spawned[task].join();
            sum += results[task];
        }
        return sum;
    });
}
