package estate

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var (
	monday  = time.Date(2026, 6, 1, 2, 0, 0, 0, time.UTC)
	tuesday = monday.AddDate(0, 0, 1)
)

// drawn reads facts and statements, a line for each thing:
//
//	host/a = 10.0.0.1 machine:00000001    a component and its aliases
//	service/b : 5432                      a program and the ports it listens on
//	service/b -> host/a run               a dependency; * instead of an ID is an alias: *10.0.0.1:5432/tcp
//	! host/a = 10.0.0.1                   a component that people describe
//	! host/a same host/b                  what people say of names
//	! host/a apart host/b
//	! host/a added host/b soft            what they say of dependencies
//
// A line by itself is one source's facts.
func drawn(t *testing.T, drawing string) ([]Facts, Statements) {
	t.Helper()
	var facts []Facts
	var said Statements
	for i, line := range strings.Split(drawing, "\n") {
		line, isSaid := strings.CutPrefix(strings.TrimSpace(line), "! ")
		words := strings.Fields(line)
		if len(words) == 0 {
			continue
		}
		e := Evidence{Basis: Declared, Source: fmt.Sprint("source", i), First: monday, Last: monday, Count: 1}
		if isSaid {
			e = Evidence{Basis: Stated, Source: "anna", Place: line, First: monday.Add(time.Duration(i) * time.Hour), Last: tuesday}
		}
		id, what := ID(words[0]), ""
		if len(words) > 1 {
			what = words[1]
		}
		var f Facts
		switch what {
		case "", "=", ":":
			c := Component{ID: id, Evidence: []Evidence{e}}
			for _, w := range words[min(2, len(words)):] {
				if what == ":" {
					var n uint16
					fmt.Sscan(w, &n)
					c.Listens = append(c.Listens, Port{n, "tcp"})
				} else {
					c.Aliases = append(c.Aliases, Alias(w))
				}
			}
			if isSaid {
				said.Components = append(said.Components, c)
			} else {
				f.Components = append(f.Components, c)
			}
		case "->":
			f.Links = append(f.Links, Link{From: end(words[0]), To: end(words[2]), Need: Need(words[3]), Evidence: []Evidence{e}})
		case "same":
			said.Same = append(said.Same, Pair{id, ID(words[2]), e})
		case "apart":
			said.Apart = append(said.Apart, Pair{id, ID(words[2]), e})
		case "confirmed", "added", "rejected":
			r := Ruling{Verdict: Verdict(what), From: id, To: ID(words[2]), Evidence: e}
			if len(words) > 3 {
				r.Need = Need(words[3])
			}
			said.Rulings = append(said.Rulings, r)
		default:
			t.Fatalf("a line that means nothing: %q", line)
		}
		if !isSaid {
			facts = append(facts, f)
		}
	}
	return facts, said
}

func end(word string) End {
	if alias, ok := strings.CutPrefix(word, "*"); ok {
		return End{Alias: Alias(alias)}
	}
	return End{ID: ID(word)}
}

// shown is a map as the tests draw it: components with the names that they had,
// and dependencies.
func shown(m *Map) string {
	var lines []string
	for _, c := range m.Components {
		line := string(c.ID)
		for _, merge := range m.Merges {
			if merge.Into == c.ID {
				line += " was " + string(merge.Was)
			}
		}
		if slices.Contains(m.Undescribed, c.ID) {
			line += " undescribed"
		}
		lines = append(lines, line)
	}
	for _, d := range m.Dependencies {
		line := fmt.Sprintf("%s -> %s %s", d.From, d.To, d.Need)
		for _, p := range d.Ports {
			line += fmt.Sprint(" ", p)
		}
		lines = append(lines, line)
	}
	for _, o := range m.Overruled {
		lines = append(lines, strings.TrimSpace(fmt.Sprintf("%s -/> %s %s", o.From, o.To, o.Need)))
	}
	return strings.Join(lines, "\n")
}

func trimmed(s string) string {
	var lines []string
	for line := range strings.Lines(s) {
		if line = strings.TrimSpace(line); line != "" {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, "\n")
}

func TestDraw(t *testing.T) {
	tests := []struct {
		name, drawing, want string
		doubt               string // a part of the only one; "" if there is none
	}{
		{"nothing", "", "", ""},
		{"an address is one machine's", `
			host/db1 = 10.0.0.4 db1.example.com
			resource/aws_instance.db = 10.0.0.4
			host/10.0.0.4 -> host/dns start
			host/dns`, `
			host/db1 was host/10.0.0.4 was resource/aws_instance.db
			host/dns
			host/db1 -> host/dns start`, ""},
		{"one machine under two names", `
			host/a = machine:00000001 a.example.com
			host/b = machine:00000001`, `
			host/a was host/b`, ""},
		{"copies of a machine", `
			host/a = machine:00000001 10.0.0.1
			host/b = machine:00000001 10.0.0.2`, `
			host/a
			host/b`, "machine:00000001 is an alias of host/a and host/b, which have nothing else in common and may be copies"},
		{"an end that something listens at", `
			service/erp -> *10.0.0.4:5432/tcp run
			service/erp -> *db1.example.com:5432/tcp run
			service/postgres = 10.0.0.4:5432/tcp
			host/db1 = 10.0.0.4 db1.example.com`, `
			host/db1
			service/erp undescribed
			service/postgres
			service/erp -> service/postgres run 5432/tcp`, ""},
		{"an end on a host where a program listens", `
			service/erp -> *10.0.0.4:5432/tcp run
			service/erp -> *10.0.0.4:22/tcp soft
			service/postgres : 5432
			service/postgres -> host/db1 hosting
			host/db1 = 10.0.0.4`, `
			host/db1
			service/erp undescribed
			service/postgres
			service/erp -> host/db1 soft 22/tcp
			service/erp -> service/postgres run 5432/tcp
			service/postgres -> host/db1 hosting`, ""},
		{"two programs that listen on one port of a host", `
			service/erp -> *10.0.0.4:53/tcp run
			service/a : 53
			service/b : 53
			service/a -> host/db1 hosting
			service/b -> host/db1 hosting
			host/db1 = 10.0.0.4`, `
			host/db1
			service/a
			service/b
			service/erp undescribed
			service/a -> host/db1 hosting
			service/b -> host/db1 hosting
			service/erp -> host/db1 run 53/tcp`, ""},
		{"the same program under two names of its host", `
			service/db1/postgres = 10.0.0.4:5432/tcp
			database/erp = db1.example.com:5432/tcp
			host/db1 = 10.0.0.4 db1.example.com`, `
			database/erp was service/db1/postgres
			host/db1`, ""},
		{"ends that nobody describes", `
			host/a -> *10.0.0.9:389/tcp run
			host/a -> *100.64.0.1 run
			host/a -> *192.0.2.7:443/tcp run
			host/a -> *license.vendor.example:443/tcp run
			host/a -> *license.vendor.example soft
			host/a`, `
			external/192.0.2.7 undescribed
			external/license.vendor.example undescribed
			host/10.0.0.9 undescribed
			host/100.64.0.1 undescribed
			host/a
			host/a -> external/192.0.2.7 run 443/tcp
			host/a -> external/license.vendor.example run 443/tcp
			host/a -> external/license.vendor.example soft
			host/a -> host/10.0.0.9 run 389/tcp
			host/a -> host/100.64.0.1 run`, ""},
		{"what needs itself needs nothing", `
			host/a = 10.0.0.1 10.0.0.2
			*10.0.0.1 -> *10.0.0.2 run
			host/a -> host/a run`, `
			host/a`, ""},
		{"a service is not its host", `
			host/ldap1 = ldap1.example.com 10.0.0.5
			service/ldap = ldap1.example.com 10.0.0.5
			host/a -> *ldap1.example.com:389/tcp run
			host/a`, `
			host/a
			host/ldap1
			service/ldap
			host/a -> host/ldap1 run 389/tcp`, ""},

		// Addresses that many have.
		{"a bridge on every host", `
			host/a = 10.0.0.1 machine:00000001 172.17.0.1
			host/b = 10.0.0.2 machine:00000002 172.17.0.1
			host/c = 10.0.0.3 172.17.0.1
			host/a -> *172.17.0.1:9000/tcp run
			host/d -> *172.17.0.1:9000/tcp run`, `
			host/172.17.0.1 undescribed
			host/a
			host/b
			host/c
			host/d undescribed
			host/d -> host/172.17.0.1 run 9000/tcp`, "172.17.0.1 is an alias of host/a, host/b and host/c, which are different machines: it makes none of them another"},
		{"a bridge on hosts of which only addresses are known", `
			host/a = 10.0.0.1 172.17.0.1 172.18.0.1
			host/b = 10.0.0.2 172.17.0.1 172.18.0.2`, `
			host/a
			host/b`, "172.17.0.1 is an alias of host/a and host/b, which are hosts with addresses of their own"},
		{"a name of two hosts", `
			host/web1 = 10.0.0.1 www.example.com
			host/web2 = 10.0.0.2 www.example.com
			host/x -> *www.example.com run`, `
			host/web1
			host/web2
			host/www.example.com undescribed
			host/x undescribed
			host/x -> host/www.example.com run`, "www.example.com is an alias of host/web1 and host/web2"},
		{"a host with a second name, a second address, and another reader's short name", `
			host/db1 = 10.0.0.4 10.0.1.4
			host/erp-db = 10.0.0.4 erp-db.example.com
			host/db1.example.com = 10.0.0.4 10.0.2.4
			resource/aws_instance.db = 10.0.0.4 192.0.2.1`, `
			host/db1 was host/db1.example.com was host/erp-db was resource/aws_instance.db`, ""},
		{"programs behind a bridge", `
			host/a = machine:00000001 172.17.0.1
			host/b = machine:00000002 172.17.0.1
			service/a/db = 172.17.0.1:5432/tcp
			service/b/db = 172.17.0.1:5432/tcp`, `
			host/a
			host/b
			service/a/db
			service/b/db`, "172.17.0.1 is an alias of host/a and host/b"},
		{"an address of nine", `
			host/a = 10.0.0.1
			host/b = 10.0.0.1
			host/c = 10.0.0.1
			host/d = 10.0.0.1
			host/e = 10.0.0.1
			host/f = 10.0.0.1
			host/g = 10.0.0.1
			host/h = 10.0.0.1
			host/i = 10.0.0.1`, `
			host/a
			host/b
			host/c
			host/d
			host/e
			host/f
			host/g
			host/h
			host/i`, "10.0.0.1 is an alias of host/a, host/b, host/c, host/d and 5 more, which are too many to be one"},
		{"a name for two addresses", `
			host/web1 = 10.0.0.1 machine:00000001
			host/web2 = 10.0.0.2 machine:00000002
			host/www = 10.0.0.1 10.0.0.2 www.example.com
			resource/netbox-1 = 10.0.0.1
			host/x -> *10.0.0.1 run
			host/x -> *www.example.com run`, `
			host/web1 was resource/netbox-1
			host/web2
			host/www
			host/x undescribed
			host/x -> host/web1 run
			host/x -> host/www run`, "host/www shares aliases with host/web1, host/web2 and resource/netbox-1, which are different machines: it becomes none of them"},
		{"a chain between two machines", `
			host/a = machine:00000001 10.0.0.1
			resource/b = 10.0.0.1 10.0.0.2
			resource/c = 10.0.0.2 10.0.0.3
			host/d = machine:00000002 10.0.0.3
			host/x -> *10.0.0.1 run`, `
			host/a
			host/d
			host/x undescribed
			resource/b
			resource/c
			host/x -> host/a run`, "aliases lead from one to the other of host/a, host/d, resource/b and resource/c, which are different machines"},

		// What people say of names.
		{"what people describe is not one", `
			! host/lb1 = 10.0.0.1
			! host/lb2 = 10.0.0.1
			host/x -> *10.0.0.1:80/tcp run`, `
			host/10.0.0.1 undescribed
			host/lb1
			host/lb2
			host/x undescribed
			host/x -> host/10.0.0.1 run 80/tcp`, "10.0.0.1 is an alias of host/lb1 and host/lb2, of which people describe more than one"},
		{"whose address it is", `
			! service/lb = 10.0.0.1
			host/lb1 = 10.0.0.1 machine:00000001
			host/lb2 = 10.0.0.1 machine:00000002
			host/x -> *10.0.0.1:80/tcp run`, `
			host/lb1
			host/lb2
			host/x undescribed
			service/lb
			host/x -> service/lb run 80/tcp`, "10.0.0.1 is an alias of host/lb1 and host/lb2"},
		{"a person's name for it", `
			host/a = 10.0.0.1
			! resource/my-own-name = 10.0.0.1`, `
			resource/my-own-name was host/a`, ""},
		{"the same", `
			! database/erp same service/shop/db
			service/web -> service/shop/db start
			database/erp`, `
			database/erp was service/shop/db
			service/web undescribed
			service/web -> database/erp start`, ""},
		{"the same, of which nobody describes one", `
			! resource/my-name same database/shop
			service/web -> database/shop run`, `
			resource/my-name was database/shop undescribed
			service/web undescribed
			service/web -> resource/my-name run`, ""},
		{"the same, though they are different machines", `
			! cluster/erp same host/a
			! cluster/erp same host/b
			host/a = machine:00000001
			host/b = machine:00000002`, `
			cluster/erp was host/a was host/b`, ""},
		{"apart", `
			host/a = 10.0.0.1
			host/b = 10.0.0.1
			! host/a apart host/b`, `
			host/a
			host/b`, "of which a person holds two apart"},
		{"apart, and the same", `
			! host/a same host/b
			! host/a apart host/b
			host/a
			host/b`, `
			host/a
			host/b`, "people say that host/a and host/b are the same, and that they are not: they are left two"},

		// What people say of dependencies.
		{"added", `
			host/a
			! host/a added service/dns start`, `
			host/a
			service/dns undescribed
			host/a -> service/dns start`, ""},
		{"added for another need", `
			service/a -> service/b run
			service/a -> service/b hosting
			! service/a added service/b soft`, `
			service/a undescribed
			service/b undescribed
			service/a -> service/b hosting
			service/a -> service/b soft
			service/a -/> service/b run`, ""},
		{"added for hosting", `
			service/a -> host/b run
			! service/a added host/b hosting`, `
			host/b undescribed
			service/a undescribed
			service/a -> host/b run
			service/a -> host/b hosting`, ""},
		{"confirmed beside another need", `
			service/a -> service/b start
			service/a -> service/b run
			! service/a confirmed service/b run`, `
			service/a undescribed
			service/b undescribed
			service/a -> service/b start
			service/a -> service/b run`, ""},
		{"rejected", `
			service/a -> service/b start
			service/a -> service/b run
			! service/a rejected service/b run`, `
			service/a undescribed
			service/b undescribed
			service/a -> service/b start
			service/a -/> service/b run`, ""},
		{"rejected for every need", `
			service/a -> service/b start
			service/a -> service/b run
			! service/a rejected service/b`, `
			service/a undescribed
			service/b undescribed
			service/a -/> service/b start
			service/a -/> service/b run`, ""},
		{"rejected and never found", `
			service/a
			! service/a rejected service/b`, `
			service/a
			service/a -/> service/b`, ""},
		{"rejected under a name that it had", `
			host/a = 10.0.0.1
			host/x -> *10.0.0.1 run
			! host/x rejected host/10.0.0.1`, `
			host/a
			host/x undescribed
			host/x -/> host/a run`, ""},
		{"rejected, and added again", `
			! host/x rejected host/a run
			! host/x added host/a run`, `
			host/a undescribed
			host/x undescribed
			host/x -> host/a run`, "people contradict each other on whether host/x needs host/a (run): what was said last is taken"},
		{"added, and rejected", `
			! host/x added host/a run
			! host/x rejected host/a`, `
			host/a undescribed
			host/x undescribed
			host/x -/> host/a`, "people contradict each other on whether host/x needs host/a (run)"},
		{"a ruling on what is one", `
			host/a = 10.0.0.1
			host/b = 10.0.0.1
			! host/a added host/b run`, `
			host/a was host/b`, "host/a and host/b are one component"},

		{"what no reader should say", `
			host/a = 10.0.0.1 10.0.0.01
			host/ = 10.0.0.2
			host/a -> * run
			host/a -> host/b sometimes`, `
			host/a`, "*"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			m := Draw(drawn(t, tt.drawing))
			if diff := cmp.Diff(trimmed(tt.want), shown(m)); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			switch {
			case tt.doubt == "*" && len(m.Doubts) == 4, tt.doubt == "" && len(m.Doubts) == 0:
			case len(m.Doubts) != 1 || !strings.Contains(m.Doubts[0], tt.doubt):
				t.Errorf("doubts %q, want one with %q", m.Doubts, tt.doubt)
			}
		})
	}
}

// Of two who contradict each other at one time, the one is believed with whom
// more is restored.
func TestContradictionAtOnce(t *testing.T) {
	e := Evidence{Basis: Stated, Source: "anna", First: monday, Last: monday}
	var said Statements
	for _, v := range []Verdict{Added, Rejected, Confirmed} {
		said.Rulings = append(said.Rulings, Ruling{Verdict: v, From: "host/a", To: "host/b", Need: Run, Evidence: e})
	}
	if m := Draw(nil, said); len(m.Dependencies) != 1 || len(m.Doubts) != 1 {
		t.Errorf("the map is\n%s\nwith doubts %q, want the dependency and a doubt", shown(m), m.Doubts)
	}
}
