// Package export makes the release page for another host than the safe's:
// static files, which any web server can hand out.
//
// Whoever can change the page of which a keykeeper releases can have the outer
// keys that the touch unwraps. Root on the safe's host can change the safe's own
// page; it cannot change this one, and what it answers to it is held to what was
// verified where the page was written: which safe it is, of which domain its
// passkeys are, and the one version of the roster that was in force. So it is
// written on a person's machine, and written anew after each change of the
// roster.
//
// The same program writes the same files of the same safe: there is no time and
// nothing random in them, so that a second person can write them too, and
// compare.
package export

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"regexp"
	"slices"
	"strings"

	"strongroom/internal/access"
	"strongroom/internal/safe"
	"strongroom/internal/safe/words"
	"strongroom/internal/web/assets"
	"strongroom/internal/web/page"
)

// A Site is a release page that is to be.
type Site struct {
	Safe   string // its name
	Origin string // where the safe is, for browsers: https://safe.acme.example:8443
	// Roster is the version in force, which was verified from First on.
	Roster  access.Roster
	First   safe.Digest // of the version that was pinned
	Version string      // of the program
}

// Errors that say why there cannot be such a page.
var (
	// ErrNoPasskeys means that nobody could release there.
	ErrNoPasskeys = errors.New("no keykeeper in the roster has a passkey for releases, so nobody could use such a page")
	// ErrOrigin means that browsers would not use the passkeys with that address.
	ErrOrigin = errors.New("the safe's address is not one that its passkeys are good for")
)

// origin is how browsers spell that of a host with a name. It goes into a policy
// and into configurations of web servers, so nothing else may be in it.
var origin = regexp.MustCompile(`^https://[a-z0-9.-]+(:[0-9]+)?$`)

// check sees that a browser could release from such a page.
func (s Site) check() error {
	can := func(p access.Person) bool { return p.Has(access.Keykeeper) && len(p.PasskeysFor(access.Release)) > 0 }
	if s.Roster.Domain == "" || !slices.ContainsFunc(s.Roster.People, can) {
		return ErrNoPasskeys
	}
	u, err := url.Parse(s.Origin)
	if err != nil || !origin.MatchString(s.Origin) {
		return fmt.Errorf("%w: %.200q is no origin such as https://safe.acme.example:8443", ErrOrigin, s.Origin)
	}
	if name := u.Hostname(); name != s.Roster.Domain && !strings.HasSuffix(name, "."+s.Roster.Domain) {
		return fmt.Errorf("%w: %s is not %s or a name below it", ErrOrigin, name, s.Roster.Domain)
	}
	return nil
}

// A File is one that the page consists of.
type File struct {
	Name    string // without folders
	Content []byte
}

const (
	indexFile  = "index.html"
	readmeFile = "README"
	sumsFile   = "SHA256SUMS"
)

// Files returns all files, by name.
func (s Site) Files() ([]File, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	var files []File
	add := func(name string, content []byte) { files = append(files, File{name, content}) }
	index, err := s.index()
	if err != nil {
		return nil, err
	}
	add(indexFile, index)
	for _, script := range assets.Scripts() { // also those that it does not need: their digest is that of the mails
		add(script.Name, script.Content)
	}
	err = fs.WalkDir(page.Static(), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		b, err := fs.ReadFile(page.Static(), name)
		add(name, b)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("reading the embedded files of the pages: %w", err)
	}
	add(readmeFile, []byte(s.readme()))
	add("nginx.conf", []byte(s.nginx()))
	add("Caddyfile", []byte(s.caddy()))
	byName := func(a, b File) int { return strings.Compare(a.Name, b.Name) }
	slices.SortFunc(files, byName)
	add(sumsFile, sums(files))
	slices.SortFunc(files, byName)
	return files, nil
}

// sums is what sha256sum prints of the files.
func sums(files []File) []byte {
	var b bytes.Buffer
	for _, f := range files {
		fmt.Fprintf(&b, "%s  %s\n", safe.DigestOf(f.Content), f.Name)
	}
	return b.Bytes()
}

func (s Site) index() ([]byte, error) {
	pages, err := page.New()
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	err = pages.Elsewhere(&b, page.Elsewhere{
		Safe: s.Safe, Origin: s.Origin, Store: s.Roster.Store, Domain: s.Roster.Domain, First: words.Of(s.First),
		Roster: s.Roster.Digest(), Number: s.Roster.Number, Words: words.Of(s.Roster.Digest()),
		Policy: s.policy(), Digest: assets.Digest(), Version: s.Version,
	})
	return b.Bytes(), err
}

// policy is what browsers are told within the page, too, for web servers that
// send no header. It reaches one host beside the page's own: the safe, and that
// with requests alone.
func (s Site) policy() string {
	return "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src " + s.Origin + "; worker-src 'self'; " +
		"base-uri 'none'; form-action 'none'; require-trusted-types-for 'script'; trusted-types strongroom-worker"
}

// A Header is one that the web server is to send with each file.
type Header struct{ Name, Value string }

// Headers returns what the web server is to send with each file.
func (s Site) Headers() []Header {
	return []Header{
		{"Content-Security-Policy", s.policy() + "; frame-ancestors 'none'"},
		{"X-Content-Type-Options", "nosniff"},
		{"Referrer-Policy", "no-referrer"},
		{"Cross-Origin-Opener-Policy", "same-origin"},
		{"Cross-Origin-Resource-Policy", "same-origin"},
		{"Strict-Transport-Security", "max-age=31536000"},
		{"Cache-Control", "no-cache"}, // asks each time, so that a page that was written anew is used at once
	}
}
