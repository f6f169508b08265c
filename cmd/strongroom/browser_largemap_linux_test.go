package main

import (
	"encoding/csv"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/estate/largetest"
	"strongroom/internal/web/browsertest"
)

// factSources is how many sources tell of the large estate.
const factSources = 20

// TestMapOfThousands measures what people wait for at a real safe that knows of
// 5,000 components with 50,000 dependencies: commands, and pages in a browser.
// It asserts no times; docs/scale.md has them.
func TestMapOfThousands(t *testing.T) {
	if os.Getenv("STRONGROOM_BENCH") == "" {
		t.Skip("measures for minutes: make bench-map")
	}
	folder := t.TempDir()
	s := newSiteWith(t, tellInTables(t, folder))
	ada := s.guest("ada")
	ada.enrol("Make the outer key")
	s.enrol("bob", "operator", "--role-key", s.inner)
	otto := s.enrol("otto", "operator")
	ada.founds(lastWords(t, s.as("bob", "people", "add", "ada", "bob", "otto", "--yes", "--words", "ada="+ada.words, "--words", "otto="+otto)))

	row := func(what string, took time.Duration, more string) {
		load, err := os.ReadFile("/proc/loadavg")
		s.must(err)
		t.Logf("%-50s %6.2f s  load %.4s  %s", what, took.Seconds(), load, more)
	}
	run := func(what string, args ...string) {
		t.Helper()
		cmd := exec.Command(filepath.Join(programDir, "strongroom"), args...)
		cmd.Dir = filepath.Join(s.root, "safe")
		begun := time.Now()
		out, err := cmd.Output()
		if err != nil && cmd.ProcessState.ExitCode() < 0 {
			t.Fatalf("%s: %v", what, err)
		}
		row(what, time.Since(begun), fmt.Sprintf("%.2f s of a processor, %d lines", cmd.ProcessState.UserTime().Seconds(), strings.Count(string(out), "\n")))
	}
	for i := range factSources - 1 {
		s.as("safe", "collect", factSource(i))
	}
	run("collect a source that tells of the estate", "collect", factSource(factSources-1))
	run("collect it again, with nothing new", "collect", factSource(factSources-1))
	run("map show", "map", "show")
	run("map order", "map", "order")
	run("map show, of one component", "map", "show", "host/rack00-000")
	run("coverage, of 20 applications", "coverage")

	painted := func() {
		ada.Wait(`new Promise(done => requestAnimationFrame(() => setTimeout(() => done(true))))`)
	}
	step := func(what, until string, do func()) {
		t.Helper()
		begun := time.Now()
		do()
		ada.Wait(until)
		painted()
		row(what, time.Since(begun), browsertest.Eval[string](ada.Page, `JSON.stringify(performance.getEntriesByType("navigation").map(n => ({MB: Math.round(n.decodedBodySize / 1e5) / 10, answered: Math.round(n.responseEnd), interactive: Math.round(n.domInteractive)})))`))
	}
	usable := `document.querySelector("#found")?.innerText.endsWith("components") && performance.getEntriesByType("navigation")[0].loadEventEnd > 0`
	step("Overview, the first time: the map is drawn", `document.querySelector("h1")`, func() { ada.Go(s.origin + "/") })
	step("Overview", `document.querySelector("h1")`, func() { ada.Go(s.origin + "/") })
	step("Map, the first time: it is ordered", usable, func() { ada.Go(s.origin + "/map") })
	ada.Go(s.origin + "/people")
	step("Map", usable, func() { ada.Go(s.origin + "/map") })
	step("Map: what is typed is found", `!document.querySelector("#found").innerText.startsWith("5,")`, func() { ada.Fill("#find-text", "rack07-") })
	step("Map: all again", `document.querySelector("#found").innerText.startsWith("5,")`, func() { ada.Fill("#find-text", "") })
	step("Map: only databases", `!document.querySelector("#found").innerText.startsWith("5,")`, func() {
		browsertest.Eval[bool](ada.Page, `{ const s = document.querySelector("#find-kind"); s.value = "database"; s.dispatchEvent(new Event("input")); true }`)
	})
	step("Map, drawn by the safe for one application", usable, func() { ada.Go(s.origin + "/map?text=&application=app-03&kind=&evidence=") })
	step("Component", `document.querySelector("#component")`, func() { ada.Go(s.origin + "/map/component?id=host%2Frack00-000") })
	step("Application", `document.querySelector("h1")`, func() { ada.Go(s.origin + "/applications/app-03") })
	if complaints := ada.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

func factSource(i int) string { return fmt.Sprintf("facts-%02d", i) }

// tellInTables writes the large estate as tables into folders, and returns the
// sources and applications for the configuration.
func tellInTables(t *testing.T, folder string) string {
	t.Helper()
	told := largetest.Estate(5000, 50_000)
	at := make(map[estate.Alias]estate.ID) // who has an alias; a table has no aliases of its own
	for _, one := range told {
		for _, c := range one.Facts.Components {
			for _, a := range c.Aliases {
				at[a] = c.ID
			}
		}
	}
	spell := func(e estate.End) string {
		if e.ID != "" {
			return string(e.ID)
		}
		if id, ok := at[e.Alias]; ok {
			return string(id)
		}
		host, _ := e.Alias.Host()
		return string(host)
	}
	tables := make([][][]string, factSources)
	var text strings.Builder
	var hosts strings.Builder
	for i, one := range told {
		table := &tables[i%factSources]
		for _, l := range one.Facts.Links {
			if from, to := spell(l.From), spell(l.To); from != to {
				*table = append(*table, []string{from, to, "", string(l.Need)})
			}
		}
		if len(one.Facts.Components) > 0 && one.Facts.Components[0].ID.Kind() == estate.Host {
			fmt.Fprintf(&hosts, "  %s: { must_hold: { data: [ %s ] } }\n", one.Facts.Components[0].ID, factSource(i%factSources))
		}
	}
	for i, table := range tables {
		dir := filepath.Join(folder, factSource(i))
		var b strings.Builder
		w := csv.NewWriter(&b)
		if err := w.WriteAll(append([][]string{{"from", "to", "port", "kind"}}, table...)); err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "dependencies.csv"), b.String())
		fmt.Fprintf(&text, "  %s: { kind: local, include: [ %s ] }\n", factSource(i), dir)
	}
	fmt.Fprintf(&text, "components:\n%sapplications:\n", hosts.String())
	for i := range largetest.Applications {
		fmt.Fprintf(&text, "  app-%02d: { consists_of: [ %s ], levels: { rpo: 26h } }\n", i, largetest.App(i))
	}
	return text.String()
}
