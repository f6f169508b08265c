package porttest

import (
	"net"
	"testing"
)

func TestFreePortsAreDifferentAndCanBeListenedOn(t *testing.T) {
	seen := make(map[string]bool)
	for range 50 {
		port, err := Free()
		if err != nil {
			t.Fatal(err)
		}
		if seen[port] {
			t.Errorf("port %s was given twice", port)
		}
		seen[port] = true
		for _, host := range []string{"127.0.0.1", "127.0.0.9"} {
			l, err := net.Listen("tcp", net.JoinHostPort(host, port))
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
		}
	}
}
