package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/estate/facts"
	"strongroom/internal/safe/keep"
)

var update = flag.Bool("update", false, "write the golden files anew")

const aKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILVoLUx+Rg87QzJrU37o4mtJoa/AWO3T+c+SG4UaUIoW"

func publicKey(t *testing.T) ssh.PublicKey {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(aKey))
	if err != nil {
		t.Fatal(err)
	}
	return key
}

var compareSecrets = cmp.Options{cmp.AllowUnexported(SecretRef{}), cmp.Comparer(func(a, b netip.AddrPort) bool { return a == b })}

func TestExample(t *testing.T) {
	got, err := Parse("example.yaml", []byte(Example()))
	if err != nil {
		t.Fatal(err)
	}
	want := &Config{
		Safe: "acme", Store: "/srv/strongroom", Dir: "/var/lib/strongroom", State: SQLite, Keep: keep.Default(),
		Mail: &Mail{
			Server: Server{Name: "mail.acme.example", Port: 587}, From: "strongroom@acme.example", TLS: StartTLS,
			User: "strongroom", Password: SecretRef{file: "/etc/strongroom/secrets/mail.password"},
			To: []string{"backup-team@acme.example"}, SubjectPrefix: "[acme]",
		},
		Serve: &Serve{
			Listen: netip.MustParseAddrPort("0.0.0.0:8443"), Port: 8443, Names: []string{"safe.acme.example"},
			Gate:     &Gate{Listen: netip.MustParseAddrPort("0.0.0.0:2222"), Name: "safe.acme.example"},
			Passkeys: Passkeys{Domain: "safe.acme.example"},
		},
		Sources: []Source{
			{
				Name: "erp-files",
				Spec: SFTP{
					Login: Login{
						Host:     Host{User: "strongroom", Name: "erp-app.acme.example", Port: 22},
						HostKeys: []ssh.PublicKey{publicKey(t)},
						Key:      SecretRef{file: "/etc/strongroom/secrets/erp-app.key"},
					},
					Paths:       Paths{Include: []string{"/etc/erp", "/srv/erp/uploads/**"}, Exclude: []string{"**/*.tmp"}},
					Connections: 2,
				},
				Keep: keep.Default(), Reread: 720 * time.Hour, Refresh: 8760 * time.Hour, Checkpoint: time.Minute, Compression: Fastest, Parity: true,
				Limits: Limits{Bytes: 2e12, Entries: 10e6, Duration: 8 * time.Hour, Rate: 50e6},
			},
			{
				Name: "erp-db",
				Spec: Command{
					Login: Login{
						Host:     Host{User: "strongroom", Name: "erp-db.acme.example", Port: 22},
						HostKeys: []ssh.PublicKey{publicKey(t)},
						Key:      SecretRef{file: "/etc/strongroom/secrets/erp-db.key"},
					},
					Name: "erp-db", EndsWith: "-- PostgreSQL database cluster dump complete", Stall: 10 * time.Minute,
				},
				Keep: keep.Default(), Reread: 720 * time.Hour, Refresh: 8760 * time.Hour, Checkpoint: time.Minute, Compression: Fastest, Parity: true,
			},
			{
				Name: "erp-app-facts",
				Spec: Facts{
					Login: Login{
						Host:     Host{User: "strongroom", Name: "erp-app.acme.example", Port: 22},
						HostKeys: []ssh.PublicKey{publicKey(t)},
						Key:      SecretRef{file: "/etc/strongroom/secrets/erp-app.key"},
					},
					Looks: 12, Pause: 10 * time.Second,
				},
				Keep: keep.Default(), Reread: 720 * time.Hour, Refresh: 8760 * time.Hour, Checkpoint: time.Minute, Compression: Fastest, Parity: true,
			},
			{
				Name: "calls",
				Spec: FactsAPI{
					URL: &url.URL{Scheme: "https", Host: "jaeger.acme.example", Path: "/api/dependencies", RawQuery: "lookback=86400000"}, Format: facts.Jaeger,
					Scope: "acme", Token: SecretRef{file: "/etc/strongroom/secrets/jaeger.token"}, Scheme: "Bearer",
				},
				Keep: keep.Default(), Reread: 720 * time.Hour, Refresh: 8760 * time.Hour, Checkpoint: time.Minute, Compression: Fastest, Parity: true,
			},
			{
				Name: "handbooks", Spec: Local{Paths{Include: []string{"/srv/handbooks"}}},
				Keep: keep.Default(), Reread: 720 * time.Hour, Refresh: 8760 * time.Hour, Checkpoint: time.Minute, Compression: Fastest, Parity: true,
			},
		},
		Components: exampleComponents, Applications: exampleApplications,
	}
	if diff := cmp.Diff(want, got, compareSecrets, anywhere); diff != "" {
		t.Errorf("the example (-want +got):\n%s", diff)
	}
}

// TestExampleCommentsHold uncomments the defaults of the example: nothing may
// change.
func TestExampleCommentsHold(t *testing.T) {
	text := regexp.MustCompile(`(?m)^( *)# ([a-z_]+: )`).ReplaceAllString(Example(), "$1$2")
	text = strings.Replace(text, "    keep: { daily: 14d }", "    keep: { daily: 35d, weekly: 13w, monthly: 24mo, yearly: 7y }", 1)
	if text == Example() {
		t.Fatal("nothing was uncommented")
	}
	got, err := Parse("example.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	want, err := Parse("example.yaml", []byte(Example()))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareSecrets); diff != "" {
		t.Errorf("what the example calls defaults are others (-defaults +example):\n%s", diff)
	}
}

func TestAllValues(t *testing.T) {
	got, err := Parse("x", []byte(`
safe: "acme-2"
store: /var/lib/strongroom/store/
dir: /var//lib/strongroom
state: sqlite
keep:
  daily: 10d
mail:
  server: '[::1]:25'
  from: o'brien+safe@acme.example
  tls: none
  subject_prefix: "acme:"
serve:
  listen: "[::1]:8443"
  port: 443
  name: [ 10.0.0.5, "2001:db8::1", safe, safe.acme.example ]
  tls:
    cert: /etc/strongroom//cert.pem
    key: /etc/strongroom/key.pem
  gate:
    listen: 10.0.0.5:22
    name: gate.acme.example
  passkeys:
    domain: acme.example
    release_pages: [ https://acme.example, "https://release.acme.example:8443" ]
sources:
  a:
    kind: sftp
    host: 'backup@[2001:db8::1]:2222'
    host_key:
      - `+aKey+` root@erp
    key: credential:erp.key
    include:
    - /
    keep:
      daily: 31d
      monthly: 1mo
      at_least: 7
    reread: 4w
    refresh: 90min
    allow_unreadable: true
    limits: { bytes: 3GiB, entries: 12, duration: 2d, rate: 1B/s }
    connections: 8
    checkpoint: 90s
    compression: better
    parity: false
  "1":
    { kind: local, include: [ "**" ] }
  dump:
    kind: command
    host: dump@db
    host_key: `+aKey+`
    key: file:/k
    name: erp.sql
    command: pg_dump --no-password erp
    ends_with: -- PostgreSQL database dump complete
    allow_empty: true
    stall: 30min
    refresh: 1d
    limits: { bytes: 1TB }
  logins:
    kind: command
    host: dump@db
    host_key: `+aKey+`
    key: file:/k
`))
	if err != nil {
		t.Fatal(err)
	}
	login := Login{Host: Host{User: "dump", Name: "db", Port: 22}, HostKeys: []ssh.PublicKey{publicKey(t)}, Key: SecretRef{file: "/k"}}
	want := &Config{
		Safe: "acme-2", Store: "/var/lib/strongroom/store", Dir: "/var/lib/strongroom", State: SQLite,
		Keep: keep.Rules{Daily: keep.Span{N: 10, Unit: keep.Day}, AtLeast: 2},
		Mail: &Mail{Server: Server{Name: "::1", Port: 25}, From: "o'brien+safe@acme.example", TLS: NoTLS, SubjectPrefix: "acme:"},
		Serve: &Serve{
			Listen: netip.MustParseAddrPort("[::1]:8443"), Port: 443, Names: []string{"10.0.0.5", "2001:db8::1", "safe", "safe.acme.example"},
			TLS:      TLS{Cert: "/etc/strongroom/cert.pem", Key: "/etc/strongroom/key.pem"},
			Gate:     &Gate{Listen: netip.MustParseAddrPort("10.0.0.5:22"), Name: "gate.acme.example"},
			Passkeys: Passkeys{Domain: "acme.example", ReleasePages: []string{"https://acme.example", "https://release.acme.example:8443"}},
		},
		Sources: []Source{
			{
				Name: "a",
				Spec: SFTP{
					Login: Login{
						Host:     Host{User: "backup", Name: "2001:db8::1", Port: 2222},
						HostKeys: []ssh.PublicKey{publicKey(t)},
						Key:      SecretRef{credential: "erp.key"},
					},
					Paths:       Paths{Include: []string{"/"}},
					Connections: 8,
				},
				Keep:   keep.Rules{Daily: keep.Span{N: 31, Unit: keep.Day}, Monthly: keep.Span{N: 1, Unit: keep.Month}, AtLeast: 7},
				Reread: 672 * time.Hour, Refresh: 90 * time.Minute, AllowUnreadable: true, Checkpoint: 90 * time.Second, Compression: Better,
				Limits: Limits{Bytes: 3 << 30, Entries: 12, Duration: 48 * time.Hour, Rate: 1},
			},
			{
				Name: "1", Spec: Local{Paths{Include: []string{"**"}}},
				Keep:   keep.Rules{Daily: keep.Span{N: 10, Unit: keep.Day}, AtLeast: 2},
				Reread: 720 * time.Hour, Refresh: 8760 * time.Hour, Checkpoint: time.Minute, Compression: Fastest, Parity: true,
			},
			{
				Name: "dump",
				Spec: Command{
					Login: login, Name: "erp.sql", Text: "pg_dump --no-password erp", EndsWith: "-- PostgreSQL database dump complete",
					AllowEmpty: true, Stall: 30 * time.Minute,
				},
				Keep:   keep.Rules{Daily: keep.Span{N: 10, Unit: keep.Day}, AtLeast: 2},
				Reread: 720 * time.Hour, Refresh: 24 * time.Hour, Checkpoint: time.Minute, Compression: Fastest, Parity: true,
				Limits: Limits{Bytes: 1e12},
			},
			{
				Name: "logins", Spec: Command{Login: login, Name: "logins", Stall: 10 * time.Minute},
				Keep:   keep.Rules{Daily: keep.Span{N: 10, Unit: keep.Day}, AtLeast: 2},
				Reread: 720 * time.Hour, Refresh: 8760 * time.Hour, Checkpoint: time.Minute, Compression: Fastest, Parity: true,
			},
		},
	}
	if diff := cmp.Diff(want, got, compareSecrets); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if s := got.Sources[0].Spec.(SFTP).Host.String(); s != "backup@[2001:db8::1]:2222" {
		t.Errorf("the host shows itself as %s", s)
	}
}

// Without a domain, passkeys are bound to the first name that is no address.
func TestDomainByItself(t *testing.T) {
	for names, want := range map[string]string{"safe.acme.example": "safe.acme.example", "[ 10.0.0.1, safe.acme.example, safe ]": "safe.acme.example", `[ 10.0.0.1, "::1" ]`: ""} {
		c, err := Parse("x", []byte("safe: a\nstore: /s\nserve: { listen: 0.0.0.0:1, name: "+names+" }\nsources: {}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Serve.Passkeys.Domain; got != want {
			t.Errorf("name: %s: passkeys are bound to %q, want %q", names, got, want)
		}
	}
}

// TestOrigins: browsers find pages where passkeys are good, and nowhere else, and
// people's programs the safe under its first name: both at the port that people
// connect to.
func TestOrigins(t *testing.T) {
	tests := []struct {
		serve string
		url   string
		want  []string
	}{
		{"listen: 0.0.0.0:8443, name: safe.acme.example", "https://safe.acme.example:8443", []string{"https://safe.acme.example:8443"}},
		{"listen: 0.0.0.0:443, name: safe.acme.example", "https://safe.acme.example:443", []string{"https://safe.acme.example"}},
		{"listen: 0.0.0.0:8443, port: 443, name: safe.acme.example", "https://safe.acme.example:443", []string{"https://safe.acme.example"}},
		{"listen: 0.0.0.0:443, port: 8443, name: safe.acme.example", "https://safe.acme.example:8443", []string{"https://safe.acme.example:8443"}},
		{`listen: "[::]:8443", name: [ "2001:db8::1", safe.acme.example, safe.other.example, notacme.example, acme.example ], passkeys: { domain: acme.example }`,
			"https://[2001:db8::1]:8443", []string{"https://safe.acme.example:8443", "https://acme.example:8443"}},
		{"listen: 0.0.0.0:8443, name: 192.0.2.1", "https://192.0.2.1:8443", nil},
	}
	for _, tt := range tests {
		c, err := Parse("x", []byte("safe: a\nstore: /s\nserve: { "+tt.serve+" }\nsources: {}\n"))
		if err != nil {
			t.Fatal(err)
		}
		if got := c.Serve.URL(); got != tt.url {
			t.Errorf("%s: people reach it at %s, want %s", tt.serve, got, tt.url)
		}
		if diff := cmp.Diff(tt.want, c.Serve.Origins()); diff != "" {
			t.Errorf("%s (-want +got)\n%s", tt.serve, diff)
		}
	}
}

// TestMistakes reads every testdata/mistakes/*.yaml and compares what is said
// about it with the .txt beside it.
func TestMistakes(t *testing.T) {
	files, err := filepath.Glob("testdata/mistakes/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, name := range files {
		t.Run(filepath.Base(name), func(t *testing.T) {
			b, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			_, err = Parse(filepath.Base(name), b)
			var all Errors
			if !errors.As(err, &all) {
				t.Fatalf("Parse = %v, want Errors", err)
			}
			golden(t, strings.TrimSuffix(name, ".yaml")+".txt", []byte(err.Error()+"\n"))
		})
	}
}

func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	if *update {
		if err := os.WriteFile(name, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(got)); diff != "" {
		t.Errorf("%s (-want +got; -update writes it anew):\n%s", name, diff)
	}
}

// TestValues puts one value at a time into an else good file.
func TestValues(t *testing.T) {
	const ok = ""
	tests := []struct{ key, value, problem string }{
		{"store", "srv/strongroom", `expected the absolute path of a folder, found "srv/strongroom"`},
		{"store", "s3://bucket/prefix", "a URL is not yet supported by this version"},
		{"store", "/var/lib", "expected a folder that does not contain `dir`"},
		{"store", "/var/lib/strongroom", "expected a folder that does not contain `dir`"},
		{"store", "/var/lib/strong", ok},
		{"store", `"/srv\n"`, `found "/srv\n"`},
		{"state", "postgres://me:hunter2@db/state", "a URL is not yet supported by this version"},
		{"state", "mysql", `expected sqlite, found "mysql"`},
		{"safe", "Acme Inc.", `expected a name of lower-case letters, digits and hyphens, found "Acme Inc."`},
		{"safe", "2024", `found "2024"`},
		{"keep", "{ daily: 0d }", `expected a span such as 35d`},
		{"keep", "{ daily: 35 }", `found "35"`},
		{"keep", "{ daily: -1d }", `found "-1d"`},
		{"keep", "{ daily: 101y }", `at most 100 years, found "101y"`},
		{"keep", "{ weekly: 13w }", "keep lacks the key `daily`"},
		{"keep", "{ daily: 35d, weekly: 4w }", "expected at least 35d, which is what `daily` says, found \"4w\""},
		{"keep", "{ daily: 35d, weekly: 13w, yearly: 2mo }", "expected at least 13w, which is what `weekly` says, found \"2mo\""},
		{"keep", "{ daily: 35d, at_least: 0 }", "expected a number from 1 to 1000"},
		{"keep", "{ daily: 35d, at_least: 0x2 }", "expected a number from 1 to 1000"},
		{"keep", "{ daily: 35d, at_least: two }", "expected a number from 1 to 1000"},
		{"keep", "35d", "expected keys and values of keep"},

		{"mail", "{ server: mail.acme.example:587, from: a@b.example }", ok},
		{"mail", "{ server: mail.acme.example:587 }", "mail lacks the key `from`"},
		{"mail", "{ server: mail.acme.example, from: a@b }", `expected host:port such as mail.acme.example:587, found "mail.acme.example"`},
		{"mail", "{ server: mail.acme.example:65536, from: a@b }", "a port is at most 65535"},
		{"mail", `{ server: "[1.2.3]:25", from: a@b }`, "not an IP address in the brackets"},
		{"mail", "{ server: smtp://me:hunter2@mail:25, from: a@b }", "expected host:port"},
		{"mail", "{ server: mail:25, from: me }", `expected a mail address such as`},
		{"mail", "{ server: mail:25, from: Me <a@b> }", `expected a mail address such as`},
		{"mail", `{ server: mail:25, from: "a@b\r\nRCPT TO:<c@d>" }`, `expected a mail address such as`},
		{"mail", "{ server: mail:25, from: a@b, to: [a@b, ab] }", `expected a mail address such as backup-team@acme.example, found "ab"`},
		{"mail", "{ server: mail:25, from: a@b, tls: none }", "without TLS everybody on the way to `mail` can read and change mails"},
		{"mail", "{ server: 10.0.0.1:25, from: a@b, tls: none }", "only a server on this host"},
		{"mail", "{ server: localhost:25, from: a@b, tls: none }", ok},
		{"mail", "{ server: 127.0.0.2:25, from: a@b, tls: none }", ok},
		{"mail", "{ server: mail:25, from: a@b, user: me }", "`user` goes with `password`, which is missing"},
		{"mail", "{ server: mail:25, from: a@b, password: file:/p }", "`password` goes with `user`, which is missing"},
		{"mail", "{ server: mail:25, from: a@b, user: me, password: hunter2 }", "expected file: with an absolute path"},
		{"mail", `{ server: mail:25, from: a@b, subject_prefix: "a\r\nBcc: c@d" }`, "expected a short text on one line"},
		{"mail", "{ server: mail:25, from: a@b, subject_prefix: " + strings.Repeat("x", 61) + " }", "longer than 60 bytes"},

		{"serve", "{ listen: 0.0.0.0:8443, name: safe.acme.example }", ok},
		{"serve", `{ listen: "[::]:8443", name: "::1", tls: auto }`, ok},
		{"serve", "{ name: safe }", "serve lacks the key `listen`"},
		{"serve", "{ listen: 0.0.0.0:8443 }", "serve lacks the key `name`"},
		{"serve", "8443", "expected keys and values of serve"},
		{"serve", "{ listen: 8443, name: safe }", "expected an IP address and a port such as 0.0.0.0:8443"},
		{"serve", "{ listen: 0.0.0.0, name: safe }", "expected an IP address and a port"},
		{"serve", "{ listen: safe:8443, name: safe }", "expected an IP address and a port"},
		{"serve", "{ listen: 0.0.0.0:0, name: safe }", "expected an IP address and a port"},
		{"serve", "{ listen: 0.0.0.0:65536, name: safe }", "expected an IP address and a port"},
		{"serve", `{ listen: "[fe80::1%eth0]:1", name: safe }`, "expected an IP address and a port"},
		{"serve", "{ listen: 0.0.0.0:1, port: 443, name: safe }", ok},
		{"serve", "{ listen: 0.0.0.0:1, port: 0, name: safe }", "expected a number from 1 to 65535"},
		{"serve", "{ listen: 0.0.0.0:1, port: 65536, name: safe }", "expected a number from 1 to 65535"},
		{"serve", `{ listen: 0.0.0.0:1, port: "443", name: safe }`, "expected a number from 1 to 65535"},
		{"serve", "{ listen: 0.0.0.0:1, name: [] }", "expected a name such as safe.acme.example or a list of them"},
		{"serve", "{ listen: 0.0.0.0:1, name: Safe }", `in lower case, or an IP address, found "Safe"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe_1 }", `found "safe_1"`},
		{"serve", `{ listen: 0.0.0.0:1, name: "*.acme.example" }`, `found "*.acme.example"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example. }", `found "safe.acme.example."`},
		{"serve", "{ listen: 0.0.0.0:1, name: 10.0.0.256 }", `found "10.0.0.256"`},
		{"serve", `{ listen: 0.0.0.0:1, name: "" }`, `found ""`},
		{"serve", "{ listen: 0.0.0.0:1, name: 0.0.0.0 }", "nobody can connect to that address"},
		{"serve", `{ listen: 0.0.0.0:1, name: "2001:DB8::1" }`, "it is spelled 2001:db8::1"},
		{"serve", "{ listen: 0.0.0.0:1, name: https://safe }", "found a URL"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe:8443 }", `found "safe:8443"`},
		{"serve", "{ listen: 0.0.0.0:1, name: " + strings.Repeat("a.", 126) + "ab }", "expected a name such as"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe, tls: none }", `expected auto, or keys and values such as { cert: FILE, key: FILE }, found "none"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe, tls: { cert: /c } }", "tls lacks the key `key`"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe, tls: { cert: c, key: /k } }", `expected the absolute path of a file, found "c"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe, tls: { cert: /, key: /k } }", "expected the absolute path of a file"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe, gate: 2222 }", "expected keys and values of gate"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe, gate: { name: safe } }", "gate lacks the key `listen`"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe, passkeys: {} }", ok},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: acme.example } }", ok},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: safe.acme.example, release_pages: [] } }", ok},
		{"serve", "{ listen: 0.0.0.0:1, name: localhost, passkeys: { domain: localhost } }", ok},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: acme.example }", "expected keys and values of passkeys"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { rp_id: acme.example } }", "unknown key `rp_id`"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: Acme.example } }", `expected a name such as acme.example, in lower case, found "Acme.example"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: 10.0.0.1 } }", "expected a name such as acme.example"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: https://acme.example } }", "found a URL"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: other.example } }", `expected a name of the safe or a domain above one, or browsers refuse passkeys on its pages, found "other.example"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: cme.example } }", `found "cme.example"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: new.safe.acme.example } }", `found "new.safe.acme.example"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: example } }", `expected a domain of your own, or browsers refuse passkeys for it, found "example"`},
		{"serve", "{ listen: 0.0.0.0:1, name: 10.0.0.1, passkeys: { domain: acme.example } }", `found "acme.example"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: acme.example, release_pages: [ https://release.acme.example ] } }", ok},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { release_pages: https://release.acme.example } }", "expected a list of origins such as"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { release_pages: [ https://release.acme.example ] } }", "expected a page of `safe.acme.example` or of a name below it"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: acme.example, release_pages: [ https://evilacme.example ] } }", `found "https://evilacme.example"`},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: acme.example, release_pages: [ http://release.acme.example ] } }", "expected an origin such as https://release.acme.example, in lower case and with nothing behind it"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: acme.example, release_pages: [ https://release.acme.example/ ] } }", "with nothing behind it"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: acme.example, release_pages: [ 'https://me:hunter2@acme.example' ] } }", "with nothing behind it"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { release_pages: [ https://me:hunter2@acme.example ] } }", "in quotes, found a mapping"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe.acme.example, passkeys: { domain: acme.example, release_pages: [ 'https://acme.example:443' ] } }", "expected https://acme.example without the port"},
		{"serve", "{ listen: 0.0.0.0:8443, port: 443, name: safe.acme.example, passkeys: { release_pages: [ 'https://safe.acme.example:8443' ] } }", ok},
		{"serve", "{ listen: 0.0.0.0:8443, port: 443, name: safe.acme.example, passkeys: { release_pages: [ https://safe.acme.example ] } }", `expected a page on another host, found the safe's own "https://safe.acme.example"`},
		{"serve", "{ listen: 0.0.0.0:1, name: 10.0.0.1, passkeys: { release_pages: [ https://acme.example ] } }", "browsers make no passkeys for addresses"},
		{"serve", "{ listen: 0.0.0.0:1, name: safe, gate: { listen: 10.0.0.1:1 } }", "expected another port for the gate than for the people's API, found 1 for both"},

		{"kind", "sfpt", "unknown kind `sfpt`, did you mean `sftp`?"},
		{"kind", "postgres", "unknown kind `postgres`; known are sftp, command, facts, facts-api, local"},
		{"kind", "[sftp]", "expected sftp or command or facts or facts-api or local, found a list"},
		{"host", "erp-app.acme.example", `"erp-app.acme.example" lacks the user`},
		{"host", "me@erp:0", "expected user@host or user@host:port"},
		{"host", "me@erp:65536", "a port is at most 65535"},
		{"host", "me@2001:db8::1", "an IPv6 address goes into brackets"},
		{"host", `"me@[1.2.3]"`, "not an IP address in the brackets"},
		{"host", "me@-oProxyCommand=x", "expected user@host"},
		{"host", "me@sftp://erp", "expected user@host or user@host:port: found a URL"},
		{"host", "-l@erp", "expected user@host"},
		{"host_key", "AAAAC3NzaC1lZDI1NTE5AAAA", "is not a kind of key that is taken: ssh-ed25519, "},
		{"host_key", "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAA", "the key is damaged"},
		{"host_key", strings.Replace(aKey, "ssh-ed25519", "ssh-rsa", 1), "the key is damaged"},
		{"host_key", "ssh-dss AAAA", "is not a kind of key that is taken"},
		{"host_key", "[]", "expected a host key or a list of them"},
		{"host_key", "[" + aKey + ", x]", `"x" is not a kind of key that is taken`},
		{"key", "/etc/strongroom/key", "expected file: with an absolute path or credential: with a name"},
		{"key", "file:secrets/key", "expected file: with an absolute path"},
		{"key", "credential:../key", "expected file: with an absolute path"},
		{"key", "[file:/x]", "expected file: with an absolute path"},
		{"include", "/etc", `expected a list of at least one pattern, found "/etc"`},
		{"include", "[]", "expected a list of at least one pattern, found a list"},
		{"include", "", "expected a list of at least one pattern, found nothing"},
		{"include", "[etc/erp]", `expected a pattern that begins with / or **, found "etc/erp"`},
		{"include", `["*.tmp"]`, `found "*.tmp"`},
		{"include", "[/etc/../root]", `it has the component ".."`},
		{"include", `["/etc\e[2J"]`, "it has a control character"},
		{"include", "[/etc, [/srv]]", "found a list"},
		{"exclude", "[]", ok},
		{"reread", "0d", "expected a duration such as"},
		{"reread", "30", "expected a duration such as"},
		{"reread", "1.5d", "expected a duration such as"},
		{"reread", "3651d", `"3651d" is too large`},
		{"reread", "999999999999999999w", "is too large"},
		{"allow_unreadable", "yes", `expected true or false, found "yes"`},
		{"limits", "{ bytes: 2 TB }", `expected a size such as 500MB or 2TB, found "2 TB"`},
		{"limits", "{ bytes: 2000 }", `expected a size such as 500MB or 2TB, found "2000"`},
		{"limits", "{ bytes: -2TB }", `found "-2TB"`},
		{"limits", "{ bytes: 0TB }", `found "0TB"`},
		{"limits", "{ bytes: 99999PB }", "is too large"},
		{"limits", "{ entries: -1 }", "expected a number above 0"},
		{"limits", "{ entries: 10K }", "expected a number above 0"},
		{"limits", "{ rate: 50MB }", "expected a rate such as 50MB/s"},
		{"limits", "{ time: 8h }", "unknown key `time`"},
		{"connections", "9", "expected a number from 1 to 8"},
		{"connections", "99999999999999999999", "expected a number from 1 to 8"},
		{"compression", "bettr", "unknown value `bettr`, did you mean `better`?"},
		{"parity", `"true"`, "expected true or false"},

		{"command", "pg_dump erp", ok},
		{"command", `""`, `expected a line of text, found ""`},
		{"command", `"dump\nrm"`, "expected a line of text"},
		{"command", strings.Repeat("x", 4097), "it has 4097 bytes, at most 4096 are possible"},
		{"command", "[pg_dump, erp]", "expected a line of text, found a list"},
		{"ends_with", "-- Dump completed", ok},
		{"ends_with", `"-- Dump completed "`, "expected a line of text"},
		{"name", "erp.sql", ok},
		{"name", "erp/dump.sql", `expected the name of a file, without /, found "erp/dump.sql"`},
		{"name", "..", `expected the name of a file, without /, found ".."`},
		{"name", strings.Repeat("n", 256), "expected the name of a file"},
		{"name", `"a\x1b[2J"`, "expected the name of a file"},
		{"allow_empty", "1", "expected true or false"},
		{"stall", "never", "expected a duration such as"},
	}
	for _, tt := range tests {
		t.Run(tt.key+" "+tt.value, func(t *testing.T) {
			top := map[string]string{"safe": "acme", "store": "/srv/strongroom"}
			source := map[string]string{"kind": "sftp", "host": "me@erp", "host_key": aKey, "key": "file:/k", "include": "[/etc]"}
			switch {
			case strings.Contains("safe store state keep mail serve", tt.key):
				top[tt.key] = tt.value
			case strings.Contains("command ends_with name allow_empty stall", tt.key):
				source["kind"] = "command"
				delete(source, "include")
				fallthrough
			default:
				source[tt.key] = tt.value
			}
			var b strings.Builder
			for k, v := range top {
				b.WriteString(k + ": " + v + "\n")
			}
			b.WriteString("sources:\n  erp:\n")
			for k, v := range source {
				b.WriteString("    " + k + ": " + v + "\n")
			}
			_, err := Parse("x", []byte(b.String()))
			if tt.problem == ok {
				if err != nil {
					t.Error(err)
				}
				return
			}
			var all Errors
			if !errors.As(err, &all) || len(all) != 1 {
				t.Fatalf("Parse = %v, want one mistake", err)
			}
			e := all[0]
			if !strings.Contains(e.Problem, tt.problem) {
				t.Errorf("said %q, want %q", e.Problem, tt.problem)
			}
			if strings.ContainsAny(e.Problem+e.Excerpt, "\x1b\n") || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("the text of the error is not safe: %q", err)
			}
			line := strings.Split(b.String(), "\n")[e.Line-1]
			if at := strings.TrimSpace(line); !strings.HasPrefix(at, tt.key) && !strings.HasPrefix(at, "daily") {
				t.Errorf("reported at %d:%d, %q, want the line of %s", e.Line, e.Column, line, tt.key)
			}
		})
	}
}

func TestSecretsStayOutOfErrors(t *testing.T) {
	for _, text := range []string{
		"    key: hunter2",
		"    key: |\n      hunter2",
		"    key: >-\n\n      hunter2",
		"    key: [ hunter2 ]",
		"    key: -----BEGIN OPENSSH PRIVATE KEY-----\nhunter2: x: y",
		"    kind: AGE-SECRET-KEY-hunter2",
		"    key: { x: hunter2 }",
		"    key: hunter2\n    key: hunter2",
		"    key: file:/k\n    key: hunter2",
		"    password: hunter2",
		"    password: { is: hunter2 }",
		"    password:\n      is: hunter2",
		"    store: x\n    dsn: postgres://me:hunter2@db/x",
		"    host: me:hunter2://x",
	} {
		_, err := Parse("x", []byte("safe: a\nstore: /s\nsources:\n  erp:\n    kind: sftp\n"+text+"\n"))
		if err == nil || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%q:\n%v", text, err)
		}
	}
}

func TestBounds(t *testing.T) {
	lines := func(n int, line string) string { return strings.Repeat(line+"\n", n) }
	tests := []struct{ name, text, problem string }{
		{"too large", "# " + strings.Repeat("x", maxFile), "the file is larger than 1 MiB"},
		{"too many tokens", "a: [" + strings.Repeat("b,", maxTokens) + "]", "words and marks"},
		{"deep flow", strings.Repeat("[", 50_000), "too many brackets inside each other"},
		{"deep braces", strings.Repeat("{a: ", 10_000), "too many brackets inside each other"},
		{"deep lists", strings.Repeat("- ", 10_000) + "x", "too many lists inside each other"},
		{"long line", "a: " + strings.Repeat("x", 500_000), "unknown key"},
		{"many mistakes", lines(2000, "safe: 1"), "(and 19"},
		{"laughs", "a: &a [x, x]\nb: &b [*a, *a]\nc: [*b, *b]\n", "anchors and merges"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			begun := time.Now()
			_, err := Parse("x", []byte(tt.text))
			if err == nil || !strings.Contains(err.Error(), tt.problem) {
				t.Errorf("Parse = %.300v, want %q", err, tt.problem)
			}
			if err != nil && len(err.Error()) > 40_000 {
				t.Errorf("an error of %d bytes", len(err.Error()))
			}
			if took := time.Since(begun); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

func TestLoad(t *testing.T) {
	dir := t.TempDir()
	name := filepath.Join(dir, "strongroom.yaml")
	if _, err := Load(name); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("Load of no file: %v", err)
	}
	if err := os.WriteFile(name, []byte(Example()), 0o644); err != nil {
		t.Fatal(err)
	}
	if c, err := Load(name); err != nil || c.Safe != "acme" {
		t.Errorf("Load = %v, %v", c, err)
	}
	if err := os.WriteFile(name, []byte("safe: acme\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	var all Errors
	var one *Error
	_, err := Load(name)
	if !errors.As(err, &all) || !errors.As(err, &one) || one.File != name || one.Line != 1 {
		t.Errorf("Load = %v, want Errors that name %s", err, name)
	}
}

func TestSchema(t *testing.T) {
	got := Schema()
	if !bytes.Equal(got, Schema()) {
		t.Error("Schema differs from call to call")
	}
	golden(t, "testdata/config.schema.json", got)
}

// TestSchemaDefaults writes the schema's defaults out: they must be those of
// the code.
func TestSchemaDefaults(t *testing.T) {
	type object struct {
		Properties map[string]struct {
			Default              any
			AdditionalProperties json.RawMessage
			Properties           map[string]struct{ Default any }
		}
	}
	var root object
	if err := json.Unmarshal(Schema(), &root); err != nil {
		t.Fatal(err)
	}
	var perKind struct{ OneOf []object }
	if err := json.Unmarshal(root.Properties["sources"].AdditionalProperties, &perKind); err != nil {
		t.Fatal(err)
	}
	defaults := func(indent string, o object) string {
		var b strings.Builder
		for name, p := range o.Properties {
			if p.Default != nil {
				v, err := json.Marshal(p.Default)
				if err != nil {
					t.Fatal(err)
				}
				b.WriteString(indent + name + ": " + string(v) + "\n")
			}
		}
		return b.String()
	}
	const top = "safe: a\nstore: /s\n"
	const source = "sources:\n  a:\n    kind: sftp\n    host: a@b\n    key: file:/k\n    include: [/]\n    host_key: " + aKey + "\n"
	if defaults("", root) == "" || defaults("    ", perKind.OneOf[0]) == "" {
		t.Fatal("the schema has no defaults")
	}
	want, err := Parse("x", []byte(top+source))
	if err != nil {
		t.Fatal(err)
	}
	got, err := Parse("x", []byte(top+defaults("", root)+source+defaults("    ", perKind.OneOf[0])))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, compareSecrets); diff != "" {
		t.Errorf("the schema's defaults are not those of the code (-code +schema):\n%s", diff)
	}
}

// TestSchemaTakesWhatParseTakes: an editor must not complain about a value
// that is good.
func TestSchemaTakesWhatParseTakes(t *testing.T) {
	takes := func(s schema, written string) {
		t.Helper()
		if !regexp.MustCompile(s.Pattern).MatchString(written) {
			t.Errorf("the schema's pattern %s does not take %q", s.Pattern, written)
		}
	}
	for s := range strings.FieldsSeq("1d 35d 5218w 24mo 100y") {
		takes(span.schema, s)
	}
	for s := range strings.FieldsSeq("1B 2kB 3MB 4GB 5TB 6PB 7KiB 8MiB 9GiB 1TiB 2PiB") {
		takes(size.schema, s)
		takes(rate.schema, s+"/s")
	}
	for s := range strings.FieldsSeq("90s 30min 8h 30d 4w") {
		takes(duration.schema, s)
	}
	for s := range strings.FieldsSeq("a@b a.b@c-d.e:22 a@[::1]:22 a@127.0.0.1") {
		takes(host.schema, s)
	}
	for s := range strings.FieldsSeq("file:/a credential:a") {
		takes(secret.schema, s)
	}
	for s := range strings.FieldsSeq("/ /a/** **/b") {
		takes(pattern.schema, s)
	}
	for s := range strings.FieldsSeq("mail:25 mail.acme.example:587 [::1]:25 127.0.0.1:65535") {
		takes(server.schema, s)
	}
	for s := range strings.FieldsSeq("0.0.0.0:8443 [::]:1 [::ffff:1.2.3.4]:65535") {
		takes(listen.schema, s)
	}
	for s := range strings.FieldsSeq("safe safe-1.acme.example 10.0.0.5 ::1 2001:db8::1") {
		takes(hostName.schema, s)
	}
	for s := range strings.FieldsSeq("localhost acme.example") {
		takes(domainName.schema, s)
	}
	for s := range strings.FieldsSeq("https://acme.example https://safe-1.acme.example:8443") {
		takes(origin.schema, s)
	}
	for s := range strings.FieldsSeq("a@b o'brien+x.y@acme.example") {
		takes(address.schema, s)
	}
	for s := range strings.FieldsSeq("host/a database/erp service/shop/db resource/aws_instance.web[0] external/x") {
		takes(component.schema, s)
	}
	takes(date.schema, "2027-06-30")
	takes(hostKey.schema, aKey)
	takes(hostKey.schema, aKey+" root@erp")
	takes(safeName.schema, "acme-2")
	takes(folder.schema, "/srv")
}

func FuzzParse(f *testing.F) {
	f.Add([]byte(Example()))
	files, _ := filepath.Glob("testdata/mistakes/*.yaml")
	for _, name := range files {
		b, err := os.ReadFile(name)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		c, err := Parse("fuzz", b)
		if err != nil {
			var all Errors
			if !errors.As(err, &all) || len(all) == 0 {
				t.Fatalf("an error that is not Errors: %v", err)
			}
			for i, e := range all {
				if e.Line < 1 || e.Column < 1 || e.Problem == "" || i > 0 && e.Line < all[i-1].Line {
					t.Errorf("a mistake without its place, or out of order: %+v", e)
				}
				if !isPlain(e.Problem) || !isPlain(e.Excerpt) {
					t.Errorf("control characters in %q", e)
				}
			}
			return
		}
		for _, s := range c.Sources {
			if s.Spec == nil || s.Name == "" || s.Keep.Daily.IsZero() || s.Reread <= 0 || s.Refresh <= 0 || s.Limits.Bytes < 0 || s.Limits.Entries < 0 {
				t.Errorf("a source that is not whole: %+v", s)
			}
		}
	})
}

// TestFactsAPI writes one key of a source of that kind in other ways.
func TestFactsAPI(t *testing.T) {
	const ok = ""
	for _, test := range []struct{ key, value, want string }{
		{"url", "https://jaeger.acme.example:8443/api/dependencies", ok},
		{"url", `"https://[2001:db8::1]:16686/"`, ok},
		{"url", "jaeger.acme.example", "expected an address such as https://jaeger.acme.example"},
		{"url", "ftp://jaeger.acme.example", "expected an address such as"},
		{"url", "https://", "expected an address such as"},
		{"url", "https://jaeger:0/", "with a port from 1 to 65535"},
		{"url", "https://jaeger:65536/", "with a port from 1 to 65535"},
		{"url", "https://me:hunter2@jaeger/", "without a user or a password"},
		{"url", "[https://me:hunter2@jaeger/]", "expected an address such as"},
		{"url", "http://jaeger.acme.example/", "expected https:// in `url`, since `token` would be sent for everybody"},
		{"url", "http://127.0.0.1:16686/", ok},
		{"url", "http://localhost:16686/", ok},
		{"url", "https://jaeger/" + strings.Repeat("x", maxWebAddress), "expected an address such as"},
		{"format", "zipkin", "unknown value `zipkin`"},
		{"authorization", `"Bearer x"`, `expected a word such as Bearer, found "Bearer x"`},
		{"scope", "prod/eu", ok},
		{"scope", `"prod eu"`, `expected a name without blanks such as prod, found "prod eu"`},
		{"scope", "/", "expected a name without blanks"},
		{"ca", "ca.pem", "expected the absolute path of a file"},
		{"token", "hunter2", "expected file: with an absolute path or credential: with a name"},
		{"host", "me@jaeger", "unknown key `host`"},
	} {
		values := map[string]string{"kind": "facts-api", "url": "https://jaeger/", "format": "jaeger", "token": "credential:jaeger", test.key: test.value}
		text := "safe: acme\nstore: /srv/strongroom\nsources:\n  calls:\n"
		for key, value := range values {
			text += "    " + key + ": " + value + "\n"
		}
		_, err := Parse("strongroom.yaml", []byte(text))
		switch {
		case test.want == ok && err != nil:
			t.Errorf("%s: %s: %v", test.key, test.value, err)
		case test.want != ok && (err == nil || !strings.Contains(err.Error(), test.want)):
			t.Errorf("%s: %.80s: the error is %v, want %s", test.key, test.value, err, test.want)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("%s: %s: the error shows a secret: %v", test.key, test.value, err)
		}
	}
	for format, want := range map[string]string{"netbox": "Token", "kiali": "Bearer"} {
		c, err := Parse("strongroom.yaml", []byte("safe: acme\nstore: /s\nsources: { a: { kind: facts-api, url: 'https://x/', format: "+format+" } }"))
		if err != nil {
			t.Fatal(err)
		}
		if api, ok := c.Sources[0].Spec.(FactsAPI); !ok || api.Scheme != want || api.Scope != "a" || !api.Token.IsZero() {
			t.Errorf("%s by itself is %+v, want %s and the scope a", format, api, want)
		}
	}
}
