// The steps of redis_py.py, through redigo (Go).
package main

import (
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/gomodule/redigo/redis"
)

func check(ok bool, what string, got interface{}) {
	if !ok {
		fmt.Printf("failed: %s: %v\n", what, got)
		os.Exit(1)
	}
}

func connect(port string) redis.Conn {
	c, err := redis.Dial("tcp", "127.0.0.1:"+port)
	check(err == nil, "connect", err)
	return c
}

// flat is all that is in a reply, in one line.
func flat(reply interface{}) string {
	switch r := reply.(type) {
	case []interface{}:
		parts := make([]string, len(r))
		for i, part := range r {
			parts[i] = flat(part)
		}
		return strings.Join(parts, " ")
	case []byte:
		return string(r)
	default:
		return fmt.Sprint(r)
	}
}

func main() {
	port := os.Args[1]
	c := connect(port)
	defer c.Close()
	do := func(command string) string {
		words := strings.Fields(command)
		args := make([]interface{}, len(words)-1)
		for i, word := range words[1:] {
			args[i] = word
		}
		reply, err := c.Do(words[0], args...)
		check(err == nil, command, err)
		return flat(reply)
	}
	later := func(command ...interface{}) chan bool {
		done := make(chan bool)
		go func() {
			time.Sleep(100 * time.Millisecond)
			other := connect(port)
			defer other.Close()
			_, err := other.Do("XADD", command...)
			check(err == nil, "XADD of another", err)
			done <- true
		}()
		return done
	}
	fmt.Println("version debian")
	do("FLUSHALL")

	check(do("XADD orders 1-1 item tea price 3") == "1-1", "XADD", "")
	for n := 0; n < 9; n++ {
		do(fmt.Sprintf("XADD orders * n %d", n))
	}
	check(do("XLEN orders") == "10", "XLEN", "")
	fmt.Println("ok produce")

	got := do("XRANGE orders - + COUNT 1")
	check(got == "1-1 item tea price 3", "XRANGE", got)
	fmt.Println("ok read_range")

	check(do("XGROUP CREATE orders kitchen 0") == "OK", "XGROUP", "")
	got = do("XREADGROUP GROUP kitchen ann COUNT 4 STREAMS orders >")
	check(strings.Contains(got, "tea"), "XREADGROUP", got)
	do("XREADGROUP GROUP kitchen bob COUNT 2 STREAMS orders >")
	fmt.Println("ok group_read")

	got = do("XPENDING orders kitchen")
	check(strings.HasPrefix(got, "6 1-1"), "XPENDING", got)
	fmt.Println("ok pending")

	got = do("XCLAIM orders kitchen bob 0 1-1")
	check(got == "1-1 item tea price 3", "XCLAIM", got)
	fmt.Println("ok claim")

	got = do("XAUTOCLAIM orders kitchen cleo 0 0 COUNT 3 JUSTID")
	check(strings.Contains(got, "1-1"), "XAUTOCLAIM", got)
	fmt.Println("ok auto_claim")

	check(do("XACK orders kitchen 1-1 9-9") == "1", "XACK", "")
	fmt.Println("ok acknowledge")

	got = do("XINFO STREAM orders")
	check(strings.HasPrefix(got, "length 10"), "XINFO STREAM", got)
	got = do("XINFO CONSUMERS orders kitchen")
	check(strings.Contains(got, "cleo"), "XINFO CONSUMERS", got)
	fmt.Println("ok info")

	check(do("XTRIM orders MAXLEN 6") == "4", "XTRIM", "")
	fmt.Println("ok trim")

	done := later("bell", "*", "rings", "1")
	got = do("XREAD BLOCK 5000 STREAMS bell $")
	check(strings.Contains(got, "rings"), "XREAD BLOCK", got)
	<-done
	fmt.Println("ok blocking_read")

	do("XGROUP CREATE queue workers $ MKSTREAM")
	done = later("queue", "*", "rings", "1")
	got = do("XREADGROUP GROUP workers w BLOCK 5000 STREAMS queue >")
	check(strings.Contains(got, "rings"), "XREADGROUP BLOCK", got)
	<-done
	fmt.Println("ok blocking_group_read")

	for n := 0; n < 100; n++ {
		check(c.Send("XADD", "piped", "*", "n", n) == nil, "Send", n)
	}
	check(c.Flush() == nil, "Flush", "")
	for n := 0; n < 100; n++ {
		_, err := c.Receive()
		check(err == nil, "Receive", err)
	}
	check(do("XLEN piped") == "100", "pipeline", "")
	fmt.Println("ok pipeline")

	check(c.Send("MULTI") == nil, "MULTI", "")
	check(c.Send("XADD", "both", "*", "n", 1) == nil, "XADD", "")
	check(c.Send("XLEN", "both") == nil, "XLEN", "")
	reply, err := redis.Values(c.Do("EXEC"))
	check(err == nil && len(reply) == 2 && flat(reply[1]) == "1", "EXEC", err)
	fmt.Println("ok transaction")

	_, err = c.Do("XREADGROUP", "GROUP", "nobody", "c", "STREAMS", "orders", ">")
	check(err != nil && strings.Contains(err.Error(), "NOGROUP"), "the error", err)
	fmt.Println("ok errors")
}
