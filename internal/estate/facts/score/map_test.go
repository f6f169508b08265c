package score

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
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
