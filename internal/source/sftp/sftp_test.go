//go:build linux

package sftp_test

import (
	"strings"
	"testing"

	"strongroom/internal/source"
	"strongroom/internal/source/sftp"
	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/source/sourcetest"
)

func options(server *sshdtest.Server) sftp.Options {
	return sftp.Options{Addr: server.Addr, User: server.User, HostKeys: []string{server.HostKey}, Key: server.PrivateKey}
}

// TestConformance runs the suite against OpenSSH; that against another server
// takes one connection only.
func TestConformance(t *testing.T) {
	server := sshdtest.ForTest(t, sshdtest.Options{})
	sourcetest.Run(t, sourcetest.Kind{
		New: func(include, exclude []string, limits source.Limits) (source.Source, error) {
			o := options(server)
			o.Include, o.Exclude, o.Limits, o.Connections = include, exclude, limits, 2
			return sftp.New(o)
		},
	})
}

// TestOwnerNames asks OpenSSH what users and groups are called on its host.
func TestOwnerNames(t *testing.T) {
	o := options(sshdtest.ForTest(t, sshdtest.Options{}))
	o.Include = []string{"/etc/passwd"}
	s, err := sftp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	for item, err := range s.Pull(t.Context(), source.Request{}) {
		if err != nil {
			t.Fatal(err)
		}
		if item.User != "root" || item.Group != "root" {
			t.Errorf("%s belongs to %q:%q", item.Path, item.User, item.Group)
		}
	}
}

func TestProbe(t *testing.T) {
	o := options(sshdtest.ForTest(t, sshdtest.Options{}))
	o.Include = []string{"/etc"}
	s, err := sftp.New(o)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context()); err != nil {
		t.Errorf("a server that is all right: %v", err)
	}
	command := options(sshdtest.ForTest(t, sshdtest.Options{ForceCommand: "/bin/false"}))
	command.Include = []string{"/etc"}
	if s, err = sftp.New(command); err != nil {
		t.Fatal(err)
	}
	if err := s.Probe(t.Context()); err == nil || !strings.Contains(err.Error(), "SFTP") {
		t.Errorf("an account without SFTP: %v", err)
	}
}
