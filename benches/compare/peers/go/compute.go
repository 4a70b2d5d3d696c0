package main

import (
	"fmt"
	"time"
)

// Steps of xorshift64, each of which needs the one before.
//
//go:noinline
func work(seed, steps int) uint64 {
	x := uint64(seed) + 1
	for step := 0; step < steps; step++ {
		x ^= x << 13
		x ^= x >> 7
		x ^= x << 17
	}
	return x
}

// The steps of a task of `imbalance`.
func uneven(task, steps int) int { return steps << (task % 7) }

func alone(parts int, part func(int) uint64) (uint64, time.Duration) {
	start := time.Now()
	sum := uint64(0)
	for n := 0; n < parts; n++ {
		sum += part(n)
	}
	return sum, time.Since(start)
}

func spread(total, alone time.Duration) string {
	speedup := float64(alone) / float64(total)
	return fmt.Sprintf("ms %.3f speedup %.3f", float64(total.Nanoseconds())/1e6, speedup)
}

func forkjoin(p params) string {
	leaves, steps := p["leaves"], p["steps"]
	expected, alone := alone(leaves, func(leaf int) uint64 { return work(leaf, steps) })
	start := time.Now()
	sum := fork(0, leaves, steps)
	elapsed := time.Since(start)
	check(sum == expected)
	return spread(elapsed, alone)
}

// The left half in a goroutine of its own, the right half in this one.
func fork(first, leaves, steps int) uint64 {
	if leaves == 1 {
		return work(first, steps)
	}
	half := leaves / 2
	left := make(chan uint64, 1)
	go func() { left <- fork(first, half, steps) }()
	right := fork(first+half, leaves-half, steps)
	return <-left + right
}

func imbalance(p params) string {
	tasks, steps := p["tasks"], p["steps"]
	part := func(task int) uint64 { return work(task, uneven(task, steps)) }
	expected, alone := alone(tasks, part)
	start := time.Now()
	results := make(chan uint64, tasks)
	for task := 0; task < tasks; task++ {
		go func(task int) { results <- part(task) }(task)
	}
	sum := uint64(0)
	for task := 0; task < tasks; task++ {
		sum += <-results
	}
	elapsed := time.Since(start)
	check(sum == expected)
	return spread(elapsed, alone)
}
