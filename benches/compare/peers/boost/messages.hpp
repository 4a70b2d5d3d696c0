// Fibers that talk.
#pragma once

#include "common.hpp"

#include <memory>

// A rendezvous: the sender waits until its message is taken.
using Meeting = fibers::unbuffered_channel<uint64_t>;
using Buffer = fibers::buffered_channel<uint64_t>;

inline Clock::duration round_trips(uint64_t rounds) {
    Meeting to_pong, to_ping;
    Clock::duration time;
    auto pong = start([&] {
        for (uint64_t ball : to_pong)
            to_ping.push(ball + 1);
    });
    auto ping = start([&] {
        auto begin = Clock::now();
        uint64_t ball = 0;
        for (uint64_t round = 0; round < rounds; round++) {
            to_pong.push(ball);
            ball = to_ping.value_pop();
        }
        time = Clock::now() - begin;
        check(ball == rounds);
        to_pong.close();
    });
    ping.join();
    pong.join();
    return time;
}

inline std::string pingpong(const Params &params) {
    uint64_t rounds = params.at("rounds");
    return run(params, [=] {
        round_trips(rounds / 10);
        return ns_each(round_trips(rounds), rounds);
    });
}

// Each of the senders sends `messages`, which the same number of receivers add up. A buffer of
// Boost's holds one message less than its capacity, a power of two.
inline Clock::duration stream(uint64_t capacity, uint64_t pairs, uint64_t messages) {
    auto begin = Clock::now();
    Buffer channel(capacity);
    std::vector<uint64_t> sums(pairs);
    std::vector<Fiber> senders, receivers;
    for (uint64_t pair = 0; pair < pairs; pair++) {
        senders.push_back(start([&] {
            for (uint64_t message = 0; message < messages; message++)
                channel.push(message);
        }));
        receivers.push_back(start([&, pair] {
            for (uint64_t message; channel.pop(message) == fibers::channel_op_status::success;)
                sums[pair] += message;
        }));
    }
    for (auto &sender : senders)
        sender.join();
    channel.close();
    uint64_t sum = 0;
    for (uint64_t pair = 0; pair < pairs; pair++) {
        receivers[pair].join();
        sum += sums[pair];
    }
    auto time = Clock::now() - begin;
    check(sum == pairs * sum_below(messages));
    return time;
}

inline std::string buffered(const Params &params) {
    uint64_t pairs = params.at("pairs"), messages = params.at("messages");
    uint64_t capacity = params.at("capacity");
    return run(params, [=] {
        stream(capacity, pairs, messages / 10);
        return ns_each(stream(capacity, pairs, messages), pairs * messages);
    });
}

// Sends the sum of the `leaves` numbers from `first` on, which ten children find.
template <typename Channel>
void node(Channel &parent, uint64_t first, uint64_t leaves, const std::function<Channel *()> &open) {
    if (leaves == 1) {
        parent.push(first);
        return;
    }
    std::unique_ptr<Channel> children(open());
    std::vector<Fiber> nodes;
    uint64_t each = leaves / 10, sum = 0;
    for (uint64_t child = 0; child < 10; child++)
        nodes.push_back(start([&, child] { node(*children, first + child * each, each, open); }));
    for (uint64_t child = 0; child < 10; child++)
        sum += children->value_pop();
    for (auto &child : nodes)
        child.join();
    parent.push(sum);
}

template <typename Channel>
std::string sum_of_leaves(uint64_t leaves, const std::function<Channel *()> &open) {
    auto play = [&](uint64_t leaves) {
        auto begin = Clock::now();
        std::unique_ptr<Channel> top(open());
        auto root = start([&] { node(*top, 0, leaves, open); });
        check(top->value_pop() == sum_below(leaves));
        root.join();
        return Clock::now() - begin;
    };
    play(leaves / 10);
    return ms(play(leaves));
}

inline std::string skynet(const Params &params) {
    uint64_t leaves = params.at("leaves"), room = params.at("room");
    return run(params, [=] {
        if (room == 0)
            return sum_of_leaves<Meeting>(leaves, [] { return new Meeting; });
        return sum_of_leaves<Buffer>(leaves, [] { return new Buffer(16); });
    });
}

inline uint64_t nth_prime(uint64_t nth) {
    for (uint64_t n = 2;; n++) {
        uint64_t divisor = 2;
        while (divisor * divisor <= n && n % divisor != 0)
            divisor++;
        if (divisor * divisor > n && --nth == 0)
            return n;
    }
}

// The chain gets longer by a fiber that filters for each prime that comes out of it. The fibers and
// their channels are left behind when it is long enough: the process is about to end.
inline uint64_t last_prime(uint64_t primes) {
    auto *end_of_chain = new Meeting;
    start([first = end_of_chain] {
        for (uint64_t n = 2;; n++)
            first->push(n);
    }).detach();
    for (uint64_t found = 1; found < primes; found++) {
        auto *from = end_of_chain, *to = new Meeting;
        uint64_t prime = from->value_pop();
        start([=] {
            for (;;) {
                uint64_t n = from->value_pop();
                if (n % prime != 0)
                    to->push(n);
            }
        }).detach();
        end_of_chain = to;
    }
    return end_of_chain->value_pop();
}

inline std::string sieve(const Params &params) {
    uint64_t primes = params.at("primes");
    return run(params, [=] {
        last_prime(primes / 10);
        auto begin = Clock::now();
        uint64_t last = last_prime(primes);
        auto time = Clock::now() - begin;
        check(last == nth_prime(primes));
        return ms(time);
    });
}
