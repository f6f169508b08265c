// Package remotetest plays a gate to an operator: a host that shows a store as
// a gate does.
package remotetest

import (
	"net/netip"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/access/remote"
	"strongroom/internal/source/sftp/sshdtest"
)

// Options returns how to reach a server that shows a store.
func Options(t testing.TB, s *sshdtest.Server) remote.Options {
	t.Helper()
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(s.HostKey))
	if err != nil {
		t.Fatal(err)
	}
	signer, err := ssh.ParsePrivateKey(s.PrivateKey)
	if err != nil {
		t.Fatal(err)
	}
	return remote.Options{Addr: s.Addr, User: s.User, HostKey: key, Signer: signer, From: netip.MustParseAddr("127.0.0.1"), Stall: 20 * time.Second}
}
