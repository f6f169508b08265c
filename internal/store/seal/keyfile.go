package seal

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
)

// A role says what a key file is for. It stands in the file's first comment.
type role string

const (
	outerRole    role = "outer"
	innerRole    role = "inner"
	personalRole role = "personal"
	memoryRole   role = "memory"
)

// maxKeyFile bounds a key file. Ours have about 2 kB, most of it the public
// key in a comment.
const maxKeyFile = 64 << 10

const (
	roleComment   = "# strongroom "
	publicComment = "# public key: "
)

// ReadOuterIdentity reads a key file; see OuterIdentity.Write.
func ReadOuterIdentity(r io.Reader) (OuterIdentity, error) {
	i, err := readKeyFile(r, outerRole)
	return OuterIdentity{i}, err
}

// ReadInnerIdentity reads a key file; see InnerIdentity.Write.
func ReadInnerIdentity(r io.Reader) (InnerIdentity, error) {
	i, err := readKeyFile(r, innerRole)
	return InnerIdentity{i}, err
}

// ReadPersonalIdentity reads a key file; see PersonalIdentity.Write.
func ReadPersonalIdentity(r io.Reader) (PersonalIdentity, error) {
	i, err := readKeyFile(r, personalRole)
	return PersonalIdentity{i}, err
}

// ReadMemoryIdentity reads a key file; see MemoryIdentity.Write.
func ReadMemoryIdentity(r io.Reader) (MemoryIdentity, error) {
	i, err := readKeyFile(r, memoryRole)
	return MemoryIdentity{i}, err
}

// Write writes the private key as a key file, which age reads too:
//
//	# strongroom outer key, made 2026-11-21T02:00:00Z
//	# public key: age1pq1...
//	AGE-SECRET-KEY-PQ-1...
//
// When it is read again, a file that says to be of another role is refused,
// and so is a public key that is not the private key's. Without comments, as
// someone types it in from paper, the key alone will do.
func (i OuterIdentity) Write(w io.Writer, made time.Time) error {
	return i.writeKeyFile(w, outerRole, made)
}

// Write writes the private key as a key file; see OuterIdentity.Write.
func (i InnerIdentity) Write(w io.Writer, made time.Time) error {
	return i.writeKeyFile(w, innerRole, made)
}

// Write writes the private key as a key file; see OuterIdentity.Write. Who
// finds the file has the key; WriteLocked puts a passphrase before it.
func (i PersonalIdentity) Write(w io.Writer, made time.Time) error {
	return i.writeKeyFile(w, personalRole, made)
}

// Write writes the private key as a key file; see OuterIdentity.Write.
func (i MemoryIdentity) Write(w io.Writer, made time.Time) error {
	return i.writeKeyFile(w, memoryRole, made)
}

// PrivateLine returns the private key itself, "AGE-SECRET-KEY-PQ-1...", to be
// printed on paper. Unlike the key it does not redact itself. Typed in again,
// the line is a key file.
func (i OuterIdentity) PrivateLine() string { return i.key.String() }

// PrivateLine returns the private key itself; see OuterIdentity.PrivateLine.
func (i InnerIdentity) PrivateLine() string { return i.key.String() }

// PrivateLine returns the private key itself; see OuterIdentity.PrivateLine.
func (i PersonalIdentity) PrivateLine() string { return i.key.String() }

func (i identity) writeKeyFile(w io.Writer, role role, made time.Time) error {
	_, err := fmt.Fprintf(w, "%s%s key, made %s\n%s%s\n%s\n",
		roleComment, role, made.UTC().Format(time.RFC3339),
		publicComment, i.public(),
		i.key.String())
	return err
}

func readKeyFile(r io.Reader, want role) (identity, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxKeyFile+1))
	if err != nil {
		return identity{}, fmt.Errorf("reading the %s key: %w", want, err)
	}
	i, err := parseKeyFile(b, want)
	if err != nil {
		return identity{}, fmt.Errorf("reading the %s key: %w", want, err)
	}
	return i, nil
}

func parseKeyFile(b []byte, want role) (identity, error) {
	if len(b) > maxKeyFile {
		return identity{}, fmt.Errorf("more than %d bytes are not a key file", maxKeyFile)
	}
	var key identity
	var public string
	lines := bufio.NewScanner(bytes.NewReader(b))
	lines.Buffer(nil, maxKeyFile+1)
	for n := 1; lines.Scan(); n++ {
		line := strings.TrimSpace(lines.Text())
		if is, ok := strings.CutPrefix(line, roleComment); ok && !strings.HasPrefix(is, string(want)+" key") {
			return identity{}, fmt.Errorf("line %d says that it is another key: %.60q", n, line)
		}
		if s, ok := strings.CutPrefix(line, publicComment); ok {
			public = s
		}
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		if key.key != nil {
			return identity{}, fmt.Errorf("line %d: a second key, want one", n)
		}
		var err error
		if key, err = parseIdentity(line); err != nil {
			return identity{}, fmt.Errorf("line %d: %w", n, err)
		}
	}
	if err := lines.Err(); err != nil {
		return identity{}, err
	}
	if key.key == nil {
		return identity{}, errors.New("there is no key in it")
	}
	if public != "" && public != key.public().String() {
		return identity{}, errors.New("the public key in its comment is not that of the private key")
	}
	return key, nil
}
