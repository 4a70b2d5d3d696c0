package main

import "time"

func pingpong(p params) string {
	rounds := p["rounds"]
	roundTrips(rounds / 10)
	return nsEach(roundTrips(rounds), rounds)
}

func roundTrips(rounds int) time.Duration {
	toPong, toPing := make(chan int), make(chan int)
	elapsed := make(chan time.Duration)
	go func() {
		for ball := range toPong {
			toPing <- ball + 1
		}
	}()
	go func() {
		start := time.Now()
		ball := 0
		for round := 0; round < rounds; round++ {
			toPong <- ball
			ball = <-toPing
		}
		total := time.Since(start)
		check(ball == rounds)
		close(toPong)
		elapsed <- total
	}()
	return <-elapsed
}

func buffered(p params) string {
	pairs, capacity, messages := p["pairs"], p["capacity"], p["messages"]
	stream(capacity, pairs, messages/10)
	return nsEach(stream(capacity, pairs, messages), pairs*messages)
}

// Each of the senders sends `messages`, which the same number of receivers add up.
func stream(capacity, pairs, messages int) time.Duration {
	start := time.Now()
	channel := make(chan int, capacity)
	sent, sums := make(chan struct{}), make(chan int)
	for pair := 0; pair < pairs; pair++ {
		go func() {
			for message := 0; message < messages; message++ {
				channel <- message
			}
			sent <- struct{}{}
		}()
		go func() {
			sum := 0
			for message := range channel {
				sum += message
			}
			sums <- sum
		}()
	}
	for pair := 0; pair < pairs; pair++ {
		<-sent
	}
	close(channel)
	sum := 0
	for pair := 0; pair < pairs; pair++ {
		sum += <-sums
	}
	elapsed := time.Since(start)
	check(sum == pairs*sumBelow(messages))
	return elapsed
}

func selects(p params) string {
	messages := p["messages"]
	mergeFour(messages / 10)
	return nsEach(mergeFour(messages), 4*messages)
}

func mergeFour(messages int) time.Duration {
	source := func() chan int {
		channel := make(chan int)
		go func() {
			for message := 0; message < messages; message++ {
				channel <- message
			}
		}()
		return channel
	}
	start := time.Now()
	a, b, c, d := source(), source(), source(), source()
	result := make(chan int)
	go func() {
		sum := 0
		for n := 0; n < 4*messages; n++ {
			select {
			case message := <-a:
				sum += message
			case message := <-b:
				sum += message
			case message := <-c:
				sum += message
			case message := <-d:
				sum += message
			}
		}
		result <- sum
	}()
	sum := <-result
	elapsed := time.Since(start)
	check(sum == 4*sumBelow(messages))
	return elapsed
}

func skynet(p params) string {
	leaves, room := p["leaves"], p["room"]
	sumOfLeaves(leaves/10, room)
	return ms(sumOfLeaves(leaves, room))
}

func sumOfLeaves(leaves, room int) time.Duration {
	start := time.Now()
	root := make(chan int, room)
	go node(root, 0, leaves, room)
	check(<-root == sumBelow(leaves))
	return time.Since(start)
}

// Sends the sum of the numbers from `first` on, which ten children find.
func node(parent chan int, first, leaves, room int) {
	if leaves == 1 {
		parent <- first
		return
	}
	children := make(chan int, room)
	each := leaves / 10
	for child := 0; child < 10; child++ {
		go node(children, first+child*each, each, room)
	}
	sum := 0
	for child := 0; child < 10; child++ {
		sum += <-children
	}
	parent <- sum
}

func sieve(p params) string {
	primes := p["primes"]
	lastPrime(primes / 10)
	last, elapsed := lastPrime(primes)
	check(last == nthPrime(primes))
	return ms(elapsed)
}

// The chain gets longer by a goroutine that filters for each prime that comes out of it. They are
// left behind when it is long enough.
func lastPrime(primes int) (int, time.Duration) {
	start := time.Now()
	generated := make(chan int)
	go func() {
		for n := 2; ; n++ {
			generated <- n
		}
	}()
	endOfChain := generated
	for prime := 1; prime < primes; prime++ {
		filtered := make(chan int)
		go filter(<-endOfChain, endOfChain, filtered)
		endOfChain = filtered
	}
	last := <-endOfChain
	return last, time.Since(start)
}

func filter(prime int, from, to chan int) {
	for n := range from {
		if n%prime != 0 {
			to <- n
		}
	}
}

func nthPrime(nth int) int {
	for n := 2; ; n++ {
		divisor := 2
		for divisor*divisor <= n && n%divisor != 0 {
			divisor++
		}
		if divisor*divisor > n {
			if nth--; nth == 0 {
				return n
			}
		}
	}
}
