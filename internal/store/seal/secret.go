package seal

import (
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"

	"strongroom/internal/safe"
)

// A Secret is the safe's dedup and cut secret: 32 random bytes, from which
// each source's keys are derived. Who has it and a source's chunk sizes or
// tags can tell whether a file that they have too is in the safe; it opens
// nothing. Losing it costs deduplication with what is already stored, never
// data.
//
// The pointer keeps fmt from printing the bytes where it cannot call Format.
type Secret struct{ key *[32]byte }

// NewSecret returns a random Secret.
func NewSecret() Secret {
	key := new([32]byte)
	rand.Read(key[:]) // never fails: crypto/rand aborts the program instead
	return Secret{key}
}

// ReadSecret reads the form that Write writes, and no other.
func ReadSecret(r io.Reader) (Secret, error) {
	b, err := io.ReadAll(io.LimitReader(r, 2*32+2))
	if err != nil {
		return Secret{}, fmt.Errorf("reading the dedup secret: %w", err)
	}
	key := new([32]byte)
	if len(b) != 2*32+1 || b[2*32] != '\n' {
		return Secret{}, errors.New("reading the dedup secret: want 64 hex digits and a newline")
	}
	if _, err := hex.Decode(key[:], b[:2*32]); err != nil || hex.EncodeToString(key[:]) != string(b[:2*32]) {
		return Secret{}, errors.New("reading the dedup secret: a character is not a lower-case hex digit")
	}
	return Secret{key}, nil
}

// Write writes the secret as 64 hex digits and a newline.
func (s Secret) Write(w io.Writer) error {
	_, err := fmt.Fprintf(w, "%s\n", hex.EncodeToString(s.key[:]))
	return err
}

// A TagKey is the key of the HMAC under which a source's chunks are
// remembered.
type TagKey [32]byte

// A CutKey is the key of the table by which a source's content is cut into
// chunks.
type CutKey [32]byte

// SourceKeys derives the two keys of a source, by HKDF with SHA-256, without
// salt, and with "strongroom/v1/tag\n" or "strongroom/v1/cut\n" and the
// source's name as info.
func (s Secret) SourceKeys(source safe.SourceName) (TagKey, CutKey) {
	return TagKey(s.derive("strongroom/v1/tag\n", source)), CutKey(s.derive("strongroom/v1/cut\n", source))
}

func (s Secret) derive(domain string, source safe.SourceName) []byte {
	key, err := hkdf.Key(sha256.New, s.key[:], nil, domain+string(source), 32)
	if err != nil {
		panic(fmt.Sprintf("deriving a key of 32 bytes: %v", err)) // HKDF-SHA-256 gives up to 8160
	}
	return key
}

func (Secret) String() string               { return redacted }
func (Secret) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (Secret) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (Secret) MarshalText() ([]byte, error) { return nil, errNotText }

func (TagKey) String() string               { return redacted }
func (TagKey) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (TagKey) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (TagKey) MarshalText() ([]byte, error) { return nil, errNotText }

func (CutKey) String() string               { return redacted }
func (CutKey) Format(f fmt.State, _ rune)   { io.WriteString(f, redacted) }
func (CutKey) LogValue() slog.Value         { return slog.StringValue(redacted) }
func (CutKey) MarshalText() ([]byte, error) { return nil, errNotText }
