package api

import (
	"errors"

	"strongroom/internal/access"
	"strongroom/internal/access/signature"
)

// A Voice is somebody who may call, as the safe knows them at the moment.
type Voice struct {
	Person  access.Person
	Usable  []signature.Key // of Person.Keys, those that are not suspended
	Pending bool            // enrolled, and not in the roster yet
	// Waiting are the keys of somebody in the roster who has enrolled anew, on
	// another machine. Until the roster has them, they are only good for what
	// those may ask who are Pending.
	Waiting []signature.Key
}

// Errors by which a safe answers a call. Their texts are for the person who
// called; any other error is the safe's own business.
var (
	// ErrNotFound means that there is nothing of that name, or nothing that
	// this person may know of.
	ErrNotFound = errors.New("there is no such thing")
	// ErrBusy means that another opening is open.
	ErrBusy = errors.New("another opening is open, and one may be open at a time")
)

// A DeniedError means that this person may not do that.
type DeniedError struct {
	What   string // "opening.release"
	Reason string // for people
	Err    error  // nil if Reason says all
}

func (e *DeniedError) Error() string { return e.What + ": " + e.Reason }
func (e *DeniedError) Unwrap() error { return e.Err }

// An InvalidError means that what was sent cannot be.
type InvalidError struct{ Reason string } // for people

func (e *InvalidError) Error() string { return e.Reason }

const (
	// MaxEnvelopes is how many envelopes are handed out at a time.
	MaxEnvelopes = 256
	// MaxOpenings is how many openings are listed, the newest.
	MaxOpenings = 500
	// MaxReleased bounds the body of a release: 30 thousand runs, whose inner
	// files have some 2 kB each.
	MaxReleased = 96 << 20
)
