package export_test

import (
	"bytes"
	"encoding/json"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/export"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/csv"
)

var at = time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)

// estateOf draws a map with each need, and names that could break a format.
func estateOf(t *testing.T) *estate.Map {
	t.Helper()
	var f estate.Facts
	odd := estate.NewID(estate.Service, `shop/"x"\`)
	for _, need := range estate.Needs {
		f.Links = append(f.Links, estate.Link{
			From: estate.End{ID: odd}, To: estate.End{ID: estate.NewID(estate.Host, string(need))}, Need: need, Port: estate.Port{Number: 53, Protocol: "udp"},
			Evidence: []estate.Evidence{{Basis: estate.Declared, Source: "s", First: at, Last: at}},
		})
	}
	f.Links = append(f.Links, estate.Link{From: estate.End{ID: "application/erp"}, To: estate.End{ID: "database/a,b"}, Need: estate.Run,
		Evidence: []estate.Evidence{{Basis: estate.Declared, Source: "s", First: at, Last: at}}})
	f.Components = []estate.Component{{ID: "host/run", Aliases: []estate.Alias{"10.0.0.1", "run.acme.example"}}}
	return estate.Draw([]estate.Facts{f}, estate.Statements{})
}

func write(t *testing.T, m *estate.Map, f export.Format) string {
	t.Helper()
	var b bytes.Buffer
	if err := export.Write(&b, m, f); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

// What the safe writes as a table it takes back, and it means the same.
func TestCSVComesBack(t *testing.T) {
	m := estateOf(t)
	f, err := csv.Read(facts.Place{Source: "s", Path: "p", Seen: at}, []byte(write(t, m, export.CSV)))
	if err != nil {
		t.Fatal(err)
	}
	again := estate.Draw([]estate.Facts{f}, estate.Statements{})
	bare := func(m *estate.Map) (all []estate.Dependency) {
		for _, d := range m.Dependencies {
			d.Evidence = nil
			all = append(all, d)
		}
		return all
	}
	if diff := cmp.Diff(bare(m), bare(again)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestJSONComesBack(t *testing.T) {
	m := estateOf(t)
	again, err := estate.Decode([]byte(write(t, m, export.JSON)))
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(m.Dependencies, again.Dependencies); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

// Graphviz, where it is installed, takes the drawing; and each name and arrow is
// in it.
func TestDOT(t *testing.T) {
	text := write(t, estateOf(t), export.DOT)
	for _, want := range []string{`"service/shop/\"x\"\\" -> "host/soft" [label="soft" style=dashed];`, `"database/a,b" [shape=cylinder];`, `"application/erp" -> "database/a,b" [label="run"];`} {
		if !strings.Contains(text, want) {
			t.Errorf("%s is not in\n%s", want, text)
		}
	}
	dot, err := exec.LookPath("dot")
	if err != nil {
		t.Skip("Graphviz is not installed")
	}
	cmd := exec.Command(dot, "-Tsvg")
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Errorf("dot: %v\n%s", err, out)
	}
}

func TestCycloneDX(t *testing.T) {
	text := write(t, estateOf(t), export.CycloneDX)
	var b struct {
		BOMFormat    string `json:"bomFormat"`
		Dependencies []struct {
			Ref       string   `json:"ref"`
			DependsOn []string `json:"dependsOn"`
		} `json:"dependencies"`
		Services []struct {
			Ref string `json:"bom-ref"`
		} `json:"services"`
	}
	if err := json.Unmarshal([]byte(text), &b); err != nil {
		t.Fatal(err)
	}
	needs := make(map[string][]string)
	for _, d := range b.Dependencies {
		needs[d.Ref] = d.DependsOn
	}
	if diff := cmp.Diff([]string{"host/hosting", "host/run", "host/start"}, needs[`service/shop/"x"\`]); diff != "" {
		t.Errorf("what orders a restore (-want +got):\n%s", diff)
	}
	if b.BOMFormat != "CycloneDX" || len(b.Services) != 2 || len(b.Dependencies) != 9 {
		t.Errorf("format %q, %d services, %d dependencies", b.BOMFormat, len(b.Services), len(b.Dependencies))
	}
}

func TestNoSuchFormat(t *testing.T) {
	if err := export.Write(new(bytes.Buffer), estateOf(t), "pdf"); err == nil {
		t.Error("it was written as pdf")
	}
}
