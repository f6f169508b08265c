package safe

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"regexp"
	"time"
)

// A StoreID names one store for ever. It is 16 random bytes, written as 32
// lower-case hex digits.
type StoreID [16]byte

// NewStoreID returns a random StoreID.
func NewStoreID() StoreID {
	var id StoreID
	rand.Read(id[:]) // never fails: crypto/rand aborts the program instead
	return id
}

// ParseStoreID reads the form that String writes, and no other.
func ParseStoreID(s string) (StoreID, error) {
	var id StoreID
	if err := decodeHex(id[:], s); err != nil {
		return StoreID{}, fmt.Errorf("store id %q: %w", s, err)
	}
	return id, nil
}

func (id StoreID) String() string               { return hex.EncodeToString(id[:]) }
func (id StoreID) IsZero() bool                 { return id == StoreID{} }
func (id StoreID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }
func (id *StoreID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseStoreID(string(b))
	return err
}

// A RunID names one run of one source: a UUIDv7 (RFC 9562), so that run ids
// sort by the time at which the run was begun.
type RunID [16]byte

// NewRunID returns a RunID for a run begun at the given time, which is kept
// to the millisecond.
func NewRunID(begun time.Time) RunID {
	var id RunID
	rand.Read(id[6:])
	ms := uint64(begun.UnixMilli())
	binary.BigEndian.PutUint16(id[0:], uint16(ms>>32))
	binary.BigEndian.PutUint32(id[2:], uint32(ms))
	id[6] = id[6]&0x0f | 0x70 // version 7
	id[8] = id[8]&0x3f | 0x80 // variant of RFC 9562
	return id
}

var runIDForm = regexp.MustCompile(`^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$`)

// ParseRunID reads the form that String writes, and no other: a run id is
// used as the name of a folder.
func ParseRunID(s string) (RunID, error) {
	if !runIDForm.MatchString(s) {
		return RunID{}, fmt.Errorf("run id %.40q: not a UUID of version 7 in lower case", s)
	}
	var id RunID
	hex.Decode(id[:], []byte(s[0:8]+s[9:13]+s[14:18]+s[19:23]+s[24:36])) // the form was checked
	return id, nil
}

func (id RunID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", id[0:4], id[4:6], id[6:8], id[8:10], id[10:16])
}

// Time returns when the run was begun, to the millisecond.
func (id RunID) Time() time.Time {
	ms := int64(binary.BigEndian.Uint16(id[0:]))<<32 | int64(binary.BigEndian.Uint32(id[2:]))
	return time.UnixMilli(ms).UTC()
}

func (id RunID) IsZero() bool                 { return id == RunID{} }
func (id RunID) Compare(other RunID) int      { return bytes.Compare(id[:], other[:]) }
func (id RunID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }
func (id *RunID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseRunID(string(b))
	return err
}

// An OpeningID names one opening: a UUIDv7, as a RunID is. The operator who
// asks for an opening makes it.
type OpeningID RunID

// NewOpeningID returns an OpeningID for an opening requested at the time.
func NewOpeningID(requested time.Time) OpeningID { return OpeningID(NewRunID(requested)) }

// ParseOpeningID reads the form that String writes, and no other.
func ParseOpeningID(s string) (OpeningID, error) {
	if !runIDForm.MatchString(s) {
		return OpeningID{}, fmt.Errorf("opening id %.40q: not a UUID of version 7 in lower case", s)
	}
	id, err := ParseRunID(s)
	return OpeningID(id), err
}

func (id OpeningID) String() string               { return RunID(id).String() }
func (id OpeningID) Time() time.Time              { return RunID(id).Time() }
func (id OpeningID) IsZero() bool                 { return id == OpeningID{} }
func (id OpeningID) Compare(other OpeningID) int  { return bytes.Compare(id[:], other[:]) }
func (id OpeningID) MarshalText() ([]byte, error) { return []byte(id.String()), nil }
func (id *OpeningID) UnmarshalText(b []byte) (err error) {
	*id, err = ParseOpeningID(string(b))
	return err
}

// A PersonName names a person of the roster: lower-case letters, digits and
// hyphens, 2 to 32 characters, beginning with a letter.
type PersonName string

var personNameForm = regexp.MustCompile(`^[a-z][a-z0-9-]{1,31}$`)

// ParsePersonName checks s. The names "safe" and "papers" are taken: the
// ledger calls the safe itself so, and who acts with both role keys from paper.
func ParsePersonName(s string) (PersonName, error) {
	if !personNameForm.MatchString(s) {
		return "", fmt.Errorf("name %.40q: want 2 to 32 lower-case letters, digits and hyphens, beginning with a letter", s)
	}
	if s == "safe" || s == "papers" {
		return "", fmt.Errorf("name %q is taken: the ledger uses it", s)
	}
	return PersonName(s), nil
}

func (n *PersonName) UnmarshalText(b []byte) (err error) {
	*n, err = ParsePersonName(string(b))
	return err
}

// A Digest is the SHA-256 of something, written as 64 lower-case hex digits.
type Digest [sha256.Size]byte

// DigestOf returns the SHA-256 of b.
func DigestOf(b []byte) Digest { return sha256.Sum256(b) }

// ParseDigest reads the form that String writes, and no other: a digest is
// used as the name of an object.
func ParseDigest(s string) (Digest, error) {
	var d Digest
	if err := decodeHex(d[:], s); err != nil {
		return Digest{}, fmt.Errorf("digest %.70q: %w", s, err)
	}
	return d, nil
}

func (d Digest) String() string               { return hex.EncodeToString(d[:]) }
func (d Digest) IsZero() bool                 { return d == Digest{} }
func (d Digest) Compare(other Digest) int     { return bytes.Compare(d[:], other[:]) }
func (d Digest) MarshalText() ([]byte, error) { return []byte(d.String()), nil }
func (d *Digest) UnmarshalText(b []byte) (err error) {
	*d, err = ParseDigest(string(b))
	return err
}

// decodeHex fills dst from s, which must be lower case and of exactly the
// right length, so that one value has one spelling.
func decodeHex(dst []byte, s string) error {
	if len(s) != 2*len(dst) {
		return fmt.Errorf("has %d characters, want %d", len(s), 2*len(dst))
	}
	for _, c := range []byte(s) {
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'f') {
			return fmt.Errorf("has a character that is not a lower-case hex digit")
		}
	}
	_, err := hex.Decode(dst, []byte(s))
	return err
}

// A SourceName names a configured source: lower-case letters, digits and
// hyphens, 1 to 63 characters, beginning with a letter or digit. It is used
// as the name of a folder.
type SourceName string

var sourceNameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9-]{0,62}$`)

// ParseSourceName checks s.
func ParseSourceName(s string) (SourceName, error) {
	if !sourceNameForm.MatchString(s) {
		return "", fmt.Errorf("source name %.80q: want 1 to 63 lower-case letters, digits and hyphens, beginning with a letter or digit", s)
	}
	return SourceName(s), nil
}

func (n *SourceName) UnmarshalText(b []byte) (err error) {
	*n, err = ParseSourceName(string(b))
	return err
}
