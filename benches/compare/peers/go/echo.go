// A server that says everything again.
package main

import (
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
)

// How much a server reads at once.
const room = 1024

func echo(p params) string { return answer("echo", p) }

func latency(p params) string { return answer("latency", p) }

func answer(bench string, p params) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	check(err == nil)
	go func() {
		for {
			connection, err := listener.Accept()
			check(err == nil)
			go serve(connection)
		}
	}()
	return clients(bench, p, listener.Addr().(*net.TCPAddr).Port)
}

// It has TCP_NODELAY, as all of Go's have.
func serve(connection net.Conn) {
	defer connection.Close()
	buffer := make([]byte, room)
	for {
		count, err := connection.Read(buffer)
		if err != nil {
			return
		}
		if _, err := connection.Write(buffer[:count]); err != nil {
			return
		}
	}
}

// Has the clients talk to the server, and waits for them.
func clients(bench string, p params, port int) string {
	program := os.Getenv("LISLE_LOAD")
	args := []string{
		bench, strconv.Itoa(port), strconv.Itoa(p["connections"]), strconv.Itoa(p["requests"]),
	}
	said, err := exec.Command(program, args...).Output()
	check(err == nil)
	return strings.TrimSpace(string(said))
}
