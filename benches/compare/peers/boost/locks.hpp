// Fibers that share.
#pragma once

#include "common.hpp"

#include <mutex>

// The time that so many fibers take together.
inline Clock::duration all(uint64_t tasks, const std::function<void()> &body) {
    auto begin = Clock::now();
    std::vector<Fiber> spawned;
    for (uint64_t task = 0; task < tasks; task++)
        spawned.push_back(start([&] { body(); }));
    for (auto &task : spawned)
        task.join();
    return Clock::now() - begin;
}

inline std::string mutex(const Params &params) {
    uint64_t tasks = params.at("tasks"), yields = params.at("yields"), rounds = params.at("rounds");
    auto play = [=](uint64_t rounds) {
        fibers::mutex lock;
        uint64_t total = 0;
        auto time = all(tasks, [&] {
            for (uint64_t round = 0; round < rounds; round++) {
                std::lock_guard<fibers::mutex> guard(lock);
                total += 1;
                for (uint64_t turn = 0; turn < yields; turn++)
                    boost::this_fiber::yield();
            }
        });
        check(total == tasks * rounds);
        return time;
    };
    return run(params, [=] {
        play(rounds / 10);
        return ns_each(play(rounds), tasks * rounds);
    });
}

// A condition stands for a semaphore.
inline std::string semaphore(const Params &params) {
    uint64_t tasks = params.at("tasks"), rounds = params.at("rounds");
    uint64_t permits = params.at("permits");
    auto play = [=](uint64_t rounds) {
        fibers::mutex lock;
        fibers::condition_variable freed;
        uint64_t left = permits;
        auto time = all(tasks, [&] {
            for (uint64_t round = 0; round < rounds; round++) {
                {
                    std::unique_lock<fibers::mutex> guard(lock);
                    freed.wait(guard, [&] { return left > 0; });
                    left -= 1;
                }
                boost::this_fiber::yield();
                {
                    std::unique_lock<fibers::mutex> guard(lock);
                    left += 1;
                }
                freed.notify_one();
            }
        });
        check(left == permits);
        return time;
    };
    return run(params, [=] {
        play(rounds / 10);
        return ns_each(play(rounds), tasks * rounds);
    });
}
