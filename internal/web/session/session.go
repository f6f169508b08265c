// Package session remembers who is signed in to the pages, in memory and for a
// while.
//
// Whoever has signed in is known by a random id, which their browser keeps as a
// cookie. Only its hash is kept here, so that a memory that somebody reads lets
// nobody in. A session ends when it was not used for [Idle], [Longest] after it
// began, when its person signs out, when the same person has begun too many
// others, and when the process does.
//
// A session says who signed in, with which passkey. Whether that
// person may still come, and what they may do, is to be asked anew at each
// request: nothing here hears of people who are suspended.
package session

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"sync"
	"time"

	"strongroom/internal/access/passkey"
	"strongroom/internal/safe"
)

const (
	// Idle is how long a session lasts without a request.
	Idle = 15 * time.Minute
	// Longest is how long a session lasts at most.
	Longest = 12 * time.Hour
)

// Bounds of what is remembered. One more than that ends the session that was
// not used for longest: of the same person, or of all.
const (
	maxOfPerson = 5
	maxInAll    = 500
)

// An ID is the secret by which a browser shows that it is signed in. It is made
// by Begin alone: an id that somebody brings along never becomes one.
type ID [32]byte

// ParseID reads what String writes, and nothing else.
func ParseID(s string) (ID, bool) {
	b, err := base64.RawURLEncoding.Strict().DecodeString(s)
	if err != nil || len(b) != len(ID{}) || base64.RawURLEncoding.EncodeToString(b) != s {
		return ID{}, false
	}
	return ID(b), true
}

// String returns the id as it stands in a cookie.
func (id ID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// A Session is somebody who has signed in.
type Session struct {
	Person  safe.PersonName
	Passkey passkey.Key // with which they did
	Page    string      // where: the origin of a page on another host; "" for the safe's own
	begun   time.Time
	used    time.Time // last
}

// over reports whether the session has ended by itself. One from the future was
// begun by a clock that was ahead, and would last for as long.
func (s Session) over(now time.Time) bool {
	within := func(since time.Time, d time.Duration) bool { return !now.Before(since) && now.Before(since.Add(d)) }
	return !within(s.used, Idle) || !within(s.begun, Longest)
}

// hash is by what a session is found. An id is random, so that whoever can
// measure the search learns nothing of a use from it.
type hash [sha256.Size]byte

// A Table has the sessions of one server. Its methods may be called
// concurrently.
type Table struct {
	now func() time.Time

	mu  sync.Mutex // guards the field below
	all map[hash]Session
}

// New returns an empty Table.
func New(now func() time.Time) *Table {
	return &Table{now: now, all: make(map[hash]Session)}
}

// Begin begins a session of somebody who has just signed in, and returns its
// new id. page is that of the Session.
func (t *Table) Begin(person safe.PersonName, key passkey.Key, page string) ID {
	var id ID
	rand.Read(id[:]) // never fails: crypto/rand aborts the program instead
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	t.makeRoomLocked(now, person)
	t.all[sha256.Sum256(id[:])] = Session{Person: person, Passkey: key, Page: page, begun: now, used: now}
	return id
}

// makeRoomLocked forgets sessions that are over, and the one that was not used
// for longest where there would be too many. t.mu must be held.
func (t *Table) makeRoomLocked(now time.Time, person safe.PersonName) {
	var (
		oldest, oldestOfPerson hash
		ofPerson               int
	)
	older := func(s Session, than hash) bool {
		other, ok := t.all[than]
		return !ok || s.used.Before(other.used)
	}
	for h, s := range t.all {
		if s.over(now) {
			delete(t.all, h)
			continue
		}
		if older(s, oldest) {
			oldest = h
		}
		if s.Person != person {
			continue
		}
		ofPerson++
		if older(s, oldestOfPerson) {
			oldestOfPerson = h
		}
	}
	switch {
	case ofPerson >= maxOfPerson:
		delete(t.all, oldestOfPerson)
	case len(t.all) >= maxInAll:
		delete(t.all, oldest)
	}
}

// Find returns the session of that id, which is used by that.
func (t *Table) Find(id ID) (Session, bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	h, now := hash(sha256.Sum256(id[:])), t.now()
	s, ok := t.all[h]
	if !ok {
		return Session{}, false
	}
	if s.over(now) {
		delete(t.all, h)
		return Session{}, false
	}
	s.used = now
	t.all[h] = s
	return s, true
}

// End ends the session of that id, if there is one.
func (t *Table) End(id ID) {
	t.mu.Lock()
	defer t.mu.Unlock()
	delete(t.all, sha256.Sum256(id[:]))
}
