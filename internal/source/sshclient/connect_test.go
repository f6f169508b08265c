package sshclient_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"errors"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/source/sftp/sftptest"
	"strongroom/internal/source/sshclient"
)

// server starts an SSH server and returns options that lead to it.
func server(t *testing.T, host ssh.Signer) sshclient.Options {
	t.Helper()
	s := sftptest.Start(t, host, func(channel ssh.Channel, _ net.Conn) { channel.Close() })
	return sshclient.Options{Addr: s.Addr, User: s.User, HostKeys: []string{s.HostKey}, Key: s.PrivateKey}
}

// connect makes a connection that is for nothing.
func connect(t *testing.T, o sshclient.Options) error {
	t.Helper()
	host, err := sshclient.New(o)
	if err != nil {
		t.Fatal(err)
	}
	conn, err := host.Connect(t.Context(), func(*sshclient.Conn) error { return nil })
	if err == nil {
		conn.Close()
	}
	return err
}

func rsaKey(t *testing.T) *rsa.PrivateKey {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	return key
}

func TestHostKey(t *testing.T) {
	host := sftptest.Signer(t, sftptest.NewKey(t))
	other := sftptest.Signer(t, sftptest.NewKey(t))
	rsaHost := sftptest.Signer(t, rsaKey(t))
	line := func(s ssh.Signer) string { return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(s.PublicKey()))) }
	tests := []struct {
		name   string
		host   ssh.Signer
		pinned []string
		got    string // in the error; "none" for no error
	}{
		{"the pinned key", host, []string{line(host)}, "none"},
		{"one of two", host, []string{line(other), line(host)}, "none"},
		{"rsa", rsaHost, []string{line(rsaHost)}, "none"},
		{"another key", host, []string{line(other)}, "ssh-ed25519 " + ssh.FingerprintSHA256(host.PublicKey())},
		{"a key of another type", rsaHost, []string{line(other)}, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := server(t, tt.host)
			o.HostKeys = tt.pinned
			err := connect(t, o)
			var wrong *sshclient.HostKeyError
			if !errors.As(err, &wrong) {
				if err != nil || tt.got != "none" {
					t.Errorf("error %v, want a HostKeyError", err)
				}
				return
			}
			want := &sshclient.HostKeyError{Addr: o.Addr, Got: tt.got}
			for _, text := range tt.pinned {
				key, _, _, _, _ := ssh.ParseAuthorizedKey([]byte(text))
				want.Want = append(want.Want, key.Type()+" "+ssh.FingerprintSHA256(key))
			}
			if diff := cmp.Diff(want, wrong); diff != "" {
				t.Errorf("error (-want +got):\n%s", diff)
			}
			for _, advice := range []string{"console", "host_key", "attack", want.Want[0], tt.got} {
				if !strings.Contains(err.Error(), advice) {
					t.Errorf("the error does not say %q: %v", advice, err)
				}
			}
		})
	}
}

func TestKeyNotAccepted(t *testing.T) {
	o := server(t, sftptest.Signer(t, sftptest.NewKey(t)))
	o.Key = server(t, sftptest.Signer(t, sftptest.NewKey(t))).Key
	err := connect(t, o)
	if err == nil || !strings.Contains(err.Error(), "authorized_keys") || !strings.Contains(err.Error(), "SHA256:") || strings.Contains(err.Error(), "banner") {
		t.Errorf("error %v", err)
	}
}

// TestConnectEnds fails, delays and cancels what comes after the login: the
// reason is told, and the connection does not stay.
func TestConnectEnds(t *testing.T) {
	why := errors.New("the reason")
	silent := func(c *sshclient.Conn) error {
		channel, _, err := c.Session()
		if err != nil {
			return err
		}
		_, err = channel.Read(make([]byte, 1))
		return err
	}
	tests := []struct {
		name  string
		begin func(cancel context.CancelCauseFunc) func(*sshclient.Conn) error
		err   string
	}{
		{"begin fails", func(context.CancelCauseFunc) func(*sshclient.Conn) error {
			return func(*sshclient.Conn) error { return why }
		}, "the reason"},
		{"begin takes too long", func(context.CancelCauseFunc) func(*sshclient.Conn) error { return silent }, "took longer than"},
		{"cancelled", func(cancel context.CancelCauseFunc) func(*sshclient.Conn) error {
			return func(c *sshclient.Conn) error {
				cancel(why)
				return silent(c)
			}
		}, "the reason"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			o := server(t, sftptest.Signer(t, sftptest.NewKey(t)))
			o.Timeout = 300 * time.Millisecond
			host, err := sshclient.New(o)
			if err != nil {
				t.Fatal(err)
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			conn, err := host.Connect(ctx, tt.begin(cancel))
			if conn != nil || err == nil || !strings.Contains(err.Error(), tt.err) {
				t.Errorf("connection %v, error %v, want one with %q", conn, err, tt.err)
			}
		})
	}
}

func TestPrintable(t *testing.T) {
	for _, tt := range []struct {
		text string
		most int
		want string
	}{
		{"plain words", 20, "plain words"},
		{"\x1b[31mred\x07\r\n\u202e", 20, "?[31mred????"},
		{"grüße", 3, "grü..."},
		{"", 0, ""},
	} {
		if got := sshclient.Printable(tt.text, tt.most); got != tt.want {
			t.Errorf("%q, at most %d: %q, want %q", tt.text, tt.most, got, tt.want)
		}
	}
}
