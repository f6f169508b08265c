package jaeger

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate/facts/factstest"
)

func TestSmall(t *testing.T) {
	b, err := os.ReadFile("testdata/small.json")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(factstest.Place, b)
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	want := []string{
		"service/Service1 -> service/Service2 run", "service/Service1 -> service/Service3 run", "service/Service1 -> service/Service5 run",
		"service/Service2 -> service/Service4 run", "service/Service3 -> service/Service7 run", "service/Service6 -> service/Service1 run",
		"service/Service8 -> service/Service6 run",
	}
	if diff := cmp.Diff(want, factstest.Links(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got := f.Links[0].Evidence[0].Count; got != 30489 {
		t.Errorf("the first was called %d times, want 30489", got)
	}
}

// All forms tell the same.
func TestForms(t *testing.T) {
	const call = `{"parent":"a","child":"b","callCount":7}`
	for name, text := range map[string]string{
		"a list":                  `[` + call + `]`,
		"version 1 and 2":         `{"data":[` + call + `],"total":0,"limit":0,"offset":0,"errors":null}`,
		"version 3":               `{"dependencies":[{"parent":"a","child":"b","callCount":"7"}]}`,
		"a document":              `{"timestamp":"2026-07-01T00:00:00Z","dependencies":[` + call + `]}`,
		"documents, one a line":   `{"dependencies":[` + `{"parent":"a","child":"b","callCount":3}` + `]}` + "\n" + `{"dependencies":[{"parent":"a","child":"b","callCount":4}]}`,
		"a search for documents":  `{"took":1,"hits":{"total":1,"hits":[{"_index":"jaeger-dependencies-2026-07-01","_source":{"dependencies":[` + call + `]}}]}}`,
		"two of the same in one":  `[{"parent":"a","child":"b","callCount":3},{"parent":"a","child":"b","callCount":4}]`,
		"with a call of itself":   `[{"parent":"a","child":"a","callCount":9},` + call + `]`,
		"with a nameless service": `[{"parent":"","child":"a","callCount":9},` + call + `]`,
	} {
		f, err := Read(factstest.Place, []byte(text))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff([]string{"service/a -> service/b run"}, factstest.Links(f)); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		} else if n := f.Links[0].Evidence[0].Count; n != 7 {
			t.Errorf("%s: called %d times, want 7", name, n)
		}
	}
}

func TestTelemetry(t *testing.T) {
	f, err := Read(factstest.Place, []byte(`[{"parent":"shop","child":"otel-collector","callCount":1},{"parent":"jaeger-query","child":"store","callCount":1}]`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"service/jaeger-query -> service/store telemetry", "service/shop -> service/otel-collector telemetry"}
	if diff := cmp.Diff(want, factstest.Links(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestNotDependencies(t *testing.T) {
	for text, want := range map[string]string{
		``:          "neither data nor dependencies",
		`{"a":1}`:   "neither data nor dependencies",
		`[1]`:       "not dependencies",
		`{"data":[`: "not dependencies",
		`{"data":[],"errors":[{"code":500,"msg":"x"}]}`:         "an error of Jaeger",
		`{"dependencies":[{"parent":"a","callCount":"seven"}]}`: "not dependencies",
	} {
		if _, err := Read(factstest.Place, []byte(text)); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%q) = %v, want an error with %q", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`[{"parent":"a","child":"b","callCount":"7"}]`))
	f.Add([]byte(`{"hits":{"hits":[{"_source":{"dependencies":[{"parent":"a","child":"b","callCount":7}]}}]}}`))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Read(factstest.Place, b)
		if err != nil {
			return
		}
		factstest.Sound(t, got)
		if again, err := Read(factstest.Place, b); err != nil || !cmp.Equal(got, again) {
			t.Errorf("read twice: %v\n%s", err, cmp.Diff(got, again))
		}
	})
}
