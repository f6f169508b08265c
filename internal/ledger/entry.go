package ledger

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"time"

	"strongroom/internal/spelling"
)

// MaxEntry bounds the bytes of an entry. The largest honest one, an
// ObjectLost that names all the snapshots it may, has about 40 KiB.
const MaxEntry = 64 << 10

// An Entry is one thing that happened.
type Entry struct {
	Time time.Time // in UTC
	Who  Who
	What Event
}

// Who names who acted: the safe itself, or a person of the roster by id.
type Who string

// Safe is the safe acting on its own.
const Safe Who = "safe"

var whoForm = regexp.MustCompile(`^[a-z0-9][a-z0-9@._+-]{0,127}$`)

func (w *Who) UnmarshalText(b []byte) error {
	if !whoForm.Match(b) {
		return fmt.Errorf("%.140q cannot be the name of who acted", b)
	}
	*w = Who(b)
	return nil
}

// encoded has the fields of an entry in the order in which they are written.
type encoded[W any] struct {
	Version int       `json:"v"`
	Time    time.Time `json:"time"`
	Kind    Kind      `json:"kind"`
	Who     Who       `json:"who"`
	What    W         `json:"what"`
}

// Encode returns the one spelling of e, a line of JSON with its newline. What
// Encode returns, ParseEntry accepts; an entry for which that would not hold
// is an error.
func (e Entry) Encode() ([]byte, error) {
	if e.What == nil {
		return nil, errors.New("encoding an entry: it does not say what happened")
	}
	b, err := e.spell()
	if err != nil {
		return nil, fmt.Errorf("encoding an entry of kind %s: %w", e.What.Kind(), err)
	}
	if _, err := ParseEntry(b); err != nil {
		return nil, fmt.Errorf("encoding an entry of kind %s: %w", e.What.Kind(), err)
	}
	return b, nil
}

func (e Entry) spell() ([]byte, error) {
	return spelling.Of(encoded[Event]{1, e.Time, e.What.Kind(), e.Who, e.What})
}

// ParseEntry reads an entry strictly: an unknown kind, unknown or missing
// fields, values that no entry can have, or a spelling other than Encode's
// are errors. The entry keeps nothing of b.
func ParseEntry(b []byte) (Entry, error) {
	if len(b) > MaxEntry {
		return Entry{}, fmt.Errorf("entry of %d bytes, at most %d are possible", len(b), MaxEntry)
	}
	var line encoded[json.RawMessage]
	if err := spelling.Decode(b, &line); err != nil {
		return Entry{}, err
	}
	if line.Version != 1 {
		return Entry{}, fmt.Errorf("entry has version %d, this program knows version 1", line.Version)
	}
	read, ok := kinds[line.Kind]
	if !ok {
		return Entry{}, fmt.Errorf("entry is of kind %.60q, which this program does not know", line.Kind)
	}
	what, err := read(line.What)
	if err != nil {
		return Entry{}, fmt.Errorf("%s: %w", line.Kind, err)
	}
	if err := checkTime("time", line.Time); err != nil {
		return Entry{}, err
	}
	e := Entry{Time: line.Time, Who: line.Who, What: what}
	again, err := e.spell()
	if err != nil {
		return Entry{}, err
	}
	if !bytes.Equal(again, b) {
		return Entry{}, errors.New("entry is not in its canonical spelling")
	}
	return e, nil
}
