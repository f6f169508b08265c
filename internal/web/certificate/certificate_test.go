package certificate

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"errors"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"
)

var start = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

func at(t time.Time) func() time.Time { return func() time.Time { return t } }

func open(t *testing.T, folder string, now time.Time, hosts ...string) *Auto {
	t.Helper()
	a, err := Open(folder, hosts, at(now))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

// handshake connects a client to a server and returns what the client sees.
func handshake(t *testing.T, server, client *tls.Config, host string, now time.Time) (tls.ConnectionState, error) {
	t.Helper()
	client = client.Clone()
	client.ServerName, client.Time = host, at(now)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	defer wg.Wait()
	defer l.Close()
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return // the client did not come
		}
		defer conn.Close()
		tls.Server(conn, server).Handshake() // the client judges
	})
	conn, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := tls.Client(conn, client)
	err = c.Handshake()
	return c.ConnectionState(), err
}

func trust(t *testing.T, ca []byte) *tls.Config {
	t.Helper()
	c, err := Trust(ca)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func TestAuto(t *testing.T) {
	tests := []struct {
		name          string
		hosts         []string
		reaches, fail []string
	}{
		{"names", []string{"safe.acme.example", "vault"}, []string{"safe.acme.example", "vault"}, []string{"other.acme.example", "10.0.0.5"}},
		{"addresses", []string{"10.0.0.5", "2001:db8::1"}, []string{"10.0.0.5", "2001:db8::1"}, []string{"10.0.0.6", "2001:db8::2", "safe.acme.example"}},
		{"both", []string{"safe.acme.example", "10.0.0.5"}, []string{"safe.acme.example", "10.0.0.5"}, []string{"acme.example"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			a := open(t, filepath.Join(t.TempDir(), "tls"), start, tt.hosts...)
			server, client := Server(a.GetCertificate), trust(t, a.CA())
			for _, host := range tt.reaches {
				state, err := handshake(t, server, client, host, start)
				if err != nil {
					t.Errorf("%s: %v", host, err)
				}
				if state.Version != tls.VersionTLS13 || state.CurveID != tls.X25519MLKEM768 {
					t.Errorf("%s: version %x with %s", host, state.Version, state.CurveID)
				}
			}
			for _, host := range tt.fail {
				if _, err := handshake(t, server, client, host, start); err == nil {
					t.Errorf("%s is reached", host)
				}
			}
		})
	}
}

// TestConfined issues with the authority's key what a thief of it would: no
// client may believe that.
func TestConfined(t *testing.T) {
	for _, hosts := range [][]string{{"safe.acme.example"}, {"10.0.0.5"}, {"safe.acme.example", "2001:db8::1"}} {
		for _, stolen := range []string{"bank.example", "acme.example", "10.0.0.6", "2001:db8::2"} {
			a := open(t, filepath.Join(t.TempDir(), "tls"), start, hosts...)
			client := trust(t, a.CA())
			var err error
			if a.names, err = parseNames([]string{stolen}); err != nil {
				t.Fatal(err)
			}
			if a.current, err = a.issue(start); err != nil {
				t.Fatal(err)
			}
			_, err = handshake(t, Server(a.GetCertificate), client, stolen, start)
			var invalid x509.CertificateInvalidError
			if !errors.As(err, &invalid) || invalid.Reason != x509.CANotAuthorizedForThisName {
				t.Errorf("the authority of %q vouches for %s: %v", hosts, stolen, err)
			}
		}
	}
	a := open(t, filepath.Join(t.TempDir(), "tls"), start, "safe")
	if c := a.authority; !c.MaxPathLenZero || c.MaxPathLen != 0 || c.KeyUsage != x509.KeyUsageCertSign || !c.PermittedDNSDomainsCritical {
		t.Errorf("the authority may do more than it should: %+v", c)
	}
}

// TestOpenSSL has another implementation check the chain and its constraints.
func TestOpenSSL(t *testing.T) {
	if _, err := exec.LookPath("openssl"); err != nil {
		t.Skip("openssl is not installed")
	}
	dir := t.TempDir()
	verify := func(a *Auto, args ...string) (string, error) {
		ca, leaf := filepath.Join(dir, "ca.pem"), filepath.Join(dir, "leaf.pem")
		if err := errors.Join(os.WriteFile(ca, a.CA(), 0o600), os.WriteFile(leaf, encode("CERTIFICATE", a.current.Certificate[0]), 0o600)); err != nil {
			t.Fatal(err)
		}
		args = append([]string{"verify", "-x509_strict", "-no-CApath", "-no-CAstore", "-purpose", "sslserver", "-CAfile", ca}, args...)
		out, err := exec.Command("openssl", append(args, leaf)...).CombinedOutput()
		return string(out), err
	}
	now := time.Now() // openssl's clock
	for name, tt := range map[string]struct {
		hosts []string
		check []string
	}{
		"names":     {[]string{"safe.acme.example"}, []string{"-verify_hostname", "safe.acme.example"}},
		"addresses": {[]string{"10.0.0.5", "2001:db8::1"}, []string{"-verify_ip", "2001:db8::1"}},
	} {
		a := open(t, filepath.Join(dir, name), now, tt.hosts...)
		if out, err := verify(a, tt.check...); err != nil {
			t.Errorf("%s: openssl says %s", name, out)
		}
		for _, stolen := range []string{"bank.example", "10.0.0.6"} {
			a.names, _ = parseNames([]string{stolen})
			var err error
			if a.current, err = a.issue(now); err != nil {
				t.Fatal(err)
			}
			if out, err := verify(a); err == nil || !strings.Contains(out, "subtree violation") {
				t.Errorf("%s, certificate for %s: openssl says %s", name, stolen, out)
			}
		}
		out, err := exec.Command("openssl", "x509", "-noout", "-fingerprint", "-sha256", "-in", filepath.Join(dir, name, authorityFile)).CombinedOutput()
		_, print, _ := strings.Cut(strings.TrimSpace(string(out)), "=")
		digest := a.Fingerprint()
		if err != nil || strings.ToLower(strings.ReplaceAll(print, ":", "")) != hex.EncodeToString(digest[:]) {
			t.Errorf("Fingerprint = %s, openssl says %s", digest, out)
		}
	}
}

func TestAutoStays(t *testing.T) {
	dir := t.TempDir()
	folder := filepath.Join(dir, "tls")
	first := open(t, folder, start, "safe.acme.example", "10.0.0.5")
	modes := map[string]fs.FileMode{folder: 0o700 | fs.ModeDir, filepath.Join(folder, authorityFile): 0o400, filepath.Join(folder, keyFile): 0o400}
	for name, want := range modes {
		if info, err := os.Stat(name); err != nil || info.Mode() != want {
			t.Errorf("%s: %v, %v, want mode %v", name, info.Mode(), err, want)
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside the folder there is %v, %v", entries, err)
	}
	again := open(t, folder, start.AddDate(1, 0, 0), "safe.acme.example")
	if again.Fingerprint() != first.Fingerprint() || !bytes.Equal(again.CA(), first.CA()) {
		t.Error("the second opening has another authority")
	}
	for _, hosts := range [][]string{{"vault.acme.example"}, {"safe.acme.example", "10.0.0.6"}} {
		_, err := Open(folder, hosts, at(start))
		if missing := hosts[len(hosts)-1]; err == nil || !strings.Contains(err.Error(), "not made for "+missing+": move the folder away") {
			t.Errorf("Open for %q = %v", hosts, err)
		}
	}
}

// TestMadeOnce makes the same folder from several sides.
func TestMadeOnce(t *testing.T) {
	dir := t.TempDir()
	var all [8]*Auto
	var wg sync.WaitGroup
	for i := range all {
		wg.Go(func() {
			a, err := Open(filepath.Join(dir, "tls"), []string{"safe"}, at(start))
			if err != nil {
				t.Error(err)
			}
			all[i] = a
		})
	}
	wg.Wait()
	for _, a := range all {
		if a == nil || a.Fingerprint() != all[0].Fingerprint() {
			t.Fatal("there is more than one authority")
		}
	}
	if entries, err := os.ReadDir(dir); err != nil || len(entries) != 1 {
		t.Errorf("beside the folder there is %v, %v", entries, err)
	}
}

func TestRenewal(t *testing.T) {
	now := start
	a, err := Open(filepath.Join(t.TempDir(), "tls"), []string{"safe"}, func() time.Time { return now })
	if err != nil {
		t.Fatal(err)
	}
	client := trust(t, a.CA())
	get := func(when time.Time) *x509.Certificate {
		t.Helper()
		now = when
		c, err := a.GetCertificate(nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := handshake(t, Server(a.GetCertificate), client, "safe", when); err != nil {
			t.Errorf("%s: %v", when, err)
		}
		return c.Leaf
	}
	first := get(start)
	if days := first.NotAfter.Sub(first.NotBefore).Hours() / 24; days != serverDays {
		t.Errorf("good for %v days", days)
	}
	due := first.NotAfter.AddDate(0, 0, -renewDays)
	if !get(due.Add(-time.Second)).Equal(first) {
		t.Error("renewed too early")
	}
	second := get(due)
	if second.Equal(first) {
		t.Error("not renewed in time")
	}
	if !get(due.Add(time.Second)).Equal(second) {
		t.Error("renewed twice")
	}
	if get(start).Equal(second) {
		t.Error("after the clock was set right, the certificate is not yet good")
	}
	end := a.authority.NotAfter
	if last := get(end.Add(-time.Second)); last.NotAfter.After(end) {
		t.Errorf("a certificate until %s outlasts its authority, which ends %s", last.NotAfter, end)
	}
	now = end.Add(time.Second)
	if _, err := a.GetCertificate(nil); err == nil || !strings.Contains(err.Error(), "move its folder away") {
		t.Errorf("after the authority's end: %v", err)
	}
}

func TestOpenRefuses(t *testing.T) {
	other := filepath.Join(t.TempDir(), "tls")
	open(t, other, start, "safe")
	read := func(name string) []byte {
		b, err := os.ReadFile(filepath.Join(other, name))
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	tests := []struct {
		name    string
		file    string
		content []byte
		mode    fs.FileMode
		problem string
	}{
		{"other key", keyFile, read(keyFile), 0o400, "ca.key is not the key of ca.pem"},
		{"other certificate", authorityFile, read(authorityFile), 0o400, "ca.key is not the key of ca.pem"},
		{"key for all", keyFile, nil, 0o440, "mode 0440 of ca.key"},
		{"empty key", keyFile, []byte{}, 0o400, "ca.key is damaged"},
		{"empty certificate", authorityFile, []byte{}, 0o400, "want one certificate in PEM"},
		{"two certificates", authorityFile, append(read(authorityFile), read(authorityFile)...), 0o400, "want one certificate in PEM"},
		{"key in its place", authorityFile, read(keyFile), 0o400, "want one certificate in PEM"},
	}
	for _, tt := range tests {
		folder := filepath.Join(t.TempDir(), "tls")
		open(t, folder, start, "safe")
		name := filepath.Join(folder, tt.file)
		if tt.content != nil {
			if err := errors.Join(os.Remove(name), os.WriteFile(name, tt.content, 0o400)); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(name, tt.mode); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(folder, []string{"safe"}, at(start)); err == nil || !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s: Open = %v, want %q", tt.name, err, tt.problem)
		}
	}
	for _, hosts := range [][]string{nil, {""}, {"Safe"}, {"*.safe"}, {"safe."}, {".safe"}, {"safe:8443"}, {"fe80::1%eth0"}} {
		folder := filepath.Join(t.TempDir(), "tls")
		if _, err := Open(folder, hosts, at(start)); err == nil {
			t.Errorf("Open for %q succeeds", hosts)
		}
		if _, err := os.Lstat(folder); err == nil {
			t.Errorf("Open for %q made a folder", hosts)
		}
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "tls"), []string{"safe"}, at(start)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Open in a folder that does not exist = %v", err)
	}
}

func TestTrust(t *testing.T) {
	ours := open(t, filepath.Join(t.TempDir(), "tls"), start, "safe")
	other := open(t, filepath.Join(t.TempDir(), "tls"), start, "safe")
	_, err := handshake(t, Server(ours.GetCertificate), trust(t, other.CA()), "safe", start)
	var unknown x509.UnknownAuthorityError
	if !errors.As(err, &unknown) {
		t.Errorf("with another authority: %v", err)
	}
	old := trust(t, ours.CA())
	old.MinVersion, old.MaxVersion = tls.VersionTLS12, tls.VersionTLS12
	if _, err := handshake(t, Server(ours.GetCertificate), old, "safe", start); err == nil {
		t.Error("the server speaks TLS 1.2")
	}
	for name, ca := range map[string][]byte{
		"nothing":              nil,
		"a server certificate": encode("CERTIFICATE", ours.current.Certificate[0]),
		"damaged":              encode("CERTIFICATE", ours.authority.Raw[1:]),
		"two":                  append(ours.CA(), other.CA()...),
	} {
		if _, err := Trust(ca); err == nil {
			t.Errorf("Trust takes %s", name)
		}
	}
}

// A pair is what another program writes into the two files.
type pair struct{ cert, key []byte }

func newPair(t *testing.T, host string) pair {
	t.Helper()
	a := open(t, filepath.Join(t.TempDir(), "tls"), start, host)
	private, err := x509.MarshalPKCS8PrivateKey(a.current.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return pair{append(encode("CERTIFICATE", a.current.Certificate[0]), a.CA()...), encode("PRIVATE KEY", private)}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	cert, key := filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	replace := func(name string, content []byte) {
		t.Helper()
		if err := errors.Join(os.WriteFile(name+".new", content, 0o600), os.Rename(name+".new", name)); err != nil {
			t.Fatal(err)
		}
	}
	var log bytes.Buffer
	if _, err := OpenFiles(cert, key, slog.New(slog.DiscardHandler)); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("OpenFiles of nothing = %v", err)
	}
	first, second := newPair(t, "first"), newPair(t, "second")
	replace(cert, first.cert)
	replace(key, second.key)
	if _, err := OpenFiles(cert, key, slog.New(slog.DiscardHandler)); err == nil {
		t.Error("a key of another certificate is taken")
	}
	replace(key, first.key)
	f, err := OpenFiles(cert, key, slog.New(slog.NewTextHandler(&log, nil)))
	if err != nil {
		t.Fatal(err)
	}
	shows := func(host string, logged int) {
		t.Helper()
		for range 2 {
			c, err := f.GetCertificate(nil)
			if err != nil || c.Leaf.DNSNames[0] != host {
				t.Errorf("the certificate is for %s, %v, want %s", c.Leaf.DNSNames, err, host)
			}
		}
		if n := strings.Count(log.String(), "\n"); n != logged {
			t.Errorf("the log has %d lines, want %d:\n%s", n, logged, log.String())
		}
	}
	shows("first", 0)
	replace(cert, second.cert) // in the middle of a renewal
	shows("first", 1)
	replace(key, second.key)
	shows("second", 1)
	if err := os.Remove(key); err != nil {
		t.Fatal(err)
	}
	shows("second", 2)
	replace(key, first.key)
	shows("second", 3)
	replace(cert, first.cert)
	shows("first", 3)
	replace(cert, make([]byte, maxFile+1))
	shows("first", 4)
}
