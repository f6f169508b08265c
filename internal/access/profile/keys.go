package profile

import (
	"errors"
	"fmt"

	"strongroom/internal/access"
	"strongroom/internal/safe"
	"strongroom/internal/store/seal"
)

// An OuterKey is the outer key of a period.
type OuterKey struct {
	Period int // from 1
	Key    seal.OuterIdentity
}

// An InnerKey is the inner key of a period.
type InnerKey struct {
	Period int // from 1
	Key    seal.InnerIdentity
}

// OuterKeys opens a person's copies of the outer keys, newest period first.
// What opens is returned even if something does not, which is then an error:
// the copy of an old period may be damaged, and the others do.
func OuterKeys(r access.Roster, name safe.PersonName, personal seal.PersonalIdentity) ([]OuterKey, error) {
	var keys []OuterKey
	var failed []error
	for _, c := range r.OuterFor(name) {
		key, err := seal.OpenOuterCopy(personal, c.Copy, c.Recipient)
		if err != nil {
			failed = append(failed, fmt.Errorf("period %d: %w", c.Period, err))
			continue
		}
		keys = append(keys, OuterKey{c.Period, key})
	}
	return keys, errors.Join(failed...)
}

// InnerKeys is OuterKeys for the inner keys.
func InnerKeys(r access.Roster, name safe.PersonName, personal seal.PersonalIdentity) ([]InnerKey, error) {
	var keys []InnerKey
	var failed []error
	for _, c := range r.InnerFor(name) {
		key, err := seal.OpenInnerCopy(personal, c.Copy, c.Recipient)
		if err != nil {
			failed = append(failed, fmt.Errorf("period %d: %w", c.Period, err))
			continue
		}
		keys = append(keys, InnerKey{c.Period, key})
	}
	return keys, errors.Join(failed...)
}
