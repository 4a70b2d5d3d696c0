package main

import (
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// Resident pages and the page tables that map them, in bytes.
func memory() int {
	status, err := os.ReadFile("/proc/self/status")
	check(err == nil)
	total := 0
	for _, line := range strings.Split(string(status), "\n") {
		fields := strings.Fields(line)
		if len(fields) == 3 && (fields[0] == "VmRSS:" || fields[0] == "VmPTE:") {
			kib, err := strconv.Atoi(fields[1])
			check(err == nil)
			total += kib * 1024
		}
	}
	check(total > 0)
	return total
}

// Processor time of all threads.
func cpu() time.Duration {
	var usage syscall.Rusage
	check(syscall.Getrusage(syscall.RUSAGE_SELF, &usage) == nil)
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
