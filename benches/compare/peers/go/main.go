// The benchmarks on goroutines.
//
// Called as the programs in Rust are: SYSTEM BENCHMARK NAME=NUMBER..., and prints their line.
package main

import (
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"time"
)

type params map[string]int

var table = map[string]func(params) string{
	"switch":    noEqual("its coroutines are goroutines"),
	"yield":     yields,
	"spawn":     spawn,
	"idle":      idle,
	"timers":    timers,
	"pingpong":  pingpong,
	"buffered":  buffered,
	"unbounded": noEqual("a channel has a fixed capacity"),
	"select":    selects,
	"skynet":    skynet,
	"sieve":     sieve,
	"forkjoin":  forkjoin,
	"imbalance": imbalance,
	"mutex":     mutex,
	"rwlock":    rwlock,
	"semaphore": semaphore,
	"waitgroup": waitGroup,
	"broadcast": noEqual("a message goes to one receiver"),

	"torn":          torn,
	"across":        across,
	"stream-across": streamAcross,
	"ask-across":    askAcross,
	"actors":        actors,
	"jobs":          jobs,
	"echo":          echo,
	"latency":       latency,
	"blocking":      noEqual("every call of the system may block its thread"),
}

func main() {
	bench, numbers := os.Args[2], params{}
	for _, arg := range os.Args[3:] {
		name, number, _ := strings.Cut(arg, "=")
		value, err := strconv.Atoi(number)
		check(err == nil)
		numbers[name] = value
	}
	if workers, given := numbers["workers"]; given {
		runtime.GOMAXPROCS(workers)
	}
	play, known := table[bench]
	if !known {
		play = noEqual("")
	}
	fmt.Println(play(numbers))
}

func noEqual(reason string) func(params) string {
	return func(params) string { return strings.TrimSpace("none " + reason) }
}

func check(condition bool) {
	if !condition {
		panic("the result is wrong")
	}
}

func nsEach(total time.Duration, count int) string {
	return fmt.Sprintf("ns %.3f", float64(total.Nanoseconds())/float64(count))
}

func ms(total time.Duration) string {
	return fmt.Sprintf("ms %.3f", float64(total.Nanoseconds())/1e6)
}

// The sum of the numbers below n.
func sumBelow(n int) int { return n * (n - 1) / 2 }
