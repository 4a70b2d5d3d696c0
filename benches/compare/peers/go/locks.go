package main

import (
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// The time that so many goroutines take together.
func all(tasks int, body func()) time.Duration {
	var over sync.WaitGroup
	start := time.Now()
	over.Add(tasks)
	for task := 0; task < tasks; task++ {
		go func() {
			body()
			over.Done()
		}()
	}
	over.Wait()
	return time.Since(start)
}

func mutex(p params) string {
	tasks, holds, rounds := p["tasks"], p["yields"], p["rounds"]
	play := func(rounds int) time.Duration {
		var lock sync.Mutex
		total := 0
		time := all(tasks, func() {
			for round := 0; round < rounds; round++ {
				lock.Lock()
				total++
				for hold := 0; hold < holds; hold++ {
					runtime.Gosched()
				}
				lock.Unlock()
			}
		})
		check(total == tasks*rounds)
		return time
	}
	play(rounds / 10)
	return nsEach(play(rounds), tasks*rounds)
}

func rwlock(p params) string {
	tasks, rounds := p["tasks"], p["rounds"]
	play := func(rounds int) time.Duration {
		var lock sync.RWMutex
		value := 0
		time := all(tasks, func() {
			last := 0
			for round := 0; round < rounds; round++ {
				if round%100 == 0 {
					lock.Lock()
					value++
					lock.Unlock()
				} else {
					lock.RLock()
					now := value
					lock.RUnlock()
					check(now >= last)
					last = now
				}
			}
		})
		check(value == tasks*((rounds+99)/100))
		return time
	}
	play(rounds / 10)
	return nsEach(play(rounds), tasks*rounds)
}

// A channel with room for the permits stands for a semaphore.
func semaphore(p params) string {
	tasks, rounds := p["tasks"], p["rounds"]
	play := func(rounds int) time.Duration {
		permits := make(chan struct{}, p["permits"])
		time := all(tasks, func() {
			for round := 0; round < rounds; round++ {
				permits <- struct{}{}
				runtime.Gosched()
				<-permits
			}
		})
		check(len(permits) == 0)
		return time
	}
	play(rounds / 10)
	return nsEach(play(rounds), tasks*rounds)
}

func waitGroup(p params) string {
	batch, batches := p["batch"], p["batches"]
	play := func(batches int) time.Duration {
		var done atomic.Int64
		start := time.Now()
		for round := 0; round < batches; round++ {
			var group sync.WaitGroup
			group.Add(batch)
			for task := 0; task < batch; task++ {
				go func() {
					done.Add(1)
					group.Done()
				}()
			}
			group.Wait()
		}
		time := time.Since(start)
		check(done.Load() == int64(batch*batches))
		return time
	}
	play(batches / 10)
	return nsEach(play(batches), batch*batches)
}
