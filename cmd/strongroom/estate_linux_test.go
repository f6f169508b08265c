package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/estatetest"
	"strongroom/internal/estate/order"
)

// The five hosts of the estate, with their addresses in 10.77.0.0/24. What is in
// their /etc is in testdata/estate.
var fiveHosts = []struct {
	name  string
	last  int
	files string // what the safe looks at besides what every Linux has
}{
	{"web1", 2, ""},                       // nginx, which passes on to app1; accounts in LDAP, by nslcd
	{"app1", 3, "/etc/default/phonebook"}, // phonebook.py, which asks db1 and ldap1, by their names
	{"ldap1", 4, ""},                      // slapd, for hosts that it knows by their names
	{"db1", 5, ""},                        // PostgreSQL
	{"dns1", 53, ""},                      // BIND; accounts in LDAP, by nslcd
}

// Everything that the hosts run is Debian's, but for the application.
var fiveNeed = []string{
	"/usr/sbin/sshd", "/usr/sbin/slapd", "/usr/sbin/named", "/usr/sbin/nslcd", "/usr/lib/*/libnss_ldap.so.2", "/usr/lib/postgresql/*/bin/initdb", "/usr/sbin/nginx",
	"/usr/lib/python3/dist-packages/psycopg2", "/usr/lib/python3/dist-packages/ldap", "/usr/bin/curl", "/usr/bin/nsenter", "/usr/sbin/ip",
}

// TestFiveHosts has five hosts with real services, which use each other as those
// of a company do, and a safe that looks at them over SSH and knows nothing else
// of them. Two need each other: ldap1 lets in hosts that it knows by name, which
// it asks dns1 for, and the people who look after dns1 have their accounts in
// ldap1. The map has what is needed and nothing else, the order says how the two
// are started, and what is proposed to be collected can be.
func TestFiveHosts(t *testing.T) {
	if testing.Short() {
		t.Skip("five hosts take a while to start")
	}
	network := estatetest.New(t, "10.77.0.1/24", fiveNeed...)
	hosts := make(map[string]*estatetest.Host)
	for _, h := range fiveHosts {
		hosts[h.name] = network.Host(h.name, fmt.Sprintf("10.77.0.%d/24", h.last), "testdata/estate/all", "testdata/estate/"+h.name)
	}
	desk := network.Host("desk", "10.77.0.200/24", "testdata/estate/all")

	startDirectory(hosts["ldap1"])
	startNames(hosts["dns1"])
	startDatabase(t, hosts["db1"])
	startAccounts(hosts["dns1"])
	startAccounts(hosts["web1"])
	startPhonebook(hosts["app1"])
	startWeb(hosts["web1"])
	safe := newOverseer(t, network, hosts)
	use(t, desk, hosts)

	safe.run("collect", "--all")
	m := safe.theMap()
	var edges []string
	for _, d := range m.Dependencies {
		// Whether the desk is seen is chance: its calls are short, and what is left
		// of them is left on the desk, at which the safe does not look.
		if d.Need.Orders() && d.From != "host/10.77.0.200" {
			edges = append(edges, fmt.Sprintf("%s -> %s", d.From, d.To))
		}
	}
	slices.Sort(edges)
	want := []string{
		"host/app1 -> host/db1",
		"host/app1 -> host/dns1",
		"host/app1 -> host/ldap1",
		"host/dns1 -> host/ldap1",
		"host/ldap1 -> host/dns1",
		"host/web1 -> host/app1",
		"host/web1 -> host/ldap1",
		"service/dns/0.77.10.in-addr.arpa -> host/dns1",
		"service/dns/acme.example -> host/dns1",
	}
	if diff := cmp.Diff(want, edges); diff != "" {
		t.Errorf("what needs what (-want +got):\n%s", diff)
	}
	// That dns1 takes its accounts from there is only seen: its nslcd.conf is not
	// for everybody to read.
	if a := m.Needs("host/dns1"); !slices.ContainsFunc(a, func(d estate.Dependency) bool {
		return d.To == "host/ldap1" && slices.Equal(d.Ports, []estate.Port{{Number: 389, Protocol: "tcp"}}) && d.Evidence[0].Basis == estate.Observed
	}) {
		t.Errorf("dns1 needs %+v, want that it was observed to need port 389 of ldap1", a)
	}
	safe.checkOrder(m)
	safe.closeMisses(hosts)
	tieKnot(hosts)
	if len(m.Doubts) > 0 {
		t.Errorf("doubts %q", m.Doubts)
	}
	if t.Failed() {
		t.Log(safe.run("map", "export"))
	}
}

// tieKnot shows that the knot is no matter of words. After both have failed, the
// directory starts, knows nobody without dns1, and answers nobody, so nobody can
// log in to mend dns1. With names in its /etc/hosts, as the order says, it does.
func tieKnot(hosts map[string]*estatetest.Host) {
	dns1, ldap1 := hosts["dns1"], hosts["ldap1"]
	dns1.Write("/etc/hosts", "127.0.0.1 localhost\n10.77.0.4 ldap1.acme.example\n") // that is not enough
	dns1.Run("sh", "-c", "kill $(cat /run/named/named.pid)")
	ldap1.Run("sh", "-c", "kill $(cat /run/slapd/slapd.pid)")
	ldap1.Await("sh", "-c", "! test -e /run/slapd/slapd.pid")
	serveDirectory(ldap1)
	dns1.Await("/usr/bin/python3", "-c", "import socket; socket.create_connection(('10.77.0.4', 389))")
	dns1.Await("sh", "-c", "! getent passwd ada")
	ldap1.Write("/etc/hosts", "127.0.0.1 localhost\n10.77.0.53 dns1.acme.example\n")
	dns1.Await("getent", "passwd", "ada")
}

func startDirectory(h *estatetest.Host) {
	h.Copy("/etc/ldap/schema", "/etc/ldap/schema")
	h.Run("install", "-d", "-o", "openldap", "-g", "openldap", "/var/lib/ldap", "/run/slapd")
	h.Run("setpriv", "--reuid=openldap", "--regid=openldap", "--clear-groups", "slapadd", "-f", "/etc/ldap/slapd.conf", "-l", "/etc/ldap/acme.ldif")
	serveDirectory(h)
}

func serveDirectory(h *estatetest.Host) {
	h.Serve("slapd", "-d", "0", "-u", "openldap", "-g", "openldap", "-f", "/etc/ldap/slapd.conf", "-h", "ldap:///")
}

func startNames(h *estatetest.Host) {
	h.Run("install", "-d", "-o", "bind", "-g", "bind", "/var/cache/bind", "/run/named")
	h.Run("install", "-d", "-o", "root", "-g", "bind", "-m", "0775", "/var/lib/bind")
	h.Serve("named", "-g", "-u", "bind", "-c", "/etc/bind/named.conf")
	h.Await("getent", "ahostsv4", "ldap1.acme.example")
}

// startAccounts has a host take its accounts from LDAP.
func startAccounts(h *estatetest.Host) {
	h.Run("install", "-d", "-o", "nslcd", "-g", "nslcd", "/run/nslcd")
	h.Run("chmod", "0640", "/etc/nslcd.conf") // as Debian has it, since it may hold a password
	h.Run("chgrp", "nslcd", "/etc/nslcd.conf")
	h.Serve("nslcd", "--nofork")
	h.Await("getent", "passwd", "ada")
}

func startDatabase(t *testing.T, h *estatetest.Host) {
	versions, err := filepath.Glob("/usr/lib/postgresql/*/bin")
	if err != nil || len(versions) == 0 {
		t.Fatal("there is no PostgreSQL any more:", err)
	}
	bin := versions[len(versions)-1]
	as := func(program string, args ...string) []string {
		return append([]string{"--reuid=postgres", "--regid=postgres", "--clear-groups", filepath.Join(bin, program)}, args...)
	}
	const data = "/var/lib/postgresql/main"
	h.Run("install", "-d", "-o", "postgres", "-g", "postgres", "/var/lib/postgresql", "/run/postgresql")
	h.Run("setpriv", as("initdb", "-D", data, "--no-locale", "--encoding=UTF8", "--no-sync")...)
	h.Serve("setpriv", as("postgres", "-D", data, "-c", "listen_addresses=*", "-c", "hba_file=/etc/postgresql/pg_hba.conf", "-c", "unix_socket_directories=/run/postgresql", "-c", "fsync=off")...)
	h.Await("setpriv", as("psql", "-h", "/run/postgresql", "-c", "SELECT 1")...)
	for _, sql := range []string{
		"CREATE ROLE phonebook LOGIN PASSWORD 'hush'",
		"CREATE DATABASE phonebook OWNER phonebook",
	} {
		h.Run("setpriv", as("psql", "-h", "/run/postgresql", "-c", sql)...)
	}
	h.Run("setpriv", as("psql", "-h", "/run/postgresql", "-d", "phonebook", "-c", "CREATE TABLE people (name text PRIMARY KEY, number text); INSERT INTO people VALUES ('grace', '555-0100'); GRANT SELECT ON people TO phonebook")...)
}

// startPhonebook starts the application: a program of a hundred lines that asks
// the directory who asks, and the database for the answer.
func startPhonebook(h *estatetest.Host) {
	h.Run("chown", "phonebook:phonebook", "/srv/phonebook/pgpass")
	h.Run("chmod", "0600", "/srv/phonebook/pgpass")
	h.Serve("sh", "-c", "set -a; . /etc/default/phonebook; PGPASSFILE=/srv/phonebook/pgpass; exec setpriv --reuid=phonebook --regid=phonebook --clear-groups /usr/bin/python3 -u /srv/phonebook/phonebook.py")
	h.Await("curl", "--silent", "http://10.77.0.3:8080/")
}

func startWeb(h *estatetest.Host) {
	h.Run("install", "-d", "/var/lib/nginx", "/var/log/nginx")
	h.Serve("nginx", "-g", "daemon off;")
}

// use has somebody at a desk use the estate, and goes on using it: numbers are
// looked up, and ada logs in to the hosts that know her from the directory.
func use(t *testing.T, desk *estatetest.Host, hosts map[string]*estatetest.Host) {
	t.Helper()
	desk.Run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/root/ada")
	key := desk.Run("cat", "/root/ada.pub")
	for _, name := range []string{"web1", "dns1"} {
		hosts[name].Write("/etc/ssh/authorized_keys/ada", key)
	}
	for _, address := range []string{"10.77.0.2", "10.77.0.53"} {
		got := desk.Run("ssh", "-q", "-i", "/root/ada", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=accept-new", "ada@"+address, "id", "-u")
		if got != "5001\n" {
			t.Errorf("ada is %q on %s, want the number that the directory has", got, address)
		}
	}
	const ask = "curl --silent --fail --user ada:engine http://10.77.0.2/people/grace"
	desk.Await("sh", "-c", ask)
	if got := desk.Run("sh", "-c", ask); got != "555-0100\n" {
		t.Errorf("grace has the number %q", got)
	}
	desk.Serve("sh", "-c", "while sleep 0.2; do "+ask+" --output /dev/null; done")
}

// An overseer is a safe that looks at the hosts, from a machine in their network.
type overseer struct {
	t       *testing.T
	network *estatetest.Network
	dir     string
}

// newOverseer starts the hosts' SSH servers, with an account that may only read,
// and makes a safe that has its key.
func newOverseer(t *testing.T, network *estatetest.Network, hosts map[string]*estatetest.Host) *overseer {
	t.Helper()
	o := &overseer{t, network, t.TempDir()}
	key := filepath.Join(o.dir, "ssh.key")
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key).CombinedOutput(); err != nil {
		t.Fatalf("making a key: %v: %s", err, out)
	}
	public, err := os.ReadFile(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	fmt.Fprintf(&text, "safe: acme\ndir: %s/safe\nstore: %s/store\nsources:\n", o.dir, o.dir)
	login := func(last int, hostKey string) {
		fmt.Fprintf(&text, "    host: strongroom@10.77.0.%d\n    host_key: %s\n    key: file:%s\n", last, hostKey, key)
	}
	for _, about := range fiveHosts {
		h := hosts[about.name]
		h.Run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/ssh_host_ed25519_key")
		h.Write("/etc/ssh/authorized_keys/strongroom", "restrict "+string(public))
		h.Serve("/usr/sbin/sshd", "-D", "-e")
		hostKey := strings.Join(strings.Fields(h.Run("cat", "/etc/ssh/ssh_host_ed25519_key.pub"))[:2], " ")
		fmt.Fprintf(&text, "  %s:\n    kind: facts\n    looks: 3\n    pause: 1s\n    files: [ %s ]\n", about.name, about.files)
		login(about.last, hostKey)
		if about.name == "dns1" {
			fmt.Fprint(&text, "  zones:\n    kind: sftp\n    include: [ /etc/bind ]\n    exclude: [ \"**/*.key\" ]\n")
			login(about.last, hostKey)
		}
	}
	write(t, filepath.Join(o.dir, "strongroom.yaml"), text.String())
	o.run("keys", "new-role", "outer")
	o.run("keys", "new-role", "inner")
	o.run("init", "--outer", "outer.key.pub", "--inner", "inner.key.pub")
	return o
}

// run runs the program in the hosts' network, and returns what it says.
func (o *overseer) run(args ...string) string {
	o.t.Helper()
	out, complaints, err := o.try(args...)
	if err != nil {
		o.t.Fatalf("strongroom %s: %v\n%s%s", strings.Join(args, " "), err, out, complaints)
	}
	return out
}

// try does the same, and says also how that ended.
func (o *overseer) try(args ...string) (out, complaints string, err error) {
	cmd := o.network.Command(filepath.Join(programDir, "strongroom"), args...)
	cmd.Dir = o.dir
	cmd.Env = append(os.Environ(), "HOME="+o.dir, "TZ=UTC")
	var said, complained bytes.Buffer
	cmd.Stdout, cmd.Stderr = &said, &complained
	err = cmd.Run()
	return said.String(), complained.String(), err
}

func (o *overseer) theMap() *estate.Map {
	o.t.Helper()
	m, err := estate.Decode([]byte(o.run("map", "export")))
	if err != nil {
		o.t.Fatal(err)
	}
	return m
}

// checkOrder checks that the knot is found, and opened by what is known of such
// servers, and that everything else waits for what it needs.
func (o *overseer) checkOrder(m *estate.Map) {
	o.t.Helper()
	var got order.Order
	if err := json.Unmarshal([]byte(o.run("map", "order", "--json")), &got); err != nil {
		o.t.Fatal(err)
	}
	if len(got.Knots) != 1 || !slices.Equal(got.Knots[0].Components, []estate.ID{"host/dns1", "host/ldap1"}) {
		o.t.Fatalf("knots %+v, want the one of dns1 and ldap1", got.Knots)
	}
	opened := got.Knots[0].Opened
	if len(opened) != 1 || opened[0].From != "host/ldap1" || opened[0].To != "host/dns1" || opened[0].Means != order.ByRule || opened[0].Rule.Name != "directory-names-in-files" {
		o.t.Errorf("the knot is opened by %+v, want ldap1 to start without dns1 by a rule", opened)
	}
	if q := got.Questions(); len(q) > 0 {
		o.t.Errorf("questions to a person: %+v", q)
	}

	done := make(map[estate.ID]int) // the layer in which it is started, with all or in a mode
	for i, layer := range got.Layers {
		for _, step := range layer {
			if slices.Contains(step.Phases, order.Start) || slices.Contains(step.Phases, order.Bootstrap) {
				if _, ok := done[step.Component]; !ok {
					done[step.Component] = i
				}
			}
		}
	}
	for _, d := range m.Dependencies {
		if d.Need.Orders() && !(d.From == "host/ldap1" && d.To == "host/dns1") && done[d.From] <= done[d.To] {
			o.t.Errorf("%s is started in layer %d, and %s, which it needs, in layer %d", d.From, done[d.From]+1, d.To, done[d.To]+1)
		}
	}
	said := o.run("map", "order")
	for _, want := range []string{
		"Knot of 2 components: host/dns1, host/ldap1",
		"without host/dns1: Start the directory server (slapd) without DNS",
		"proven by: ldapsearch",
		"now with host/dns1: Take the names out of /etc/hosts and restart the directory server.",
		"host/ldap1 starts without host/dns1: host/ldap1 may start without host/dns1 by the rule directory-names-in-files",
	} {
		if !strings.Contains(said, want) {
			o.t.Errorf("the order does not say %q:\n%s", want, said)
		}
	}
}
