package daemon

import (
	"strconv"
	"testing"

	"strongroom/internal/access/gate"
)

// A gate that was taken over may tell of anything, for as long as it lasts.
func TestWhatAGateTellsFillsNoMemory(t *testing.T) {
	d := &door{read: make(map[string]bool)}
	for i := range gate.MaxReads + 10 {
		d.countLocked(gate.Event{Read: &gate.Read{Name: strconv.Itoa(i), Bytes: 1}})
	}
	if len(d.read) != gate.MaxReads || d.counts.Bytes != gate.MaxReads+10 {
		t.Errorf("%d names are remembered, %d bytes counted", len(d.read), d.counts.Bytes)
	}
}
