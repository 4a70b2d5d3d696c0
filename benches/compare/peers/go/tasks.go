package main

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Many goroutines that start together: the time from the first that starts to the last that arrives.
type race struct {
	tasks          int64
	atGate, atGoal atomic.Int64
	first          sync.Once
	start, end     time.Time
	gate           chan struct{}
	over           sync.WaitGroup
}

func newRace(tasks int) *race {
	r := &race{tasks: int64(tasks), gate: make(chan struct{})}
	r.over.Add(tasks)
	return r
}

func (r *race) waitAtGate() {
	r.atGate.Add(1)
	<-r.gate
}

func (r *race) isReady() bool { return r.atGate.Load() == r.tasks }

func (r *race) started() { r.first.Do(func() { r.start = time.Now() }) }

func (r *race) goal() {
	if r.atGoal.Add(1) == r.tasks {
		r.end = time.Now()
	}
	r.over.Done()
}

func (r *race) open() {
	for !r.isReady() {
		time.Sleep(time.Millisecond)
	}
	close(r.gate)
	r.over.Wait()
}

func yields(p params) string {
	tasks, rounds := p["tasks"], p["rounds"]
	race := newRace(tasks)
	for task := 0; task < tasks; task++ {
		go func() {
			race.waitAtGate()
			yieldOften(rounds / 10)
			race.started()
			yieldOften(rounds)
			race.goal()
		}()
	}
	race.open()
	return nsEach(race.end.Sub(race.start), tasks*rounds)
}

func yieldOften(rounds int) {
	for round := 0; round < rounds; round++ {
		runtime.Gosched()
	}
}

// A goroutine has no handle to join: a WaitGroup and a slot for the result.
func spawn(p params) string {
	batch, batches := p["batch"], p["batches"]
	play := func(batches int) time.Duration {
		results := make([]int, batch)
		var joined sync.WaitGroup
		sum := 0
		start := time.Now()
		for b := 0; b < batches; b++ {
			joined.Add(batch)
			for n := 0; n < batch; n++ {
				go func(n int) {
					results[n] = n + 1
					joined.Done()
				}(n)
			}
			joined.Wait()
			for _, result := range results {
				sum += result
			}
		}
		elapsed := time.Since(start)
		check(sum == batches*batch*(batch+1)/2)
		return elapsed
	}
	play(batches / 10)
	return nsEach(play(batches), batches*batch)
}

func idle(p params) string {
	const batch = 1000
	tasks := p["tasks"]
	race := newRace(tasks)
	before := memory()
	start := time.Now()
	for task := 1; task <= tasks; task++ {
		go func() {
			race.waitAtGate()
			race.goal()
		}()
		if task%batch == 0 {
			runtime.Gosched()
		}
	}
	for !race.isReady() {
		runtime.Gosched()
	}
	elapsed := time.Since(start)
	bytes := memory() - before
	race.open()
	each := func(total int) float64 { return float64(total) / float64(tasks) }
	return fmt.Sprintf("bytes %.3f ns %.3f", each(bytes), each(int(elapsed.Nanoseconds())))
}

// The deadlines of the programs in Rust: within a second, in an order that looks random.
func timers(p params) string {
	const headStart, spread, stride = time.Second, 1_000_000, 618_033
	tasks := p["tasks"]
	race := newRace(tasks)
	var base time.Time
	var late atomic.Int64
	for task := 0; task < tasks; task++ {
		go func(task int) {
			race.waitAtGate()
			due := base.Add(time.Duration(task*stride%spread) * time.Microsecond)
			time.Sleep(time.Until(due))
			after := time.Since(due)
			check(after >= 0)
			late.Add(int64(after))
			race.goal()
		}(task)
	}
	for !race.isReady() {
		time.Sleep(time.Millisecond)
	}
	before := cpu()
	base = time.Now().Add(headStart)
	race.open()
	used := cpu() - before
	mean := float64(late.Load()) / float64(tasks)
	return fmt.Sprintf("late_us %.3f cpu_ms %.3f", mean/1e3, float64(used)/1e6)
}
