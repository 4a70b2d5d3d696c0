// Parameters, results, and the threads that run fibers.
#pragma once

#include <boost/fiber/all.hpp>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <functional>
#include <map>
#include <string>
#include <thread>
#include <vector>

namespace fibers = boost::fibers;
using Fiber = fibers::fiber;
using Clock = std::chrono::steady_clock;
using Params = std::map<std::string, uint64_t>;

inline void check(bool condition) {
    if (!condition) {
        std::fputs("the result is wrong\n", stderr);
        std::exit(1);
    }
}

inline std::function<std::string(const Params &)> no_equal(const char *reason) {
    return [reason](const Params &) { return std::string("none ") + reason; };
}

inline double ns(Clock::duration time) {
    return std::chrono::duration<double, std::nano>(time).count();
}

inline std::string figure(const char *unit, double value) {
    char line[64];
    std::snprintf(line, sizeof line, "%s %.3f", unit, value);
    return line;
}

inline std::string ns_each(Clock::duration time, uint64_t count) {
    return figure("ns", ns(time) / double(count));
}

inline std::string ms(Clock::duration time) { return figure("ms", ns(time) / 1e6); }

inline uint64_t sum_below(uint64_t n) { return n * (n - 1) / 2; }

// Where stacks come from. Boost's pools are the fastest way, but belong to one thread, and touch a
// page more of each stack. They are used where fibers stay on one thread and come and go.
enum class Stacks { Pooled, Allocated };
inline Stacks stacks = Stacks::Pooled;

constexpr std::size_t stack_size = 64 * 1024;

// The new fiber goes to the end of the queue.
template <typename Body> Fiber start(Body body) {
    // It grows by at most 1,024 stacks at a time.
    static fibers::pooled_fixedsize_stack pool(stack_size, 32, 1024);
    if (stacks == Stacks::Pooled)
        return Fiber(fibers::launch::post, std::allocator_arg, pool, std::move(body));
    fibers::fixedsize_stack allocator(stack_size);
    return Fiber(fibers::launch::post, std::allocator_arg, allocator, std::move(body));
}

// Runs `main` as this thread's first fiber, with as many threads as there are workers. They are
// never joined: the process ends when it has printed its line.
inline std::string run(const Params &params, std::function<std::string()> main) {
    uint32_t workers = uint32_t(params.at("workers"));
    if (workers == 1)
        return main();
    stacks = Stacks::Allocated;
    for (uint32_t n = 1; n < workers; n++)
        std::thread([=] {
            fibers::use_scheduling_algorithm<fibers::algo::shared_work>();
            static fibers::mutex lock;
            static fibers::condition_variable never;
            std::unique_lock<fibers::mutex> guard(lock);
            never.wait(guard, [] { return false; });
        }).detach();
    fibers::use_scheduling_algorithm<fibers::algo::shared_work>();
    return main();
}
