// Package sshclient connects to a host by SSH: to one whose keys were pinned
// beforehand, and to no other, with one private key and nothing else that could
// let somebody in. Sources use it for hosts in production, and an operator's
// program for a gate.
//
// What a connection is for, SFTP or a command, is up to who makes it. What a server says here comes into no error but cleaned and bounded. That
// a server goes silent on a session is for its user to notice: keep-alives
// show firewalls that the connection is in use, and nobody waits for answers
// to them.
package sshclient

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"
)

// Options says whom to connect to, and as whom.
type Options struct {
	Addr     string   // host:port; required
	User     string   // required
	HostKeys []string // each as in "ssh-ed25519 AAAA..."; at least one
	Key      []byte   // the private key, unencrypted, in OpenSSH's or a PEM format

	// Signer is the private key if Key is nil: one that is in an agent, say.
	Signer ssh.Signer

	// Timeout is how long connecting may take, until the connection can be
	// used for what it is for; 0 means 20 seconds.
	Timeout time.Duration
	// Dial connects to Addr; nil dials TCP.
	Dial func(ctx context.Context, addr string) (net.Conn, error)
}

// A Host is somebody to connect to. Its methods may be called concurrently.
type Host struct {
	options Options
	keys    []ssh.PublicKey
	signer  ssh.Signer
}

// New checks options. No error of it holds anything of the private key.
func New(options Options) (*Host, error) {
	h := &Host{options: options, signer: options.Signer}
	if _, _, err := net.SplitHostPort(options.Addr); err != nil {
		return nil, fmt.Errorf("address %q: want host:port", options.Addr)
	}
	if options.User == "" {
		return nil, errors.New("the name of the account is missing")
	}
	var err error
	if h.keys, err = parseHostKeys(options.HostKeys); err != nil {
		return nil, err
	}
	if h.signer == nil {
		if h.signer, err = parseKey(options.Key); err != nil {
			return nil, err
		}
	}
	if h.options.Timeout == 0 {
		h.options.Timeout = 20 * time.Second
	}
	if h.options.Dial == nil {
		h.options.Dial = dial
	}
	return h, nil
}

// Addr is the host's address, for errors.
func (h *Host) Addr() string { return h.options.Addr }

func parseKey(b []byte) (ssh.Signer, error) {
	signer, err := ssh.ParsePrivateKey(b)
	var locked *ssh.PassphraseMissingError
	switch {
	case errors.As(err, &locked):
		return nil, errors.New("the private key is encrypted; the safe works unattended, so it needs a key without passphrase")
	case err != nil:
		return nil, errors.New("the private key cannot be read: want an unencrypted key as ssh-keygen makes it")
	}
	return signer, nil
}

func parseHostKeys(lines []string) ([]ssh.PublicKey, error) {
	if len(lines) == 0 {
		return nil, errors.New("no host key is pinned: without one nobody can tell whom the safe talks to (ssh-keyscan shows it; compare it at the host's console)")
	}
	var keys []ssh.PublicKey
	for _, text := range lines {
		text = strings.TrimSpace(text)
		key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(text))
		if err != nil || len(options) > 0 || len(bytes.TrimSpace(rest)) > 0 || strings.Contains(text, "\n") {
			return nil, fmt.Errorf("host key %.100q: want one line as in \"ssh-ed25519 AAAA...\"", text)
		}
		if _, err := hostKeyAlgorithms(key); err != nil {
			return nil, fmt.Errorf("host key %.100q: %w", text, err)
		}
		keys = append(keys, key)
	}
	return keys, nil
}

// hostKeyAlgorithms returns with which signatures a host may prove to have key.
func hostKeyAlgorithms(key ssh.PublicKey) ([]string, error) {
	switch t := key.Type(); t {
	case ssh.KeyAlgoED25519, ssh.KeyAlgoECDSA256, ssh.KeyAlgoECDSA384, ssh.KeyAlgoECDSA521:
		return []string{t}, nil
	case ssh.KeyAlgoRSA:
		return []string{ssh.KeyAlgoRSASHA512, ssh.KeyAlgoRSASHA256}, nil
	default:
		return nil, fmt.Errorf("keys of type %.40q are not taken: want ssh-ed25519, ecdsa or rsa", t)
	}
}

// dial connects without MPTCP, which Landlock's rules on TCP do not see.
func dial(ctx context.Context, addr string) (net.Conn, error) {
	var d net.Dialer
	d.SetMultipathTCP(false)
	return d.DialContext(ctx, "tcp", addr)
}
