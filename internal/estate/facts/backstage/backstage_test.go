package backstage

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/factstest"
)

func read(t *testing.T, text string) estate.Facts {
	t.Helper()
	f, err := Read(factstest.Place, []facts.File{{Data: []byte(text)}})
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	return f
}

// entity is a document: its kind and name, and its spec.
func entityText(kind, name, spec string) string {
	return fmt.Sprintf("---\napiVersion: backstage.io/v1alpha1\nkind: %s\nmetadata: {name: %s}\nspec: {%s}\n", kind, name, spec)
}

func TestRealCatalogue(t *testing.T) {
	f, err := Read(factstest.Place, factstest.Files(t, "backstage-catalog.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	factstest.Golden(t, "backstage-catalog", f)
}

func TestLinks(t *testing.T) {
	for _, tt := range []struct{ name, text, want string }{
		{"a component by itself", entityText("Component", "a", "dependsOn: [b]"), "service/default/a -> service/default/b run"},
		{"a resource elsewhere", entityText("Component", "a", "dependsOn: ['resource:other/db']"), "service/default/a -> resource/other/db run"},
		{"upper case", entityText("Component", "A", "dependsOn: ['Resource:DB']"), "service/default/a -> resource/default/db run"},
		{"the other way round", entityText("Resource", "db", "dependencyOf: ['component:a']"), "service/default/a -> resource/default/db run"},
		{"an API of two", entityText("Component", "a", "consumesApis: [x]") + entityText("Component", "b", "providesApis: ['api:default/x']") + entityText("Component", "c", "providesApis: [x]"),
			"service/default/a -> service/default/b run, service/default/a -> service/default/c run"},
		{"an API that is depended on", entityText("Component", "a", "dependsOn: ['api:x']") + entityText("Component", "b", "providesApis: [x]"), "service/default/a -> service/default/b run"},
		{"its own API", entityText("Component", "a", "consumesApis: [x], providesApis: [x]"), ""},
		{"a system", entityText("Component", "a", "system: s") + entityText("System", "s", ""), "application/default/s -> service/default/a run"},
		{"a system that nobody described", entityText("Component", "a", "system: s"), ""},
		{"a part", entityText("Component", "a", "subcomponentOf: b") + entityText("Component", "b", ""), "service/default/b -> service/default/a run"},
		{"people", entityText("Component", "a", "dependsOn: ['user:jo', 'group:x']"), ""},
		{"telemetry", entityText("Component", "a", "dependsOn: [grafana]"), "service/default/a -> service/default/grafana telemetry"},
		{"a list of the API", `{"items": [{"apiVersion": "backstage.io/v1alpha1", "kind": "Component", "metadata": {"name": "a", "namespace": "n"}, "spec": {"dependsOn": ["b"]}}]}`, "service/n/a -> service/n/b run"},
	} {
		if got := strings.Join(factstest.Links(read(t, tt.text)), ", "); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

func TestDoubtsAndOwners(t *testing.T) {
	f := read(t, entityText("Component", "a", "owner: team-a, consumesApis: [x], dependsOn: ['bad ref', {}, ['x']]"))
	want := `service/default/a of team-a
	declared, file: line 2: component:default/a
? component:default/a has in spec.dependsOn what is no reference to an entity
? component:default/a uses api:default/x, which nobody here provides
`
	if diff := cmp.Diff(want, factstest.Text(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A password in each place that no fact is made of is nowhere in the facts.
func TestSecrets(t *testing.T) {
	text := entityText("Component", "a", "dependsOn: [b, 'resource:hunter2 x', 'https://u:hunter2@x'], hunter2: hunter2") +
		"---\napiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata:\n  name: b\n  description: hunter2\n  annotations: {token: hunter2}\n  links: [{url: 'https://hunter2@x'}]\nspec: {dependsOn: [a], definition: hunter2}\n" +
		"---\nother: hunter2\n"
	f, err := Read(factstest.Place, []facts.File{{Data: []byte(text)}})
	if err != nil || len(f.Links) != 2 {
		t.Fatalf("%v\n%s", err, factstest.Text(f))
	}
	factstest.Secretless(t, f, err, "hunter2")
	for _, text := range []string{"", "a: hunter2", "[hunter2"} {
		f, err := Read(factstest.Place, []facts.File{{Data: []byte(text)}})
		if err == nil {
			t.Errorf("%q was read", text)
		}
		factstest.Secretless(t, f, err, "hunter2")
	}
}

// What refers to each other many times over is refused, or costs little.
func TestBombs(t *testing.T) {
	var all strings.Builder
	for i := range 120 {
		all.WriteString(entityText("Component", fmt.Sprintf("c%d", i), "providesApis: [x], consumesApis: ["+strings.Repeat("x,", 100)+"]"))
	}
	if _, err := Read(factstest.Place, []facts.File{{Data: []byte(all.String())}}); err == nil || !strings.Contains(err.Error(), "more than") {
		t.Errorf("got %v, want that it is too much", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add(factstest.Files(f, "backstage-catalog.yaml")[0].Data)
	f.Add([]byte(entityText("Component", "a", "system: s, subcomponentOf: 'component:n/b', dependencyOf: [c]") + entityText("System", "s", "owner: x")))
	f.Fuzz(func(t *testing.T, b []byte) {
		files := []facts.File{{Data: b}}
		got, err := Read(factstest.Place, files)
		if err != nil {
			return
		}
		factstest.Sound(t, got)
		if again, err := Read(factstest.Place, files); err != nil || !cmp.Equal(got, again) {
			t.Errorf("read twice: %v\n%s", err, cmp.Diff(got, again))
		}
	})
}
