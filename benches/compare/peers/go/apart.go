package main

import (
	"sync/atomic"
	"time"
)

const (
	// How long the spawner of `torn` computes between its two spawns.
	gap = 3 * time.Millisecond
	// Until then the goroutines of `actors` and `jobs` have started, and wait.
	startTime = 20 * time.Millisecond
)

func torn(p params) string {
	rounds := p["rounds"]
	toPong, toPing := make(chan int), make(chan int)
	elapsed := make(chan time.Duration)
	go func() { elapsed <- playPing(toPong, toPing, rounds); close(toPong) }()
	for start := time.Now(); time.Since(start) < gap; {
	}
	go playPong(toPong, toPing)
	return nsEach(<-elapsed, rounds)
}

func playPing(toPong, toPing chan int, rounds int) time.Duration {
	start := time.Now()
	ball := 0
	for round := 0; round < rounds; round++ {
		toPong <- ball
		ball = <-toPing
	}
	check(ball == rounds)
	return time.Since(start)
}

func playPong(toPong, toPing chan int) {
	for ball := range toPong {
		toPing <- ball + 1
	}
}

// Two goroutines on two threads, from where they may move.
func apart(one, other func()) {
	var arrived atomic.Int32
	attend := func() {
		for arrived.Add(1); arrived.Load() < 2; {
		}
	}
	go func() { attend(); one() }()
	go func() { attend(); other() }()
}

func across(p params) string {
	rounds := p["rounds"]
	toPong, toPing := make(chan int), make(chan int)
	elapsed := make(chan time.Duration)
	apart(func() {
		playPing(toPong, toPing, rounds/10)
		elapsed <- playPing(toPong, toPing, rounds)
		close(toPong)
	}, func() { playPong(toPong, toPing) })
	return nsEach(<-elapsed, rounds)
}

func streamAcross(p params) string {
	capacity, messages := p["capacity"], p["messages"]
	channel, result := make(chan int, capacity), make(chan int)
	start := time.Now()
	apart(func() {
		for message := 0; message < messages; message++ {
			channel <- message
		}
		close(channel)
	}, func() {
		sum := 0
		for message := range channel {
			sum += message
		}
		result <- sum
	})
	sum := <-result
	elapsed := time.Since(start)
	check(sum == sumBelow(messages))
	return nsEach(elapsed, messages)
}

type question struct {
	number int
	answer chan int
}

func askAcross(p params) string {
	clients, requests := p["clients"], p["requests"]
	questions, done := make(chan question, 64), make(chan struct{})
	start := time.Now()
	apart(func() {
		for question := range questions {
			question.answer <- question.number + 1
		}
	}, func() {
		for client := 0; client < clients; client++ {
			go func() {
				answers := make(chan int, 1)
				for number := 0; number < requests; number++ {
					questions <- question{number, answers}
					check(<-answers == number+1)
				}
				done <- struct{}{}
			}()
		}
	})
	for client := 0; client < clients; client++ {
		<-done
	}
	elapsed := time.Since(start)
	close(questions)
	return nsEach(elapsed, clients*requests)
}

func actors(p params) string {
	count, steps := p["actors"], p["steps"]
	expected, alone := alone(count, func(job int) uint64 { return work(job, steps) })
	results := make(chan uint64, count)
	inboxes := make([]chan int, count)
	for actor := range inboxes {
		inbox := make(chan int, 1)
		inboxes[actor] = inbox
		go serveJobs(inbox, results, steps)
	}
	time.Sleep(startTime)
	start := time.Now()
	for job, inbox := range inboxes {
		inbox <- job
	}
	sum := uint64(0)
	for job := 0; job < count; job++ {
		sum += <-results
	}
	elapsed := time.Since(start)
	check(sum == expected)
	return spread(elapsed, alone)
}

func jobs(p params) string {
	pool, count, steps := p["pool"], p["jobs"], p["steps"]
	expected, alone := alone(count, func(job int) uint64 { return work(job, steps) })
	queue, results := make(chan int, count), make(chan uint64)
	for member := 0; member < pool; member++ {
		go serveJobs(queue, results, steps)
	}
	time.Sleep(startTime)
	start := time.Now()
	for job := 0; job < count; job++ {
		queue <- job
	}
	sum := uint64(0)
	for job := 0; job < count; job++ {
		sum += <-results
	}
	elapsed := time.Since(start)
	check(sum == expected)
	return spread(elapsed, alone)
}

func serveJobs(inbox chan int, results chan uint64, steps int) {
	for job := range inbox {
		results <- work(job, steps)
	}
}
