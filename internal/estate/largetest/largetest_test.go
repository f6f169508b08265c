package largetest_test

import (
	"testing"

	"strongroom/internal/estate"
	"strongroom/internal/estate/largetest"
)

// What a benchmark measures is as large as it says.
func TestEstate(t *testing.T) {
	var facts []estate.Facts
	for _, told := range largetest.Estate(5000, 50_000) {
		facts = append(facts, told.Facts)
	}
	m := estate.Draw(facts, estate.Statements{})
	if len(m.Components) != 5000 || len(m.Merges) != 500 || len(m.Dependencies) < 49_000 {
		t.Errorf("%d components, %d merges, %d dependencies", len(m.Components), len(m.Merges), len(m.Dependencies))
	}
	for i := range largetest.Applications {
		if _, ok := m.Component(largetest.App(i)); !ok {
			t.Errorf("%s is not on the map", largetest.App(i))
		}
	}
	t.Logf("doubts: %q, undescribed: %q", m.Doubts, m.Undescribed)
}
