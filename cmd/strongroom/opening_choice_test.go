package main

import (
	"strings"
	"testing"
	"time"

	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/safe"
)

// Who asks how their opening stands, which was refused, is told that, and why.
func TestNoOpeningIsLeft(t *testing.T) {
	refused := seen{Opening: api.Opening{ID: safe.NewOpeningID(time.Now()), State: opening.Refused, Cause: "otto knows nothing of it"}}
	_, err := chooseOpening([]seen{refused}, "", inState(opening.Requested, opening.Open))
	if err == nil || !strings.Contains(err.Error(), "the last one is refused: otto knows nothing of it") {
		t.Errorf("got %v", err)
	}
}
