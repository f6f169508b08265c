package main

import (
	"net"
	"net/netip"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe/config"
)

// TestOrigins: browsers find pages where passkeys are good, and nowhere else.
func TestOrigins(t *testing.T) {
	tests := []struct {
		listen, domain string
		names          []string
		want           []string
	}{
		{"0.0.0.0:8443", "safe.acme.example", []string{"safe.acme.example"}, []string{"https://safe.acme.example:8443"}},
		{"0.0.0.0:443", "safe.acme.example", []string{"safe.acme.example"}, []string{"https://safe.acme.example"}},
		{"[::]:8443", "acme.example", []string{"192.0.2.1", "safe.acme.example", "safe.other.example", "notacme.example", "acme.example"},
			[]string{"https://safe.acme.example:8443", "https://acme.example:8443"}},
		{"0.0.0.0:8443", "", []string{"192.0.2.1"}, nil},
	}
	for _, tt := range tests {
		cfg := &config.Config{Serve: &config.Serve{Listen: netip.MustParseAddrPort(tt.listen), Names: tt.names, Passkeys: config.Passkeys{Domain: tt.domain}}}
		if diff := cmp.Diff(tt.want, pagesOf(cfg).Origins); diff != "" {
			t.Errorf("%s, %q of %q (-want +got)\n%s", tt.listen, tt.names, tt.domain, diff)
		}
	}
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
