package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/accesstest"
	"strongroom/internal/access/api"
	"strongroom/internal/access/compose"
	"strongroom/internal/daemon"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/seal"
)

// TestPasskeysFit: a safe whose people have passkeys for another domain than the
// configuration says does not begin to serve pages on which they are of no use.
func TestPasskeysFit(t *testing.T) {
	folder := t.TempDir()
	configured := func(serve string) string {
		file := filepath.Join(folder, "strongroom.yaml")
		text := fmt.Sprintf("safe: acme\nstore: %[1]s/store\ndir: %[1]s/dir\nserve: { listen: \"127.0.0.1:1\", gate: { listen: \"127.0.0.1:2\" }, %[2]s }\nsources: {}\n", folder, serve)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	makePasskeySafe(t, configured("name: safe."+accesstest.Domain+", passkeys: { domain: "+accesstest.Domain+" }"))
	tests := []struct{ serve, problem string }{
		{"name: safe.acme.example, passkeys: { domain: acme.example }", ""},
		{"name: safe.acme.example", "the roster's passkeys are bound to acme.example, and the configuration says safe.acme.example"},
		{"name: safe.other.example", "the roster's passkeys are bound to acme.example, and the configuration says safe.other.example"},
		{"name: 192.0.2.1", "the roster's passkeys are bound to acme.example, and the configuration has addresses only"},
	}
	const remedy = "passkeys: { domain: acme.example }, and among its names acme.example or one that ends in .acme.example"
	for _, tt := range tests {
		file := configured(tt.serve)
		strongroom := func(command string) (status int, said string) {
			var out bytes.Buffer
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second) // should it serve
			defer cancel()
			status = run(ctx, []string{"-c", file, command}, strings.NewReader(""), &out, &out)
			return status, out.String()
		}
		want := "ok    passkeys are good on the pages"
		if tt.problem != "" {
			want = "BAD   passkeys are good on the pages: " + tt.problem
			if status, said := strongroom("serve"); status != 2 || !strings.Contains(said, tt.problem+"\n") || !strings.Contains(said, remedy) {
				t.Errorf("serve, %s: status %d\n%s", tt.serve, status, said)
			}
		}
		if _, said := strongroom("doctor"); !strings.Contains(said, want+"\n") {
			t.Errorf("doctor, %s: want %q\n%s", tt.serve, want, said)
		}
	}
}

// makePasskeySafe makes a safe of two people with SSH keys, and one who has a
// passkey.
func makePasskeySafe(t *testing.T, file string) {
	t.Helper()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	must(err)
	cfg, err := config.Parse(file, text)
	must(err)
	outer, err := seal.NewOuterIdentity()
	must(err)
	inner, err := seal.NewInnerIdentity()
	must(err)
	s, err := daemon.Init(t.Context(), cfg, outer.Recipient(), inner.Recipient(), daemon.Options{})
	must(err)
	defer s.Close()
	people := []accesstest.Somebody{accesstest.NewPerson(t, "ada", access.Keykeeper), accesstest.NewPerson(t, "bob", access.Operator), accesstest.NewPasskeyPerson(t, "dan", access.Auditor)}
	home := netip.MustParseAddr("127.0.0.3")
	var founders []access.Enrolment
	for _, p := range people {
		i, err := s.Invite(t.Context(), p.Name, p.Roles)
		must(err)
		m := api.Enrolling{Token: i.Token}
		e := access.Enrolment{Version: 1, Store: s.ID(), Time: time.Now().UTC().Truncate(time.Second), Person: p.Person}
		switch {
		case p.Has(access.Keykeeper):
			e.OuterCopy, err = outer.SealTo(p.Key, e.Time)
		case p.Has(access.Operator):
			e.InnerCopy, err = inner.SealTo(p.Key, e.Time)
		default:
			c, err := s.BeginPasskeys(t.Context(), home, i.Token)
			must(err)
			made := p.SignIn.Register(c.Challenge)
			e.Domain = c.Domain
			m.Passkeys = []api.Registration{{Use: access.SignIn, AttestationObject: made.AttestationObject, ClientData: made.ClientData}}
		}
		must(err)
		m.Enrolment = e.Encode()
		must(s.Enrol(t.Context(), home, accesstest.Origin, m))
		founders = append(founders, e)
	}
	next, err := compose.Found(s.Roster(), founders, compose.Keyring{}, time.Now().UTC())
	must(err)
	agree := access.Agree{Number: next.Number, Digest: next.Digest()}
	must(s.Propose(t.Context(), home, next.Encode(), people[0].States(t, s.ID(), time.Now(), agree)))
	must(s.Agree(t.Context(), home, people[1].States(t, s.ID(), time.Now(), agree)))
}

// TestNotify receives what systemd would, by a path and by an abstract name.
func TestNotify(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{filepath.Join(folder, "notify"), "@" + folder} {
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", name)
		if err := notify("READY=1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		socket.SetDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 100)
		n, err := socket.Read(b)
		if err != nil || string(b[:n]) != "READY=1" {
			t.Errorf("%s: received %q, %v", name, b[:n], err)
		}
		socket.Close()
		if err := notify("READY=1"); err == nil {
			t.Errorf("%s: nobody listens any more, and that is no error", name)
		}
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify("READY=1"); err != nil {
		t.Errorf("without systemd: %v", err)
	}
}
