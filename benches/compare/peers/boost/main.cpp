// The benchmarks on Boost.Fiber; `switch` on Boost.Context, which is below it.
//
// Called as the programs in Rust are: SYSTEM BENCHMARK NAME=NUMBER..., and prints their line.
//
// One worker has Boost's default scheduler, several share their fibers (`shared_work`).
// Their stacks have no guard page.

#include "locks.hpp"
#include "messages.hpp"
#include "tasks.hpp"

#include <iostream>

static const std::map<std::string, std::function<std::string(const Params &)>> table = {
    {"switch", switches},
    {"yield", yields},
    {"spawn", spawn},
    {"idle", idle},
    {"timers", timers},
    {"pingpong", pingpong},
    {"buffered", buffered},
    {"unbounded", no_equal("a channel has a fixed capacity")},
    {"select", no_equal("its channels have no select")},
    {"skynet", skynet},
    {"sieve",
     [](const Params &params) {
         if (params.at("workers") > 1)
             return no_equal("a rendezvous of two threads takes microseconds: minutes")(params);
         return sieve(params);
     }},
    {"forkjoin", forkjoin},
    {"imbalance", imbalance},
    {"mutex", mutex},
    {"rwlock", no_equal("it has no lock for readers")},
    {"semaphore", semaphore},
    {"waitgroup", no_equal("fibers are joined one by one")},
    {"broadcast", no_equal("a message goes to one receiver")},
};

int main(int argc, char **argv) {
    Params params;
    for (int n = 3; n < argc; n++) {
        std::string arg = argv[n];
        auto equals = arg.find('=');
        params[arg.substr(0, equals)] = std::stoull(arg.substr(equals + 1));
    }
    auto play = table.find(argc > 2 ? argv[2] : "");
    std::cout << (play == table.end() ? "none" : play->second(params)) << std::endl;
    std::_Exit(0); // without waiting for fibers that are left
}
