// Package spelling reads and writes JSON that is signed, hashed or compared as
// bytes, and so has one spelling.
//
// Package json reads more than it writes: fields twice, names in capitals, null
// for what must be there, white space anywhere. Two programs that take such a
// text for different values would both find its signature good. So whoever
// reads what was signed decodes it with Parse, checks it, and then asks Is
// whether it is what Of would have written.
//
// It is not a canonical form of JSON in general (RFC 8785): the order of fields
// is that of a Go struct, which the description of each format states.
package spelling

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// Of returns the one spelling of v: a line of JSON, which ends with a newline.
// HTML escaping is off, so that a reader in another language, which will not
// have it, finds the bytes it expects.
func Of(v any) ([]byte, error) {
	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	err := enc.Encode(v)
	return b.Bytes(), err
}

// Is reports whether b is the one spelling of v. A null where there must be a
// key makes a value that has none.
func Is(b []byte, v any) bool {
	again, err := Of(v)
	return err == nil && bytes.Equal(again, b)
}

// Decode reads one JSON value that has no unknown fields, and nothing but white
// space after it.
func Decode(b []byte, into any) error {
	dec := json.NewDecoder(bytes.NewReader(b))
	dec.DisallowUnknownFields()
	if err := dec.Decode(into); err != nil {
		return err
	}
	if _, err := dec.Token(); err != io.EOF {
		return errors.New("something else follows it")
	}
	return nil
}

// What somebody sends takes more memory when it is read than it has bytes: of
// "{},{},{}" each three become a hundred. Of what is read here the smallest values
// are ids, of 39 bytes; some short ones stand beside them.
const (
	bytesOfValue = 32
	shortValues  = 16 << 10
)

// CheckValues refuses a text of more values than one of that length can have in
// earnest, so that reading it takes memory in proportion to its length.
func CheckValues(b []byte) error {
	if n, most := bytes.Count(b, []byte(",")), shortValues+len(b)/bytesOfValue; n > most {
		return fmt.Errorf("it has %d commas in %d bytes, at most %d are possible", n, len(b), most)
	}
	return nil
}

// Parse is Decode for what has a limit, in bytes and in values. Its errors say
// what was read: "a roster".
func Parse(b []byte, limit int, what string, into any) error {
	if len(b) > limit {
		return fmt.Errorf("%s of %d bytes, at most %d are possible", what, len(b), limit)
	}
	if err := CheckValues(b); err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	if err := Decode(b, into); err != nil {
		return fmt.Errorf("reading %s: %w", what, err)
	}
	return nil
}
