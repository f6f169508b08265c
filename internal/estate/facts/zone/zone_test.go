package zone

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

var here = facts.Place{Source: "dns", Path: "/var/lib/bind/example.com.zone", Scope: "example.com", Seen: time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)}

func read(t *testing.T, text string) estate.Facts {
	t.Helper()
	f, err := Read(here, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// spell writes components as "id aliases roles" and links as "from -> to port
// need", one a line.
func spell(f estate.Facts) string {
	var b strings.Builder
	for _, c := range f.Components {
		fmt.Fprintln(&b, strings.TrimRight(fmt.Sprintf("%s %s %s", c.ID, strings.Trim(fmt.Sprint(c.Aliases), "[]"), strings.Trim(fmt.Sprint(c.Roles), "[]")), " "))
	}
	for _, l := range f.Links {
		fmt.Fprintln(&b, strings.ReplaceAll(fmt.Sprintf("%s -> %s%s %s %s", l.From.ID, l.To.ID, l.To.Alias, l.Port, l.Need), " 0/ ", " "))
	}
	return b.String()
}

func TestRead(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a host", "db1 A 10.0.0.3\ndb1 AAAA 2001:db8::3\n", "host/db1.example.com 10.0.0.3 2001:db8::3 db1.example.com\n"},
		{"a host with two names", "web1 A 10.0.0.1\nWWW CNAME web1\nshop CNAME www\n", "host/web1.example.com 10.0.0.1 shop.example.com web1.example.com www.example.com\n"},
		{"no host", "localhost A 127.0.0.1\n*.apps A 10.0.0.1\nx TXT \"password=hunter2\"\n", ""},
		{"several addresses", "api A 10.0.0.2\napi A 10.0.0.1\nold CNAME api\n",
			"service/api.example.com api.example.com old.example.com\nservice/api.example.com -> 10.0.0.1 hosting\nservice/api.example.com -> 10.0.0.2 soft\n"},
		{"a name of another zone", "shop CNAME shops.vendor.example.\n", "service/shop.example.com shop.example.com\nservice/shop.example.com -> shops.vendor.example hosting\n"},
		{"names that lead nowhere", "a CNAME b\nb CNAME a\n", ""},
		{"mail", "@ MX 20 mx2\n@ MX 10 mx1\nno MX 0 .\n",
			"service/mail/example.com\nservice/mail/example.com -> mx1.example.com 25/tcp hosting\nservice/mail/example.com -> mx2.example.com 25/tcp soft\n"},
		{"servers of names", "@ SOA ns2 hostmaster 1 2 3 4 5\n@ NS ns1\n@ NS ns2\nns1 A 10.0.0.53\nsub NS ns.other.example.\n",
			"host/ns1.example.com 10.0.0.53 ns1.example.com dns\nservice/dns/example.com\nservice/dns/sub.example.com\n" +
				"service/dns/example.com -> ns1.example.com 53/tcp soft\nservice/dns/example.com -> ns2.example.com 53/tcp hosting\nservice/dns/sub.example.com -> ns.other.example 53/tcp hosting\n"},
		{"a domain of Active Directory", "_ldap._tcp.dc._msdcs SRV 0 100 389 dc1\n_ldap._tcp SRV 0 100 389 dc1\n_ldap._tcp SRV 10 100 389 dc0\n_kerberos._udp SRV 0 100 88 dc1\n_gone._tcp SRV 0 0 0 .\ndc1 A 10.0.0.10\n",
			"host/dc1.example.com 10.0.0.10 dc1.example.com directory domain-controller kerberos\n" +
				"service/_kerberos._udp.example.com _kerberos._udp.example.com\nservice/_ldap._tcp.dc._msdcs.example.com _ldap._tcp.dc._msdcs.example.com\nservice/_ldap._tcp.example.com _ldap._tcp.example.com\n" +
				"service/_kerberos._udp.example.com -> dc1.example.com 88/udp hosting\nservice/_ldap._tcp.dc._msdcs.example.com -> dc1.example.com 389/tcp hosting\n" +
				"service/_ldap._tcp.example.com -> dc0.example.com 389/tcp soft\nservice/_ldap._tcp.example.com -> dc1.example.com 389/tcp hosting\n"},
		{"addresses backwards", "$ORIGIN 0.0.10.in-addr.arpa.\n3 PTR db1.example.com.\n$ORIGIN 0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.\n",
			"host/db1.example.com 10.0.0.3 db1.example.com\n"},
		{"addresses of IPv6 backwards", "3.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa. PTR db1.example.com.\n", "host/db1.example.com 2001:db8::3 db1.example.com\n"},
		{"made by a rule", "$GENERATE 1-2 node$ A 10.0.1.$\n", "host/node1.example.com 10.0.1.1 node1.example.com\nhost/node2.example.com 10.0.1.2 node2.example.com\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f := read(t, tt.text)
			if diff := cmp.Diff(tt.want, spell(f)); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
			text, err := json.Marshal(f)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(text), "hunter2") {
				t.Errorf("a password is in the facts: %s", text)
			}
		})
	}
}

func TestLoop(t *testing.T) {
	f := read(t, "a CNAME b\nb CNAME a\n")
	if len(f.Doubts) != 2 {
		t.Errorf("doubts are %q, want one for each name", f.Doubts)
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"$INCLUDE /etc/shadow\n":              "$INCLUDE is not read",
		"":                                    "no records",
		"a A 10.0.0.1\nb A hunter2\n":         "not a zone of DNS: line 2",
		"a A 10.0.0.1\nb TXT \"hunter2\" (\n": "not a zone of DNS",
	} {
		_, err := Read(here, []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Read(%q) = %v, want an error with %q", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("@ SOA ns1 h 1 2 3 4 5\n@ NS ns1\nns1 A 10.0.0.53\nwww CNAME ns1\n_ldap._tcp SRV 0 0 389 ns1\n@ MX 1 ns1\n")
	f.Add("$ORIGIN 0.0.10.in-addr.arpa.\n3 PTR db1.example.com.\n")
	f.Fuzz(func(t *testing.T, text string) {
		if strings.Contains(text, "$GENERATE") {
			return // slow by intention, and bounded by the number of records
		}
		got, err := Read(here, []byte(text))
		if err != nil {
			return
		}
		again, err := Read(here, []byte(text))
		if err != nil || !cmp.Equal(got, again) {
			t.Errorf("read twice: %v\n%s", err, cmp.Diff(got, again))
		}
		for _, c := range got.Components {
			for _, a := range c.Aliases {
				if parsed, err := estate.ParseAlias(string(a)); err != nil || parsed != a {
					t.Errorf("alias %q is not one: %v", a, err)
				}
			}
		}
	})
}
