// Package porttest finds ports for servers that tests start by their
// configuration, which has to name one before anything listens there.
//
// The kernel's own choice would do for a moment only: it hands out the same
// numbers to every connection that anybody makes, and the next may get it. So
// ports are taken from below those. It does not promise that a port is free
// later, only that nothing on this host is likely to want it.
package porttest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"sync"
	"syscall"
)

// Linux makes connections from 32768 to 60999 (ip_local_port_range), and
// well-known services listen below 10000.
const first, beyond = 10_000, 32_768

var (
	mu    sync.Mutex
	given = make(map[int]bool) // in this process, which may not listen there yet
)

// Free returns a port on which nothing listens, on no address of this host, and
// which it has not returned before.
func Free() (string, error) {
	mu.Lock()
	defer mu.Unlock()
	for range 1000 {
		port := first + rand.IntN(beyond-first)
		if given[port] {
			continue
		}
		// Every address at once: a port that is taken on one of them fails.
		l, err := net.Listen("tcp", ":"+strconv.Itoa(port))
		if errors.Is(err, syscall.EADDRINUSE) {
			continue
		}
		if err != nil {
			return "", fmt.Errorf("finding a free port: %w", err)
		}
		given[port] = true
		return strconv.Itoa(port), l.Close()
	}
	return "", errors.New("finding a free port: a thousand were taken")
}
