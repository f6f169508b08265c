package sshsig

import (
	"bytes"
	"errors"
	"fmt"
	"strings"

	"golang.org/x/crypto/ssh"
)

// A PublicKey is a person's SSH key in its one spelling, that of a line of
// authorized_keys without a comment: "ssh-ed25519 AAAA...". Two keys are the
// same if they are equal by ==. The zero PublicKey is no key.
type PublicKey struct{ text string }

// maxKeyText bounds the text of a key. Ours have 80 characters, those of
// security keys little more: only their application may be longer.
const maxKeyText = 512

// applicationPrefix begins what a security key may be bound to. A key that was
// made for a web site would sign the site's sign-ins in the same form.
const applicationPrefix = "ssh:"

// ParsePublicKey reads the form that String writes, and no other.
func ParsePublicKey(s string) (PublicKey, error) {
	if len(s) > maxKeyText {
		return PublicKey{}, fmt.Errorf("SSH key of %d characters, at most %d are possible", len(s), maxKeyText)
	}
	k, err := ReadPublicKey([]byte(s))
	if err != nil {
		return PublicKey{}, err
	}
	if k.text != s {
		return PublicKey{}, fmt.Errorf("SSH key %.100q: it is not in its canonical spelling, which has no comment", s)
	}
	return k, nil
}

// ReadPublicKey reads a key as people hand it over, the line of a .pub file:
// a comment and white space around it are passed over.
func ReadPublicKey(line []byte) (PublicKey, error) {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || bytes.ContainsAny(line, "\r\n") {
		return PublicKey{}, errors.New("an SSH key is one line such as \"ssh-ed25519 AAAA...\"")
	}
	key, _, options, _, err := ssh.ParseAuthorizedKey(line)
	if err != nil {
		return PublicKey{}, fmt.Errorf("SSH key %.100q: want one line such as \"ssh-ed25519 AAAA...\"", line)
	}
	if len(options) > 0 {
		return PublicKey{}, fmt.Errorf("SSH key %.100q: it has options before it, which mean nothing here", line)
	}
	return PublicKeyOf(key)
}

// PublicKeyOf returns key as a PublicKey, if it is of a kind that people sign
// with: ssh-ed25519 or sk-ssh-ed25519@openssh.com.
func PublicKeyOf(key ssh.PublicKey) (PublicKey, error) {
	switch key.Type() {
	case ssh.KeyAlgoED25519:
	case ssh.KeyAlgoSKED25519:
		var w struct {
			Type, Key   string
			Application string
		}
		if err := ssh.Unmarshal(key.Marshal(), &w); err != nil {
			return PublicKey{}, fmt.Errorf("reading a security key's public key: %w", err)
		}
		if !strings.HasPrefix(w.Application, applicationPrefix) {
			return PublicKey{}, fmt.Errorf("a security key for %.60q: want one that was made for SSH, for %q", w.Application, applicationPrefix)
		}
	default:
		return PublicKey{}, fmt.Errorf("an SSH key of the kind %.60s: want %s or %s (ssh-keygen -t ed25519, or -t ed25519-sk)",
			key.Type(), ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519)
	}
	text := strings.TrimSuffix(string(ssh.MarshalAuthorizedKey(key)), "\n")
	if len(text) > maxKeyText {
		return PublicKey{}, fmt.Errorf("SSH key of %d characters, at most %d are possible", len(text), maxKeyText)
	}
	return PublicKey{text}, nil
}

// SSH returns the key for package ssh. It must not be called on the zero
// PublicKey.
func (k PublicKey) SSH() ssh.PublicKey {
	key, _, _, _, err := ssh.ParseAuthorizedKey([]byte(k.text))
	if err != nil {
		panic(fmt.Sprintf("SSH key %q was taken and cannot be read: %v", k.text, err)) // every way to make one reads it
	}
	return key
}

// Fingerprint returns the key's name as ssh-keygen -l shows it: SHA256 and the
// hash in base64. It must not be called on the zero PublicKey.
func (k PublicKey) Fingerprint() string { return ssh.FingerprintSHA256(k.SSH()) }

func (k PublicKey) String() string             { return k.text }
func (k PublicKey) IsZero() bool               { return k == PublicKey{} }
func (k PublicKey) Equal(other PublicKey) bool { return k == other }

// MarshalText writes what String returns; the zero PublicKey has no text.
func (k PublicKey) MarshalText() ([]byte, error) {
	if k.IsZero() {
		return nil, errors.New("an SSH key is missing")
	}
	return []byte(k.text), nil
}

func (k *PublicKey) UnmarshalText(b []byte) (err error) {
	*k, err = ParsePublicKey(string(b))
	return err
}
