package sftp_test

import (
	"net"
	"testing"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp"
	"strongroom/internal/source/sftp/sftptest"
)

// The words of package sftptest, for tables of what a server says.
type (
	fake  = sftptest.Fake
	named = sftptest.Named
)

var (
	str, u32, attrs, entry = sftptest.Str, sftptest.U32, sftptest.Attrs, sftptest.Entry
	packet, page, status   = sftptest.Packet, sftptest.Page, sftptest.Status

	silence, hangUp = sftptest.Silence, sftptest.HangUp
)

const (
	modeFile = sftptest.Regular
	modeLink = sftptest.Link
)

// fakeSSH starts an SSH server whose sftp subsystem is serve, and returns
// options that lead to it.
func fakeSSH(t *testing.T, host ssh.Signer, serve func(channel ssh.Channel, conn net.Conn)) sftp.Options {
	t.Helper()
	server := sftptest.Start(t, host, serve)
	return sftp.Options{
		Addr: server.Addr, User: server.User, Key: server.PrivateKey, Include: []string{"/d"},
		HostKeys:       []string{server.HostKey},
		StallTimeout:   time.Second,
		ConnectTimeout: 5 * time.Second,
	}
}
