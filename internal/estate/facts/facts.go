// Package facts has what the readers of facts share: where something was read,
// how much of it is read, and which words in a file can be the name of a host.
//
// A reader is a package below this one, for one format: bytes in, facts out. It
// touches neither disk nor network, runs where collected files pass by, and so
// takes everything for hostile: it is bounded by the limits here, and returns an
// error for what is not of its format. It quotes names, never whole values, since
// settings hold passwords.
package facts

import (
	"cmp"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"strongroom/internal/estate"
)

// Limits of every reader.
const (
	MaxBytes  = 64 << 20  // of one file, or of one answer
	MaxThings = 1_000_000 // components and links in it
	MaxDepth  = 100       // how deep its structure may be nested
)

// A Place is where something was read.
type Place struct {
	Source string    // the safe's source, or "configuration"
	Path   string    // of the file, or the address of the API
	Scope  string    // what names without a dot are unique in: a project, a cluster, a state; may be empty
	Seen   time.Time // when
}

// A File is one of several that are read together: what a host's configuration
// means takes more than one.
type File struct {
	Path string // as the host or the project names it, with slashes
	Data []byte
}

// At returns the place of a file within this one.
func (p Place) At(f File) Place {
	if f.Path != "" {
		p.Path = f.Path
	}
	return p
}

// Host returns the ID of the host that this is a place of: its files, or what
// its commands print. The Scope is then the host's name, or its address.
func (p Place) Host() estate.ID { return estate.NewID(estate.Host, cmp.Or(p.Scope, p.Source)) }

// ID returns the ID of what has a name in this place only.
func (p Place) ID(kind estate.Kind, name string) estate.ID {
	if p.Scope != "" {
		name = p.Scope + "/" + name
	}
	return estate.NewID(kind, name)
}

// Evidence returns evidence of this place. At says where in it, such as "line 7"
// or "services.api.depends_on"; detail quotes what is there.
func (p Place) Evidence(basis estate.Basis, at, detail string) estate.Evidence {
	where := p.Path
	if at != "" {
		where += ": " + at
	}
	return estate.Evidence{Basis: basis, Source: p.Source, Place: Quote(where), Detail: Quote(detail), First: p.Seen, Last: p.Seen}
}

// Quote returns text that a file holds as evidence may show it: one line of at
// most estate.MaxDetail bytes, without what cannot be seen.
func Quote(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == utf8.RuneError || !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, s)
	if len(s) <= estate.MaxDetail {
		return s
	}
	return strings.ToValidUTF8(s[:estate.MaxDetail-len("...")], "") + "..."
}

// TooMuch is the error for what is beyond a limit.
func TooMuch(what string, most int) error {
	return fmt.Errorf("more than %d %s: this is not read", most, what)
}
