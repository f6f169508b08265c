package main

import (
	"net"
	"net/netip"
	"testing"
)

// An address of IPv4 is one of IPv4: at 0.0.0.0 nothing listens on IPv6, of
// which the rules of a firewall may not know.
func TestListensOnIPv4Alone(t *testing.T) {
	l, err := listen(t.Context(), netip.MustParseAddrPort("0.0.0.0:0"))
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if at := l.Addr().(*net.TCPAddr); at.IP.To4() == nil {
		t.Errorf("it listens on %s", at)
	}
}
