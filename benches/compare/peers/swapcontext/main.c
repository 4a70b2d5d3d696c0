/* `switch` on the C library's ucontext. Called as the programs in Rust are, and prints their line. */

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>

static ucontext_t caller, coroutine;
static uint64_t ball;

static void count_up(void) {
    for (;;) {
        ball += 1;
        swapcontext(&coroutine, &caller);
    }
}

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Into the coroutine and out again are two switches. */
static double play(uint64_t rounds) {
    ball = 0;
    double start = seconds();
    for (uint64_t round = 0; round < rounds; round++)
        swapcontext(&caller, &coroutine);
    double time = seconds() - start;
    if (ball != rounds)
        abort();
    return time;
}

int main(int argc, char **argv) {
    if (argc != 4 || strcmp(argv[2], "switch") != 0 || strncmp(argv[3], "rounds=", 7) != 0) {
        puts("none");
        return 0;
    }
    static char stack[64 * 1024];
    getcontext(&coroutine);
    coroutine.uc_stack.ss_sp = stack;
    coroutine.uc_stack.ss_size = sizeof stack;
    makecontext(&coroutine, count_up, 0);
    uint64_t rounds = strtoull(argv[3] + 7, NULL, 10);
    play(rounds / 10);
    printf("ns %.3f\n", play(rounds) * 1e9 / (double)(2 * rounds));
    return 0;
}
