package promise

import (
	"os"
	"strings"
	"testing"

	"strongroom/internal/source/sftp/sshdtest"
)

// TestReachingAHost tells what becomes of a collection whose host or
// credential is not what it should be. In whatever way it fails, the
// credential is seen by nobody.
func TestReachingAHost(t *testing.T) {
	server, other := sshdtest.ForTest(t, sshdtest.Options{}), sshdtest.ForTest(t, sshdtest.Options{})
	folder := t.TempDir()
	write(t, folder, map[string]string{"file": "content"})
	right := sftpSource("files", server, folder, "")
	s := newSite(t, right)
	marks := append(credentialMarks(t, server.PrivateKey), credentialMarks(t, other.PrivateKey)...)

	failed := map[string]int{"run.begun": 1, "run.failed": 1}
	tests := []struct {
		name   string
		from   string // in the configuration
		to     string
		mode   os.FileMode // of the credential's file
		code   int
		say    []string
		ledger map[string]int // entries that are added
	}{
		{
			name: "as it should be", mode: 0o600,
			ledger: map[string]int{"run.begun": 1, "snapshot.kept": 1},
		},
		{
			name: "another host key", from: server.HostKey, to: other.HostKey, mode: 0o600, code: 4,
			say:    []string{"pinned is ssh-ed25519 SHA256:", "shows the host key ssh-ed25519 SHA256:", "at the console", "update host_key", "treat it as an attack"},
			ledger: map[string]int{"run.begun": 1, "run.failed": 1, "finding.raised": 1},
		},
		{
			name: "another host", from: server.Addr, to: other.Addr, mode: 0o600, code: 4,
			say:    []string{other.Addr, "at the console"},
			ledger: map[string]int{"run.begun": 1, "run.failed": 1, "finding.raised": 1},
		},
		{
			name: "an unknown user", from: server.User + "@", to: "nobody-of-that-name@", mode: 0o600, code: 1,
			say:    []string{"nobody-of-that-name", "authorized_keys"},
			ledger: map[string]int{"run.begun": 1, "run.failed": 1},
		},
		{
			name: "another's credential", from: server.KeyFile, to: other.KeyFile, mode: 0o600, code: 1,
			say:    []string{"authorized_keys", "SHA256:"},
			ledger: map[string]int{"run.begun": 1, "run.failed": 1},
		},
		{name: "a credential that others can read", mode: 0o644, code: 1, say: []string{"chmod 0400 " + server.KeyFile}, ledger: failed},
		{name: "a credential that the group can read", mode: 0o440, code: 1, say: []string{"chmod 0400 " + server.KeyFile}, ledger: failed},
		{name: "no credential", from: server.KeyFile, to: server.KeyFile + ".gone", mode: 0o600, code: 1, say: []string{"user_key.gone", "no such file"}, ledger: failed},
	}
	kinds := []string{"run.begun", "run.failed", "snapshot.kept", "finding.raised"}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if err := os.Chmod(server.KeyFile, tt.mode); err != nil {
				t.Fatal(err)
			}
			sources := right
			if tt.from != "" {
				sources = strings.Replace(right, tt.from, tt.to, 1)
			}
			s.configure(sources)
			before := map[string]int{}
			for _, kind := range kinds {
				before[kind] = len(s.ledger(kind))
			}
			r := s.run("-v", "collect", "files")
			if r.code != tt.code || !containsAll(r.err, tt.say...) {
				t.Errorf("want exit status %d and %q, got %s", tt.code, tt.say, r)
			}
			for _, kind := range kinds {
				if added := len(s.ledger(kind)) - before[kind]; added != tt.ledger[kind] {
					t.Errorf("%d entries %s were added to the ledger, want %d", added, kind, tt.ledger[kind])
				}
			}
			doctor := s.run("doctor")
			if tt.code != 0 && !containsAll(doctor.out+doctor.err, tt.say...) {
				t.Errorf("the doctor does not say %q: %s", tt.say, doctor)
			}
			nowhere(t, "what the program says", []byte(r.out+r.err+doctor.out+doctor.err), marks)
		})
	}
	findings := s.ledger("finding.raised")
	if len(findings) != 2 || !containsAll(findings[0], "source.host_key_refused", "files", "SHA256:") {
		t.Errorf("findings: %q", findings)
	}
	nowhere(t, "the ledger as it is shown", []byte(s.must("ledger", "show").out+s.must("ledger", "show", "--json").out), marks)
	everyFile(t, s.path("host"), func(path string) { nowhere(t, path, mustRead(t, path), marks) })
}
