package daemon

import (
	"strings"
	"testing"
	"time"

	"strongroom/internal/access/api"
	"strongroom/internal/store/seal"
)

func TestNags(t *testing.T) {
	nags := func(h *hall) string {
		t.Helper()
		all, err := h.safe.Nags(t.Context())
		h.must(err)
		var lines []string
		for _, n := range all {
			lines = append(lines, n.Text)
		}
		return strings.Join(lines, "\n")
	}
	has := func(h *hall, wants ...string) {
		t.Helper()
		for _, want := range wants {
			if got := nags(h); !strings.Contains(got, want) {
				t.Errorf("%q is missing among\n%s", want, got)
			}
		}
	}
	h := newHall(t)
	has(h, "nobody stands in the roster", "no mail is configured")
	h.found(pair)
	has(h, "one keykeeper", "one operator", "outer key of ada was never proven", "inner key of bob was never proven", "outer key on paper was never proven")
	for _, paper := range []bool{false, true} {
		c, err := h.safe.BeginKeyCheck(t.Context(), from, "ada", api.KeyCheck{Role: "outer", Period: 1, Paper: paper})
		h.must(err)
		nonce, err := seal.AnswerOuterProof(h.outer[0], c.Sealed)
		h.must(err)
		h.must(h.safe.AnswerKeyCheck(t.Context(), from, "ada", api.Answer{ID: c.ID, Nonce: nonce}))
	}
	if got := nags(h); strings.Contains(got, "ada") || strings.Contains(got, "outer key") || strings.Contains(got, "one keykeeper") {
		t.Errorf("it nags about what was proven:\n%s", got)
	}
	h.pass(61 * 24 * time.Hour)
	has(h, "outer key of ada was proven last on", "outer key on paper was proven last on")
}
