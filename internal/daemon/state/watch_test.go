package state

import (
	"context"
	"testing"

	"strongroom/internal/estate"
	"strongroom/internal/ledger"
)

// A generation is another one once somebody has committed, and not before.
func TestGeneration(t *testing.T) {
	d := newDesk(t)
	other := d.open()
	last, err := d.Generation(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	after := func(what string, another bool) {
		t.Helper()
		g, err := d.Generation(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if (g != last) != another {
			t.Errorf("after %s: another is %v, want %v", what, g != last, another)
		}
		last = g
	}
	after("nothing", false)
	d.update(func(tx *Tx) error { return tx.SetFacts("a", estate.Facts{}) })
	after("a transaction", true)
	if err := other.Update(t.Context(), func(tx *Tx) error { return tx.SetFacts("b", estate.Facts{}) }); err != nil {
		t.Fatal(err)
	}
	after("one of another process", true)
	if err := d.Update(t.Context(), func(tx *Tx) error {
		if err := tx.Append(now, ledger.Safe, ledger.ScrubDone{}); err != nil {
			return err
		}
		return context.Canceled
	}); err == nil {
		t.Fatal("no error")
	}
	after("one that came to nothing", false)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := d.Generation(ended); err == nil {
		t.Error("whoever is not there any more is told of a generation")
	}
	d.update(func(tx *Tx) error { return tx.SetFacts("a", estate.Facts{Doubts: []string{"x"}}) })
	after("one that somebody did not wait for", true)
}

// The digest of what was told is another one if any of it is.
func TestTold(t *testing.T) {
	d := newDesk(t)
	seen := make(map[[32]byte]string)
	tell := func(what string) {
		t.Helper()
		all, digest, err := d.View(t.Context()).Told()
		if err != nil {
			t.Fatal(err)
		}
		if was, ok := seen[digest]; ok {
			t.Errorf("after %s the digest is that after %s", what, was)
		}
		seen[digest] = what
		for _, told := range all {
			f, err := told.Facts()
			if err != nil || len(f.Doubts) != 1 || f.Doubts[0] != "of "+string(told.Source) {
				t.Errorf("%s tells %+v, %v", told.Source, f, err)
			}
		}
	}
	of := func(source string) estate.Facts { return estate.Facts{Doubts: []string{"of " + source}} }
	tell("nothing")
	d.update(func(tx *Tx) error { return tx.SetFacts("a", of("a")) })
	tell("one source")
	d.update(func(tx *Tx) error { return tx.SetFacts("b", of("b")) })
	tell("two")
	d.update(func(tx *Tx) error {
		f := of("a")
		f.Components = []estate.Component{{ID: "host/x"}}
		return tx.SetFacts("a", f)
	})
	tell("more of one")
}
