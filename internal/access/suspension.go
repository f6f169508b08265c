package access

import (
	"slices"

	"strongroom/internal/access/signature"
	"strongroom/internal/safe"
)

// A Suspension stops a person, or one key of a person, from the ledger entry
// on that records it until a roster names that entry as lifted.
type Suspension struct {
	Entry  int64           `json:"entry"` // of the ledger
	Person safe.PersonName `json:"person"`
	Key    signature.Key   `json:"key,omitzero"` // zero for all that the person has
}

// Suspensions are those that a safe's ledger records.
type Suspensions []Suspension

// In returns those that r does not lift.
func (all Suspensions) In(r Roster) Suspensions {
	return slices.DeleteFunc(slices.Clone(all), func(s Suspension) bool { return slices.Contains(r.Lifted, s.Entry) })
}

// Stop reports whether they stop the person from using the key.
func (all Suspensions) Stop(person safe.PersonName, key signature.Key) bool {
	return slices.ContainsFunc(all, func(s Suspension) bool {
		return s.Person == person && (s.Key.IsZero() || s.Key == key)
	})
}

// Whole returns the entries that suspend the person with all keys.
func (all Suspensions) Whole(person safe.PersonName) (entries []int64) {
	for _, s := range all {
		if s.Person == person && s.Key.IsZero() {
			entries = append(entries, s.Entry)
		}
	}
	return entries
}

// Of returns the entries that suspend the person, or one of their keys.
func (all Suspensions) Of(person safe.PersonName) (entries []int64) {
	for _, s := range all {
		if s.Person == person {
			entries = append(entries, s.Entry)
		}
	}
	return entries
}
