package opening

import (
	"errors"
	"fmt"
)

// A State is where an opening stands.
type State string

const (
	Requested State = "requested"
	Open      State = "open"
	Closed    State = "closed"
	Refused   State = "refused"
	Withdrawn State = "withdrawn"
	Expired   State = "expired"
)

// Over reports whether nothing can follow the state.
func (s State) Over() bool { return s != Requested && s != Open }

// ErrState means that an opening is not where it would have to be.
var ErrState = errors.New("the opening is not in the state for this")

// Check reports whether an opening may pass from s to next. An open one can be
// released again, which prolongs it.
//
//	requested -> open -> closed
//	    \-> refused, withdrawn, expired
func (s State) Check(next State) error {
	switch {
	case s == Requested && next != Requested && next != Closed:
		return nil
	case s == Open && (next == Closed || next == Open):
		return nil
	}
	return fmt.Errorf("it is %s and cannot become %s: %w", s, next, ErrState)
}
