package sockets

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

func placeOf(host string) facts.Place {
	return facts.Place{Source: "hosts", Path: "/run/sockets", Scope: host, Seen: time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)}
}

// read reads text as the host "here" with the address 10.0.0.1 would tell it.
func read(t *testing.T, text string) estate.Facts {
	t.Helper()
	f, err := Read(placeOf("here"), []facts.File{{Path: "ss", Data: []byte(text)}, {Path: "ip", Data: []byte(
		`[{"ifname":"lo","flags":["LOOPBACK"],"addr_info":[{"local":"127.0.0.1","prefixlen":8},{"local":"10.9.9.9","prefixlen":32}]},
		{"ifname":"eth0","flags":[],"addr_info":[{"local":"10.0.0.1","prefixlen":24},{"local":"2001:db8::1","prefixlen":64},{"local":"fe80::1","prefixlen":64}]},
		{"ifname":"docker0","flags":[],"addr_info":[{"local":"172.17.0.1","prefixlen":16}]}]`)}})
	if err != nil {
		t.Fatal(err)
	}
	return f
}

// spell writes links as "from -> to port need xcount", one a line.
func spell(f estate.Facts) string {
	var b strings.Builder
	for _, l := range f.Links {
		end := func(e estate.End) string { return string(e.ID) + string(e.Alias) }
		var count int64
		for _, e := range l.Evidence {
			count += e.Count
		}
		fmt.Fprintf(&b, "%s -> %s %s %s x%d\n", end(l.From), end(l.To), l.Port, l.Need, count)
	}
	return b.String()
}

const listening = "LISTEN 0 128 0.0.0.0:443 0.0.0.0:* users:((\"nginx\",pid=1,fd=3))\nLISTEN 0 128 *:22 *:*\nLISTEN 0 128 127.0.0.1:5432 0.0.0.0:*\n"

func TestLinks(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"out", listening + "ESTAB 0 0 10.0.0.1:40000 10.0.0.2:5432", "host/here -> 10.0.0.2 5432/tcp run x1\n"},
		{"in", listening + "ESTAB 0 0 10.0.0.1:443 10.0.0.2:40000", "10.0.0.2 -> host/here 443/tcp run x1\n"},
		{"in, over mapped addresses", listening + "ESTAB 0 0 [::ffff:10.0.0.1]:443 [::ffff:10.0.0.2]:40000", "10.0.0.2 -> host/here 443/tcp run x1\n"},
		{"of IPv6", listening + "ESTAB 0 0 [2001:db8::1]:40000 [2001:db8::2]:389", "host/here -> 2001:db8::2 389/tcp run x1\n"},
		{"counted", listening + "ESTAB 0 0 10.0.0.1:40000 10.0.0.2:80\nTIME-WAIT 0 0 10.0.0.1:40001 10.0.0.2:80", "host/here -> 10.0.0.2 80/tcp run x2\n"},
		{"told twice", listening + "ESTAB 0 0 10.0.0.1:40000 10.0.0.2:80\nESTAB 0 0 10.0.0.1:40000 10.0.0.2:80", "host/here -> 10.0.0.2 80/tcp run x1\n"},
		{"closing", listening + "CLOSE-WAIT 1 0 10.0.0.1:40000 10.0.0.2:80", "host/here -> 10.0.0.2 80/tcp run x1\n"},
		{"from a port below 1024, as NFS does", listening + "ESTAB 0 0 10.0.0.1:800 10.0.0.2:2049", "host/here -> 10.0.0.2 2049/tcp run x1\n"},
		{"no answer", listening + "SYN-SENT 0 1 10.0.0.1:40000 10.0.0.2:80", "host/here -> 10.0.0.2 80/tcp soft x1\n"},
		{"half open", listening + "SYN-RECV 0 0 10.0.0.1:443 10.0.0.2:40000", ""},
		{"two ports that nobody keeps", listening + "ESTAB 0 0 10.0.0.1:40000 10.0.0.2:50051", "host/here -> 10.0.0.2 50051/tcp soft x1\n"},
		{"the same, over", listening + "TIME-WAIT 0 0 10.0.0.1:40000 10.0.0.2:50051", ""},
		{"a listener that is gone", listening + "TIME-WAIT 0 0 10.0.0.1:8080 10.0.0.2:50051", ""},
		{"loopback", listening + "ESTAB 0 0 127.0.0.1:40000 127.0.0.1:5432\nESTAB 0 0 127.0.0.1:5432 127.0.0.1:40000", ""},
		{"itself by its address", listening + "ESTAB 0 0 10.0.0.1:40000 10.0.0.1:443\nESTAB 0 0 10.0.0.1:443 10.0.0.1:40000", ""},
		{"a container of the host", listening + "ESTAB 0 0 172.17.0.1:40000 172.17.0.2:80", ""},
		{"link-local", listening + "ESTAB 0 0 [fe80::1]%eth0:40000 [fe80::2]%eth0:80", ""},
		{"a login", listening + "ESTAB 0 0 [::ffff:10.0.0.1]:22 [::ffff:10.0.0.3]:40000", "host/here -> 10.0.0.3 0/ admin x1\n"},
		{"logs in", listening + "ESTAB 0 0 10.0.0.1:40000 10.0.0.3:22", "10.0.0.3 -> host/here 0/ admin x1\n"},
		{"a log", listening + "ESTAB 0 0 10.0.0.1:40000 10.0.0.3:6514", "host/here -> 10.0.0.3 6514/tcp telemetry x1\n"},
		{"a look at others", listening + "ESTAB 0 0 10.0.0.1:40000 10.0.0.3:8080 users:((\"prometheus\",pid=1,fd=2))", "host/here -> 10.0.0.3 8080/tcp telemetry x1\n"},
		{"without listeners, out", "ESTAB 0 0 10.0.0.1:40000 10.0.0.2:80", "host/here -> 10.0.0.2 80/tcp run x1\n"},
		{"without listeners, in", "ESTAB 0 0 10.0.0.1:80 10.0.0.2:40000", "10.0.0.2 -> host/here 80/tcp run x1\n"},
		{"without listeners, either", "ESTAB 0 0 10.0.0.1:800 10.0.0.2:2049", ""},
		{"with protocols", "tcp LISTEN 0 1 *:443 *:*\nudp ESTAB 0 0 10.0.0.1:40000 10.0.0.53:53\nu_str ESTAB 0 0 * 1 * 2", "host/here -> 10.0.0.53 53/udp run x1\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if diff := cmp.Diff(tt.want, spell(read(t, tt.text))); diff != "" {
				t.Errorf("-want +got\n%s", diff)
			}
		})
	}
}

func TestHost(t *testing.T) {
	f := read(t, `Netid State Recv-Q Send-Q Local Address:Port Peer Address:Port Process
udp UNCONN 0 0 0.0.0.0:53 0.0.0.0:* users:(("named",pid=1,fd=3))
udp UNCONN 0 0 0.0.0.0:123 0.0.0.0:* users:(("ntpd",pid=1,fd=3))
udp UNCONN 0 0 0.0.0.0:40123 0.0.0.0:*
tcp LISTEN 0 5 127.0.0.1:389 0.0.0.0:*
tcp LISTEN 0 5 172.17.0.1:88 0.0.0.0:*
tcp LISTEN 0 5 *:8200 *:* users:(("vault",pid=9,fd=3),("vault",pid=10,fd=3))
tcp ESTAB 0 0 127.0.0.1:40000 127.0.0.1:389 users:(("(odd) "na,me",pid=4,fd=3))
`)
	if len(f.Components) != 1 {
		t.Fatalf("%d components, want the host alone", len(f.Components))
	}
	got := f.Components[0]
	var details []string
	for _, e := range got.Evidence {
		details = append(details, e.Place+": "+e.Detail)
	}
	got.Evidence = nil
	want := estate.Component{
		ID:      "host/here",
		Aliases: []estate.Alias{"10.0.0.1", "2001:db8::1"},
		Listens: []estate.Port{{Number: 53, Protocol: "udp"}, {Number: 123, Protocol: "udp"}, {Number: 8200, Protocol: "tcp"}},
		Roles:   []estate.Role{estate.DNS, estate.Secrets},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for _, want := range []string{"ip: eth0: 10.0.0.1", "ss: 53/udp: listens: named", "ss: 389/tcp: listens for the host itself", `ss: from (odd) "na,me: calls 389/tcp of the same host`} {
		if !slices.Contains(details, want) {
			t.Errorf("no evidence %q in %q", want, details)
		}
	}
}

func TestRoles(t *testing.T) {
	port := func(n uint16) estate.Port { return estate.Port{Number: n, Protocol: "tcp"} }
	got := roles(map[estate.Port]string{port(88): "", port(389): "", port(3268): "", port(53): ""})
	slices.Sort(got)
	if diff := cmp.Diff([]estate.Role{estate.Directory, estate.DNS, estate.DomainMaster, estate.Kerberos}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// The users of a public service are not components of the estate.
func TestManyCallers(t *testing.T) {
	b := bytes.NewBufferString(listening)
	for i := range maxCrowd + 1 {
		fmt.Fprintf(b, "ESTAB 0 0 10.0.0.1:443 203.0.113.%d:40000\n", i+1)
	}
	b.WriteString("ESTAB 0 0 10.0.0.1:40000 10.0.0.2:5432\n")
	f := read(t, b.String())
	if got, want := spell(f), "host/here -> 10.0.0.2 5432/tcp run x1\n"; got != want {
		t.Errorf("links are\n%swant\n%s", got, want)
	}
	if want := []string{"443/tcp of here is called from 101 addresses: more than 100 are not listed"}; !slices.Equal(f.Doubts, want) {
		t.Errorf("doubts are %q, want %q", f.Doubts, want)
	}
}

// Nor are all the servers that a crawler or a mail server calls; those of the
// estate are, however many.
func TestManyCalled(t *testing.T) {
	b := bytes.NewBufferString(listening)
	for i := range maxCrowd + 1 {
		fmt.Fprintf(b, "ESTAB 0 0 10.0.0.1:40000 203.0.113.%d:443\n", i+1)
		fmt.Fprintf(b, "ESTAB 0 0 10.0.0.1:40000 10.0.7.%d:443\n", i+1)
	}
	f := read(t, b.String())
	if len(f.Links) != maxCrowd+1 {
		t.Errorf("%d links, want %d: those within the estate", len(f.Links), maxCrowd+1)
	}
	if want := []string{"here calls 443/tcp of 101 public addresses: more than 100 are not listed"}; !slices.Equal(f.Doubts, want) {
		t.Errorf("doubts are %q, want %q", f.Doubts, want)
	}
}

func TestNotSockets(t *testing.T) {
	for text, want := range map[string]string{
		"root:x:0:0:root:/root:/bin/sh\n":               "line 1: not a socket",
		"ESTAB 0 0 10.0.0.1:ssh 10.0.0.2:40000":         "ss must be asked with -n",
		"ESTAB 0 0 10.0.0.1 10.0.0.2":                   "is not an address and a port",
		"sl local\n 0: 0100007F:XXXX 00000000:0000 0A":  "line 2: \"0100007F:XXXX\" is not an address",
		"sl local\n 0: 0100007F:0050 00000000:0000 7F":  "is not a state",
		"sl local\n 0: 0100007FAA:0050 00000000:0000 1": "is not an address",
		"[{]": "not interfaces as ip -j addr tells them",
	} {
		_, err := Read(placeOf("here"), []facts.File{{Path: "f", Data: []byte(text)}})
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%q) = %v, want an error with %q", text, err, want)
		}
	}
}

// Five hosts with a knot of DNS and LDAP: whatever of the files is there, the
// seven connections that were made are found from either end, and nothing else.
func TestHosts(t *testing.T) {
	var want []string
	table, err := os.ReadFile("testdata/EXPECTED.tsv")
	if err != nil {
		t.Fatal(err)
	}
	for _, line := range strings.Split(strings.TrimSpace(string(table)), "\n")[1:] {
		f := strings.Split(line, "\t")
		want = append(want, f[0]+" -> "+f[1]+" "+f[2]+"/"+f[3])
	}
	slices.Sort(want)
	for _, suffixes := range [][]string{
		{"ip-j-addr.json", "ss-tnpH.txt", "ss-tlnpH.txt"},
		{"ip-j-addr.json", "proc-net-tcp.txt"},
		{"ip-j-addr.json", "proc-net-tcp.txt", "ss-tnpH.txt", "ss-tlnpH.txt"},
		{"ip-j-addr.json", "ss-tnpH.txt"},
	} {
		byAlias := make(map[estate.Alias]string)
		var all []estate.Facts
		for _, host := range []string{"app1", "db1", "dns1", "ldap1", "web1"} {
			var files []facts.File
			for _, suffix := range suffixes {
				b, err := os.ReadFile(filepath.Join("testdata", host+"."+suffix))
				if err != nil {
					t.Fatal(err)
				}
				files = append(files, facts.File{Path: suffix, Data: b})
			}
			f, err := Read(placeOf(host), files)
			if err != nil {
				t.Fatal(err)
			}
			for _, a := range f.Components[0].Aliases {
				byAlias[a] = host
			}
			all = append(all, f)
		}
		name := func(e estate.End) string {
			if e.ID != "" {
				return e.ID.Name()
			}
			return byAlias[e.Alias]
		}
		var out, in []string
		for _, f := range all {
			for _, l := range f.Links {
				if l.Need != estate.Run {
					t.Errorf("%v is %s, want run", l, l.Need)
				}
				link := name(l.From) + " -> " + name(l.To) + " " + l.Port.String()
				if l.From.ID != "" {
					out = append(out, link)
				} else {
					in = append(in, link)
				}
			}
			if len(f.Doubts) > 0 {
				t.Errorf("doubts: %q", f.Doubts)
			}
		}
		slices.Sort(out)
		slices.Sort(in)
		if diff := cmp.Diff(want, out); diff != "" {
			t.Errorf("with %s, by those who call: -want +got\n%s", suffixes, diff)
		}
		if diff := cmp.Diff(want, in); diff != "" {
			t.Errorf("with %s, by those who are called: -want +got\n%s", suffixes, diff)
		}
	}
}

// Files in another order tell the same.
func TestOrderOfFiles(t *testing.T) {
	var files []facts.File
	for _, suffix := range []string{"ip-j-addr.json", "proc-net-tcp.txt", "ss-tnpH.txt", "ss-tlnpH.txt"} {
		b, err := os.ReadFile("testdata/ldap1." + suffix)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, facts.File{Path: suffix, Data: b})
	}
	want, err := Read(placeOf("ldap1"), files)
	if err != nil {
		t.Fatal(err)
	}
	slices.Reverse(files)
	got, err := Read(placeOf("ldap1"), files)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(listening+"ESTAB 0 0 [fe80::1]%eth0:40000 [fe80::2]%eth0:80"), []byte(`[{"ifname":"eth0","addr_info":[{"local":"10.0.0.1","prefixlen":24}]}]`))
	for _, name := range []string{"dns1.proc-net-tcp.txt", "dns1.ss-tnpH.txt"} {
		b, err := os.ReadFile("testdata/" + name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, []byte(nil))
	}
	f.Fuzz(func(t *testing.T, a, b []byte) {
		files := []facts.File{{Path: "tcp", Data: a}, {Path: "udp", Data: b}}
		got, err := Read(placeOf("here"), files)
		if err != nil {
			return
		}
		again, err := Read(placeOf("here"), files)
		if err != nil || !cmp.Equal(got, again) {
			t.Errorf("read twice: %v\n%s", err, cmp.Diff(got, again))
		}
		for _, l := range got.Links {
			if l.From == l.To || len(l.Evidence) == 0 || !l.Need.Valid() {
				t.Errorf("a link that is none: %v", l)
			}
		}
	})
}
