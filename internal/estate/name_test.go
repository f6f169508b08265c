package estate

import (
	"net/netip"
	"strings"
	"testing"
)

func TestIDs(t *testing.T) {
	for _, s := range []string{"host/erp-app", "service/shop/db", "resource/aws_instance.web[0]", "external/license.vendor.example", "service/naïve"} {
		id, err := ParseID(s)
		if err != nil || string(id) != s {
			t.Errorf("ParseID(%q) = %q, %v", s, id, err)
		}
	}
	for _, s := range []string{"", "host", "host/", "Host/a", "thing/a", "host/a b", "host/a\n", "host//a", "host/a/", "host/\xff", "host/" + strings.Repeat("x", MaxID)} {
		if id, err := ParseID(s); err == nil {
			t.Errorf("ParseID(%q) = %q, want an error", s, id)
		}
	}
	for name, want := range map[string]ID{"a b": "host/a-b", "": "host/-", "/x/": "host/x", "\x00": "host/-"} {
		if got := NewID(Host, name); got != want {
			t.Errorf("NewID(host, %q) = %q, want %q", name, got, want)
		}
	}
}

func TestAliases(t *testing.T) {
	for s, want := range map[string]Alias{
		"10.0.0.4":                         "10.0.0.4",
		"::ffff:10.0.0.4":                  "10.0.0.4",
		"2001:DB8::4":                      "2001:db8::4",
		"DB1.example.com.":                 "db1.example.com",
		"machine:9F86D081-884c7d65":        "machine:9f86d081884c7d65",
		"_ldap._tcp.example.com":           "_ldap._tcp.example.com",
		"a1.b2":                            "a1.b2",
		"xn--bcher-kva.example":            "xn--bcher-kva.example",
		strings.Repeat("a", 63) + ".b":     Alias(strings.Repeat("a", 63) + ".b"),
		"machine:00000000000000000000000a": "machine:00000000000000000000000a",
	} {
		if got, err := ParseAlias(s); err != nil || got != want {
			t.Errorf("ParseAlias(%q) = %q, %v, want %q", s, got, err, want)
		}
	}
	for _, s := range []string{"", "db1", "127.0.0.1", "::1", "0.0.0.0", "169.254.1.1", "fe80::1", "224.0.0.1", "localhost", "a.localhost", "localhost.localdomain",
		"1.2.3", "a..b", "-a.b", "a b.c", "a/b.c", "a.b:53", "machine:", "machine:00000000", "machine:xyzxyzxyz", strings.Repeat("a", 64) + ".b"} {
		if got, err := ParseAlias(s); err == nil {
			t.Errorf("ParseAlias(%q) = %q, want an error", s, got)
		}
	}
}

func TestAliasWithPort(t *testing.T) {
	for _, tt := range []struct{ host, with Alias }{
		{"10.0.0.4", "10.0.0.4:53/udp"}, {"2001:db8::4", "[2001:db8::4]:53/udp"}, {"db1.example.com", "db1.example.com:53/udp"},
	} {
		if got := tt.host.At(53, "udp"); got != tt.with {
			t.Errorf("%q at 53/udp is %q, want %q", tt.host, got, tt.with)
		}
		if got, ok := tt.with.Host(); got != tt.host || !ok {
			t.Errorf("the host of %q is %q, %v, want %q", tt.with, got, ok, tt.host)
		}
		if got, ok := tt.host.Host(); got != tt.host || ok {
			t.Errorf("the host of %q is %q, %v, want itself and false", tt.host, got, ok)
		}
	}
	for _, s := range []string{"10.0.0.4:53/udp", "[2001:db8::4]:53/udp", "DB1.example.com:65535/tcp"} {
		if got, err := ParseAlias(s); err != nil || string(got) != strings.ToLower(s) {
			t.Errorf("ParseAlias(%q) = %q, %v", s, got, err)
		}
	}
	for _, s := range []string{"10.0.0.4/udp", "10.0.0.4:0/udp", "10.0.0.4:65536/udp", "10.0.0.4:053/udp", "10.0.0.4:/udp", "2001:db8::4:53/udp", "[10.0.0.4]:53/udp", "[2001:db8::4:53/udp",
		"db1:53/udp", "127.0.0.1:53/udp", "10.0.0.4:53/sctp", "10.0.0.4:53/tcp:53/tcp", "machine:00000001:53/tcp", "/tcp", strings.Repeat(":1/tcp", 100)} {
		if got, err := ParseAlias(s); err == nil {
			t.Errorf("ParseAlias(%q) = %q, want an error", s, got)
		}
	}
	var a Alias
	if err := a.UnmarshalText([]byte("DB1.example.com")); err == nil {
		t.Error("an alias that is not spelled as one was taken")
	}
	if _, ok := AddressAlias(netip.Addr{}); ok {
		t.Error("no address is an alias")
	}
}

// What a person may write is what the program writes itself.
func FuzzID(f *testing.F) {
	f.Add("host/a")
	f.Add("service/a b/\xff")
	f.Fuzz(func(t *testing.T, s string) {
		made := NewID(Host, s)
		if got, err := ParseID(string(made)); err != nil || got != made {
			t.Errorf("NewID(host, %q) = %q, which ParseID takes for %q: %v", s, made, got, err)
		}
	})
}

// What ParseAlias returns is spelled in the one way, and Host and At take it to
// pieces and join it again.
func FuzzAlias(f *testing.F) {
	for _, s := range []string{"10.0.0.4", "[2001:DB8::4]:53/udp", "Db1.example.com:5432/tcp", "machine:9F86D081-884c7d65"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		a, err := ParseAlias(s)
		if err != nil {
			return
		}
		if again, err := ParseAlias(string(a)); err != nil || again != a {
			t.Errorf("ParseAlias(%q) = %q, which it takes for %q: %v", s, a, again, err)
		}
		if host, port, ok := a.split(); ok && host.At(port.Number, port.Protocol) != a {
			t.Errorf("%q is %q and %v, and these are %q", a, host, port, host.At(port.Number, port.Protocol))
		}
		kinds := 0
		for _, is := range []bool{a.isEndpoint(), a.isMachine(), a.isAddress(), a.isName()} {
			if is {
				kinds++
			}
		}
		if kinds != 1 {
			t.Errorf("%q is %d kinds of alias", a, kinds)
		}
	})
}
