// Package profile is what a person's own machine keeps of a safe: who the
// person is there, the personal key behind its passphrase, which version of
// the roster was verified last, and where that trust begins.
//
//	<folder>/profile.json   address of the safe, the person, the pin
//	<folder>/personal.age   the personal key, locked; not for officers and auditors
//	<folder>/roster.json    the newest version of the roster that was verified
//
// It is files and what is worked out from them: nothing here reaches a
// network, and nothing that a safe says is kept before it is verified. Two
// programs may read a profile at once; of two that write, the last one wins.
package profile

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/netip"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
	"strongroom/internal/store/seal"
)

// Data is what profile.json says.
type Data struct {
	Version int             `json:"v"`
	Safe    string          `json:"safe"` // its name
	Store   safe.StoreID    `json:"store"`
	URL     string          `json:"url"`          // of the safe: https://safe.example.com:8443
	CA      string          `json:"ca,omitempty"` // the safe's own, in PEM; empty if it has a public certificate
	Person  safe.PersonName `json:"person"`
	Roles   []access.Role   `json:"roles"`         // at enrolment; the roster has the last word
	SSHKey  string          `json:"ssh_key"`       // path of the key that signs, or of its public half
	From    netip.Addr      `json:"from,omitzero"` // address of this machine to call from; zero for any
	// Enrolment is the digest of what was sent at enrolment, so that this
	// machine notices if the safe tells others something else.
	Enrolment safe.Digest `json:"enrolment,omitzero"`
	Pin       Pin         `json:"pin,omitzero"`
}

// A Pin is the version of the roster whose words the person has compared with
// other people. All later versions are verified along the chain from there.
type Pin struct {
	Number int         `json:"n"`
	Digest safe.Digest `json:"digest"`
}

func (d Data) check() error {
	u, err := url.Parse(d.URL)
	switch {
	case d.Version != dataVersion:
		return fmt.Errorf("it has version %d of the format, this program knows version %d", d.Version, dataVersion)
	case d.Safe == "" || d.Store.IsZero() || d.SSHKey == "":
		return errors.New("it lacks the safe, its store, or the SSH key")
	case err != nil || u.Scheme != "https" || u.Host == "":
		return fmt.Errorf("%q is not the address of a safe", d.URL)
	case (d.Pin.Number == 0) != d.Pin.Digest.IsZero() || d.Pin.Number < 0:
		return fmt.Errorf("its pin of version %d is none", d.Pin.Number)
	}
	_, err = safe.ParsePersonName(string(d.Person))
	return err
}

const (
	dataVersion = 1
	maxData     = 64 << 10

	dataFile     = "profile.json"
	personalFile = "personal.age"
	rosterFile   = "roster.json"
)

// A Profile is one that was opened. It is for one goroutine.
type Profile struct {
	Data
	dir string
}

// Dir returns the profile's folder.
func (p *Profile) Dir() string { return p.dir }

// Open opens the profile in dir.
func Open(dir string) (*Profile, error) {
	b, err := readBounded(filepath.Join(dir, dataFile), maxData)
	if err != nil {
		return nil, fmt.Errorf("opening the profile: %w", err)
	}
	p := &Profile{dir: dir}
	if err := spelling.Decode(b, &p.Data); err != nil {
		return nil, fmt.Errorf("reading the profile in %s: %w", dir, err)
	}
	if err := p.check(); err != nil {
		return nil, fmt.Errorf("the profile in %s cannot be: %w", dir, err)
	}
	return p, nil
}

// A Draft is a profile that is not yet in its place.
type Draft struct {
	data           Data
	temporary, dir string
}

// NewDraft begins a profile, with the personal key if there is a passphrase
// for it, beside the folder in which it is to be. So whoever is enrolled finds
// the profile there as a whole, and whoever is not, none. It returns
// fs.ErrExist if there is a profile already: its key may be the only one that
// opens something.
func NewDraft(dir string, d Data, personal seal.PersonalIdentity, passphrase string, made time.Time) (*Draft, error) {
	if _, err := os.Lstat(dir); err == nil {
		return nil, fmt.Errorf("%s: %w", dir, fs.ErrExist)
	}
	d.Version = dataVersion
	if err := d.check(); err != nil {
		return nil, fmt.Errorf("a profile cannot be: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o700); err != nil {
		return nil, err
	}
	temporary, err := os.MkdirTemp(filepath.Dir(dir), ".new-") // mode 0700
	if err != nil {
		return nil, err
	}
	draft := &Draft{d, temporary, dir}
	if passphrase == "" {
		return draft, nil
	}
	if err := (&Profile{dir: temporary}).Lock(personal, passphrase, made); err != nil {
		draft.Discard()
		return nil, err
	}
	return draft, nil
}

// Commit puts the profile in its place. ca is the safe's own certificate
// authority, which is known once the safe has answered; empty if it has none.
func (d *Draft) Commit(ca string) (*Profile, error) {
	d.data.CA = ca
	if err := (&Profile{Data: d.data, dir: d.temporary}).save(); err != nil {
		return nil, err
	}
	if err := os.Rename(d.temporary, d.dir); err != nil {
		return nil, err
	}
	if err := syncDir(filepath.Dir(d.dir)); err != nil {
		return nil, err
	}
	return Open(d.dir)
}

// Discard removes the draft. After Commit it does nothing.
func (d *Draft) Discard() {
	os.RemoveAll(d.temporary) // what is left holds a locked key that nothing is sealed to
}

// ErrNoKey means that the profile has no personal key, as those of officers
// and auditors have none.
var ErrNoKey = errors.New("this profile has no personal key: only keykeepers and operators have one")

// Unlock opens the personal key. The error is seal.ErrPassphrase if the
// passphrase does not fit, and ErrNoKey if there is none.
func (p *Profile) Unlock(passphrase string) (seal.PersonalIdentity, error) {
	f, err := os.Open(filepath.Join(p.dir, personalFile))
	if errors.Is(err, fs.ErrNotExist) {
		return seal.PersonalIdentity{}, ErrNoKey
	}
	if err != nil {
		return seal.PersonalIdentity{}, err
	}
	defer f.Close() // nothing was written
	return seal.OpenLocked(f, passphrase)
}

// Lock writes the personal key anew, behind a passphrase. It replaces the file
// that is there, so the caller knows that the key is the right one.
func (p *Profile) Lock(personal seal.PersonalIdentity, passphrase string, made time.Time) error {
	var b bytes.Buffer
	if err := personal.WriteLocked(&b, passphrase, made); err != nil {
		return err
	}
	return writeFile(p.dir, personalFile, b.Bytes())
}

// save writes profile.json.
func (p *Profile) save() error {
	b, err := json.MarshalIndent(p.Data, "", "  ")
	if err != nil {
		return fmt.Errorf("writing the profile: %w", err)
	}
	return writeFile(p.dir, dataFile, append(b, '\n'))
}

// FindError says that it is not clear which profile is meant.
type FindError struct {
	Base  string   // where was looked
	Found []string // folders of profiles
}

func (e *FindError) Error() string {
	if len(e.Found) == 0 {
		return fmt.Sprintf("there is no profile in %s: this machine is not enrolled at any safe", e.Base)
	}
	return fmt.Sprintf("there are %d profiles in %s", len(e.Found), e.Base)
}

// Find returns the folder of the only profile below base, or a *FindError.
func Find(base string) (string, error) {
	entries, err := os.ReadDir(base)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("looking for a profile: %w", err)
	}
	var found []string
	for _, e := range entries {
		if e.Name()[0] == '.' {
			continue // a draft
		}
		if _, err := os.Stat(filepath.Join(base, e.Name(), dataFile)); err == nil {
			found = append(found, filepath.Join(base, e.Name()))
		}
	}
	if len(found) != 1 {
		slices.Sort(found)
		return "", &FindError{base, found}
	}
	return found[0], nil
}

// writeFile writes a file that is there as a whole, old or new.
func writeFile(dir, name string, b []byte) error {
	f, err := os.CreateTemp(dir, ".new-") // mode 0600
	if err != nil {
		return err
	}
	_, err = f.Write(b)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(f.Name(), filepath.Join(dir, name))
	}
	if err != nil {
		os.Remove(f.Name()) // the error above is the one to report
		return fmt.Errorf("writing %s: %w", name, err)
	}
	return syncDir(dir)
}

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err == nil && int64(len(b)) > limit {
		err = fmt.Errorf("%s has more than %d bytes", file, limit)
	}
	return b, err
}
