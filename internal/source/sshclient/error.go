package sshclient

import (
	"errors"
	"fmt"
	"strings"
	"unicode"

	"golang.org/x/crypto/ssh"
)

// HostKeyError means that a host did not prove to be the one that was pinned.
// Nothing was sent to it but the greeting, and nothing must be.
type HostKeyError struct {
	Addr string
	Want []string // fingerprints of the pinned keys, with their types
	Got  string   // of the key that the host showed; "" if it has none of a pinned type
}

func (e *HostKeyError) Error() string {
	what := "shows the host key " + e.Got
	if e.Got == "" {
		what = "has no host key of a pinned type"
	}
	return fmt.Sprintf("%s %s, but pinned is %s: either the host was given a new key, or someone else answers in its place. "+
		"Nothing was pulled. Compare the fingerprint at the console of the host, not over the network (ssh-keygen -lf on /etc/ssh/ssh_host_*_key.pub). "+
		"If the new key is legitimate, update host_key in the configuration; if nobody can explain it, treat it as an attack",
		e.Addr, what, strings.Join(e.Want, " or "))
}

// LoginError means that a host does not let in who has the key.
type LoginError struct {
	Addr, User string
	Key        string // its fingerprint, with its type
}

func (e *LoginError) Error() string {
	return fmt.Sprintf("logging in to %s as %s: the host does not accept the key %s: is it in the account's authorized_keys, and may the account log in from here?",
		e.Addr, e.User, e.Key)
}

func fingerprint(key ssh.PublicKey) string {
	return key.Type() + " " + ssh.FingerprintSHA256(key)
}

// pinned returns the fingerprints of the keys that the host may have.
func (h *Host) pinned() []string {
	var all []string
	for _, key := range h.keys {
		all = append(all, fingerprint(key))
	}
	return all
}

// explain says in words that a person can act on why there is no connection.
func (h *Host) explain(err, badKey error) error {
	var none *ssh.AlgorithmNegotiationError
	switch {
	case badKey != nil:
		return badKey
	case errors.As(err, &none) && none.What == "host key":
		return &HostKeyError{Addr: h.options.Addr, Want: h.pinned()}
	case strings.Contains(err.Error(), "unable to authenticate"):
		return &LoginError{Addr: h.options.Addr, User: h.options.User, Key: fingerprint(h.signer.PublicKey())}
	}
	return fmt.Errorf("beginning SSH with %s: %w", h.options.Addr, Plain(err))
}

// Plain returns an error of the SSH library as text. The server can put words
// of its own into some.
func Plain(err error) error { return errors.New(Printable(err.Error(), 200)) }

// Printable returns words of the other side for a person to read: what could
// confuse a terminal or a mail is replaced, and there are at most that many
// characters of them.
func Printable(text string, most int) string {
	text = strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, text)
	if r := []rune(text); len(r) > most {
		text = string(r[:most]) + "..."
	}
	return text
}
