package sockets

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

const (
	fibTrie = `Main:
  +-- 0.0.0.0/0 3 0 5
     |-- 0.0.0.0
        /0 universe UNICAST
     +-- 10.77.0.0/24 2 0 2
        |-- 10.77.0.0
           /24 link UNICAST
        |-- 10.77.0.53
           /32 host LOCAL
        |-- 10.77.0.255
           /32 link BROADCAST
     |-- 172.17.0.1
        /32 host LOCAL
Local:
     |-- 127.0.0.1
        /32 host LOCAL
     |-- 10.77.0.53
        /32 host LOCAL
`
	routes = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT\n" +
		"eth0\t00000000\t01004D0A\t0003\t0\t0\t0\t00000000\t0\t0\t0\n" +
		"eth0\t00004D0A\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n" +
		"docker0\t000011AC\t00000000\t0001\t0\t0\t0\t0000FFFF\t0\t0\t0\n"
	inet6 = "20010db8000000000000000000000053 02 40 00 82     eth0\nfe80000000000000fc00fffffe000001 02 40 20 80     eth0\n00000000000000000000000000000001 01 80 10 80       lo\n"
)

// What the kernel shows in files is worth as much as what ip prints.
func TestKernelTables(t *testing.T) {
	tcp := "  sl  local_address rem_address   st\n   0: 00000000:0035 00000000:0000 0A\n   1: 35004D0A:8DCC 04004D0A:0185 01\n   2: 010011AC:0035 020011AC:C000 01\n"
	f, err := Read(placeOf("dns1"), []facts.File{
		{Path: "proc/net/tcp", Data: []byte(tcp)}, {Path: "proc/net/fib_trie", Data: []byte(fibTrie)},
		{Path: "proc/net/route", Data: []byte(routes)}, {Path: "proc/net/if_inet6", Data: []byte(inet6)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "host/dns1 -> 10.77.0.4 389/tcp run x1\n"; spell(f) != want {
		t.Errorf("links %q, want %q: what is behind a bridge of the host is part of it", spell(f), want)
	}
	if len(f.Components) != 1 {
		t.Fatalf("components %v", f.Components)
	}
	if diff := cmp.Diff([]estate.Alias{"10.77.0.53", "2001:db8::53"}, f.Components[0].Aliases); diff != "" {
		t.Errorf("aliases (-want +got):\n%s", diff)
	}
}

func TestNotKernelTables(t *testing.T) {
	for _, tt := range []struct{ path, text, want string }{
		{"fib_trie", "|-- 10.0.0\n/32 host LOCAL\n", "not an address as fib_trie"},
		{"fib_trie", "/32 host LOCAL\n", "not an address as fib_trie"},
		{"route", "eth0\tX\t00000000\t0001\t0\t0\t0\t00FFFFFF\n", "not an address as /proc/net/route"},
		{"if_inet6", "root:x:0:0:root\n", "not an address as if_inet6"},
		{"if_inet6", strings.Repeat("20010db8000000000000000000000053 02 40 00 82 eth0\n", maxInside+1), "addresses of a host"},
	} {
		_, err := Read(placeOf("here"), []facts.File{{Path: "/proc/net/" + tt.path, Data: []byte(tt.text)}})
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s %.40q: the error is %v, want %s", tt.path, tt.text, err, tt.want)
		}
	}
}

// The kernel of this machine is understood.
func TestKernelTablesOfThisHost(t *testing.T) {
	var files []facts.File
	for _, name := range []string{"fib_trie", "route", "if_inet6", "tcp", "tcp6", "udp", "udp6"} {
		b, err := os.ReadFile("/proc/net/" + name)
		if err != nil {
			t.Skipf("there is no such kernel here: %v", err)
		}
		files = append(files, facts.File{Path: "/proc/net/" + name, Data: b})
	}
	if _, err := Read(placeOf("here"), files); err != nil {
		t.Error(err)
	}
}

func FuzzKernelTables(f *testing.F) {
	f.Add([]byte(fibTrie), []byte(routes), []byte(inet6))
	f.Fuzz(func(t *testing.T, trie, route, inet6 []byte) {
		got, err := Read(placeOf("here"), []facts.File{{Path: "fib_trie", Data: trie}, {Path: "route", Data: route}, {Path: "if_inet6", Data: inet6}})
		if err != nil {
			return
		}
		for _, c := range got.Components {
			for _, a := range c.Aliases {
				if parsed, err := estate.ParseAlias(string(a)); err != nil || parsed != a {
					t.Errorf("an alias %q that is none: %v", a, err)
				}
			}
		}
	})
}
