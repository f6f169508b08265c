package config

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
)

// A SecretRef says where a secret is. It never holds the secret itself, so it
// may be logged and shown.
type SecretRef struct {
	file       string // absolute path; or else
	credential string // name of a credential that systemd hands to the service
}

var credentialForm = regexp.MustCompile(`^[A-Za-z0-9_][A-Za-z0-9_.-]{0,254}$`)

// parseSecretRef reads file:PATH or credential:NAME. Its errors do not show s,
// which may be the secret itself.
func parseSecretRef(s string) (SecretRef, error) {
	kind, rest, _ := strings.Cut(s, ":")
	switch {
	case kind == "file" && path.IsAbs(rest) && isPlain(rest):
		return SecretRef{file: path.Clean(rest)}, nil
	case kind == "credential" && credentialForm.MatchString(rest):
		return SecretRef{credential: rest}, nil
	}
	return SecretRef{}, errors.New("expected file: with an absolute path or credential: with a name; never the secret itself")
}

// IsZero reports whether r names no secret at all.
func (r SecretRef) IsZero() bool { return r == SecretRef{} }

func (r SecretRef) String() string {
	if r.credential != "" {
		return "credential:" + r.credential
	}
	return "file:" + r.file
}

// maxSecret bounds a secret; keys and passwords are far smaller.
const maxSecret = 64 << 10

// Read returns the secret, byte for byte. A file must be a regular file that
// only its owner can read. A credential is what systemd put into the folder
// that CREDENTIALS_DIRECTORY names; its mode is not judged, as systemd grants
// access by an ACL, which shows as a readable group.
func (r SecretRef) Read() ([]byte, error) {
	name, private := r.file, true
	if r.credential != "" {
		dir := os.Getenv("CREDENTIALS_DIRECTORY")
		if dir == "" {
			return nil, fmt.Errorf("reading secret %s: there is no CREDENTIALS_DIRECTORY; add LoadCredential=%s:PATH to the systemd unit", r, r.credential)
		}
		name, private = filepath.Join(dir, r.credential), false
	}
	b, err := readPrivate(name, private)
	if err != nil {
		return nil, fmt.Errorf("reading secret %s: %w", r, err)
	}
	return b, nil
}

func readPrivate(name string, private bool) ([]byte, error) {
	// Without O_NONBLOCK, opening a pipe would wait for its writer for ever.
	f, err := os.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch mode := info.Mode(); {
	case !mode.IsRegular():
		return nil, errors.New("not a regular file")
	case private && mode.Perm()&0o077 != 0:
		return nil, fmt.Errorf("its mode %04o lets others than its owner at it: chmod 0400 %s", mode.Perm(), name)
	}
	b, err := io.ReadAll(io.LimitReader(f, maxSecret+1))
	switch {
	case err != nil:
		return nil, err
	case len(b) == 0:
		return nil, errors.New("the file is empty")
	case len(b) > maxSecret:
		return nil, fmt.Errorf("the file is larger than %d bytes", maxSecret)
	}
	return b, nil
}
