// Package assets has the scripts of the pages as browsers get them: bundles,
// made of internal/web/src by "make web" and kept in the repository, so that
// building the program needs no tools but Go. A test sees that they are what
// the sources give.
//
// A script that the safe's host changed could do in a keykeeper's browser
// whatever it likes. Digest is for people to compare; this makes it by hand:
//
//	sha256sum *.js | sha256sum
package assets

import (
	"embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"strongroom/internal/safe"
)

//go:embed *.js
var files embed.FS

// A Script is a file that pages load by its name from beside each other.
type Script struct {
	Name    string // "worker.js"
	Content []byte // not to be changed
}

// Scripts returns all scripts, by name.
func Scripts() []Script { return slices.Clone(all()) }

var all = sync.OnceValue(func() []Script {
	names, err := fs.Glob(files, "*.js") // sorted
	if err != nil {
		panic(fmt.Sprintf("assets: %v", err)) // the pattern is right
	}
	var scripts []Script
	for _, name := range names {
		content, err := files.ReadFile(name)
		if err != nil {
			panic(fmt.Sprintf("assets: %v", err)) // it was just listed
		}
		scripts = append(scripts, Script{name, content})
	}
	return scripts
})

// Sums returns what sha256sum prints of all scripts.
func Sums() string { return sums() }

var sums = sync.OnceValue(func() string {
	var b strings.Builder
	for _, s := range all() {
		fmt.Fprintf(&b, "%s  %s\n", safe.DigestOf(s.Content), s.Name)
	}
	return b.String()
})

// Digest stands for all scripts: it is that of Sums.
func Digest() safe.Digest { return safe.DigestOf([]byte(Sums())) }
