package web

import (
	"context"
	"errors"
	"testing"
)

// Who asks for many pages at once waits for themselves, and nobody else does.
func TestTurns(t *testing.T) {
	var all turns
	var leave []func()
	for range pagesAtOnce {
		l, err := all.take(t.Context(), "ada")
		if err != nil {
			t.Fatal(err)
		}
		leave = append(leave, l)
	}
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := all.take(gone, "ada"); !errors.Is(err, context.Canceled) {
		t.Errorf("one page too many: %v, want that it waited until nobody did", err)
	}
	if _, err := all.take(t.Context(), "bob"); err != nil {
		t.Errorf("somebody else: %v", err)
	}
	leave[0]()
	if _, err := all.take(t.Context(), "ada"); err != nil {
		t.Errorf("after one was drawn: %v", err)
	}
}
