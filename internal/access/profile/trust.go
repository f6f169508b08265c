package profile

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/safe"
)

// Errors of a roster that cannot be trusted.
var (
	// ErrNotPinned means that the safe is founded, and the person has not yet
	// compared the words of its roster with anybody.
	ErrNotPinned = errors.New("this machine has not pinned a version of the roster, so it cannot tell the safe's people from invented ones")
	// ErrOtherPin means that the safe has another version of the number that
	// was pinned.
	ErrOtherPin = errors.New("the safe shows another roster than the one that was pinned on this machine")
	// ErrNotYet means that the version that was pinned is only proposed, or
	// waits for its time.
	ErrNotYet = errors.New("the version of the roster that this machine has pinned is not in force yet")
)

// Verified returns the newest version of the roster that was verified; false
// if there is none yet. It needs no safe: whoever restores with papers and a
// copy of the store asks here.
func (p *Profile) Verified() (access.Roster, bool, error) {
	b, err := readBounded(filepath.Join(p.dir, rosterFile), access.MaxRoster)
	if errors.Is(err, fs.ErrNotExist) || p.Pin.Number == 0 {
		return access.Roster{}, false, nil
	}
	if err != nil {
		return access.Roster{}, false, err
	}
	r, err := access.ParseRoster(b)
	if err != nil {
		return access.Roster{}, false, fmt.Errorf("the roster in %s: %w", p.dir, err)
	}
	if r.Store != p.Store {
		return access.Roster{}, false, fmt.Errorf("the roster in %s is of another safe", p.dir)
	}
	return r, true, nil
}

// After returns from which version on Follow needs links: the number for
// ?after=, 0 for all.
func (p *Profile) After() int {
	if r, ok, err := p.Verified(); err == nil && ok {
		return r.Number
	}
	return 0
}

// Follow verifies what the safe says of its roster and returns the version in
// force, which is kept for the next time. The errors to be decided on are
// ErrNotPinned, ErrOtherPin, and access.ErrPapers, after which the person
// compares words and pins anew: see Candidate.
//
// Before the safe is founded there is nothing to verify with. Then Follow
// returns the version that the safe shows, of which only Founded, its store
// and its period mean anything.
func (p *Profile) Follow(everyone api.Everyone) (access.Roster, error) {
	current, err := access.ParseRoster(everyone.Current)
	if err != nil {
		return access.Roster{}, err
	}
	if current.Store != p.Store {
		return access.Roster{}, fmt.Errorf("the roster is of store %s, not of %s", current.Store, p.Store)
	}
	r, known, err := p.Verified()
	if err != nil {
		return access.Roster{}, err
	}
	links := everyone.Links
	switch {
	case known:
		links, err = linksAfter(links, r.Number)
	case !current.Founded():
		return current, nil
	case p.Pin.Number == 0:
		return access.Roster{}, ErrNotPinned
	case p.Pin.Number > current.Number:
		return access.Roster{}, ErrNotYet
	default:
		r, links, err = p.pinned(links)
	}
	if err != nil {
		return access.Roster{}, err
	}
	before := r.Number
	if r, err = r.Follow(links); err != nil {
		return access.Roster{}, err
	}
	if r.Digest() != current.Digest() {
		return access.Roster{}, fmt.Errorf("the safe says that version %d of the roster is in force, and proves version %d only", current.Number, r.Number)
	}
	if known && r.Number == before {
		return r, nil
	}
	return r, writeFile(p.dir, rosterFile, r.Encode())
}

// linksAfter leaves out what is known.
func linksAfter(links []access.Link, number int) ([]access.Link, error) {
	for i, link := range links {
		r, err := access.ParseRoster(link.Roster)
		if err != nil {
			return nil, err
		}
		if r.Number > number {
			return links[i:], nil
		}
	}
	return nil, nil
}

// pinned finds the version that was pinned.
func (p *Profile) pinned(links []access.Link) (access.Roster, []access.Link, error) {
	for i, link := range links {
		r, err := access.ParseRoster(link.Roster)
		switch {
		case err != nil:
			return access.Roster{}, nil, err
		case r.Number == p.Pin.Number && r.Digest() != p.Pin.Digest:
			return access.Roster{}, nil, ErrOtherPin
		case r.Number == p.Pin.Number:
			return r, links[i+1:], nil
		}
	}
	return access.Roster{}, nil, fmt.Errorf("version %d, which was pinned, is not among those that the safe shows: %w", p.Pin.Number, ErrOtherPin)
}

// Candidate returns the version whose words the person compares with other
// people before it is pinned: the last one that papers brought about, or else
// the one that founded the safe. false if there is none, as the safe is not
// founded.
func Candidate(everyone api.Everyone) (access.Roster, bool, error) {
	var candidate access.Roster
	for _, link := range everyone.Links {
		r, err := access.ParseRoster(link.Roster)
		if err != nil {
			return access.Roster{}, false, err
		}
		if r.Founded() && (link.Papers || !candidate.Founded()) {
			candidate = r
		}
	}
	return candidate, candidate.Founded(), nil
}

// SetPin makes a version the beginning of the chain, after the person has
// compared its words. What was verified before counts no more.
func (p *Profile) SetPin(r access.Roster) error {
	if r.Store != p.Store {
		return fmt.Errorf("the roster is of store %s, not of %s", r.Store, p.Store)
	}
	if !r.Founded() {
		return errors.New("a version without a keykeeper and an operator cannot be pinned")
	}
	p.Pin = Pin{r.Number, r.Digest()}
	// The roster first: an old pin with a newer roster is what a chain leads
	// to, while a new pin with an old roster would contradict itself.
	if err := writeFile(p.dir, rosterFile, r.Encode()); err != nil {
		return err
	}
	return p.save()
}

// Expect pins a version that is only proposed, because this machine has
// composed it or agreed with it to found the safe.
func (p *Profile) Expect(number int, digest safe.Digest) error {
	p.Pin = Pin{number, digest}
	return p.save()
}
