package score

import (
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/hostconf"
	"strongroom/internal/estate/facts/identity"
	"strongroom/internal/estate/facts/sockets"
	"strongroom/internal/estate/facts/zone"
)

// Five hosts, each of which knows the others by their addresses alone, become a
// map of five components with the seven dependencies that are there, the knot of
// DNS and directory among them, and nothing else.
func TestMapOfHosts(t *testing.T) {
	m := estate.Draw(readSockets(t), estate.Statements{})
	got := make(map[string]string)
	for _, d := range m.Dependencies {
		if len(d.Ports) != 1 || d.Need != estate.Run {
			t.Errorf("%s -> %s is %s at %v, want run at one port", d.From, d.To, d.Need, d.Ports)
			continue
		}
		got[d.From.Name()+" -> "+d.To.Name()] = d.Ports[0].String()
	}
	want := map[string]string{
		"app1 -> db1":   "5432/tcp",
		"app1 -> dns1":  "53/tcp",
		"app1 -> ldap1": "389/tcp",
		"dns1 -> ldap1": "389/tcp",
		"ldap1 -> dns1": "53/tcp",
		"web1 -> app1":  "8080/tcp",
		"web1 -> ldap1": "389/tcp",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("dependencies: -want +got\n%s", diff)
	}
	roles := make(map[estate.ID][]estate.Role)
	for _, c := range m.Components {
		roles[c.ID] = c.Roles
	}
	if diff := cmp.Diff(map[estate.ID][]estate.Role{
		"host/app1": nil, "host/db1": nil, "host/dns1": {estate.DNS}, "host/ldap1": {estate.Directory}, "host/web1": nil,
	}, roles); diff != "" {
		t.Errorf("components and their roles: -want +got\n%s", diff)
	}
	if len(m.Doubts) > 0 || len(m.Merges) > 0 || len(m.Undescribed) > 0 {
		t.Errorf("doubts %q, merges %v, undescribed %q: want none", m.Doubts, m.Merges, m.Undescribed)
	}
}

// The knot is found also where nobody talks to anybody while the host is looked
// at: from what the two are configured to ask, by a short name, which the search
// list, the zone and the addresses of the other host lead to.
func TestMapOfConfiguration(t *testing.T) {
	var all []estate.Facts
	host := func(name, address string, conf ...facts.File) {
		at := place
		at.Scope = name
		conf = append(conf, facts.File{Path: "etc/hostname", Data: []byte(name + "\n")},
			facts.File{Path: "ip", Data: fmt.Appendf(nil, `[{"ifname":"eth0","addr_info":[{"local":%q,"prefixlen":24}]}]`, address)})
		all = append(all, one(t)(hostconf.Read(at, conf))...)
		all = append(all, one(t)(identity.Read(at, conf))...)
		all = append(all, one(t)(sockets.Read(at, conf[len(conf)-1:]))...)
	}
	text := func(path, text string) facts.File { return facts.File{Path: path, Data: []byte(text)} }
	host("dns1", "10.77.0.53", text("etc/resolv.conf", "search example.com\nnameserver 127.0.0.1\n"),
		text("etc/nslcd.conf", "uri ldap://ldap1/\nbindpw hunter2\n"), text("etc/nsswitch.conf", "passwd: files ldap\n"))
	host("ldap1", "10.77.0.4", text("etc/resolv.conf", "search example.com\nnameserver 10.77.0.53\n"))
	at := place
	at.Scope = "example.com"
	all = append(all, one(t)(zone.Read(at, []byte("@ SOA dns1 h 1 2 3 4 5\ndns1 A 10.77.0.53\nldap1 A 10.77.0.4\ndir CNAME ldap1\n")))...)

	m := estate.Draw(all, estate.Statements{})
	var got []string
	for _, d := range m.Dependencies {
		got = append(got, fmt.Sprintf("%s -> %s %s", d.From, d.To, d.Need))
	}
	if diff := cmp.Diff([]string{"host/dns1 -> host/ldap1 run", "host/ldap1 -> host/dns1 run"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if len(m.Components) != 2 || len(m.Doubts) > 0 {
		t.Errorf("components %v, doubts %q: want two and none", m.Components, m.Doubts)
	}
}
