package page_test

import (
	"bytes"
	"io"
	"slices"
	"strconv"
	"strings"
	"testing"

	"strongroom/internal/access"
	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/report"
	"strongroom/internal/web/page"
	"strongroom/internal/web/page/pagetest"
)

// The picture and the table show the same components in the same order, which
// the page's script relies on.
func TestMapAndTableAreTheSame(t *testing.T) {
	for _, sheet := range []string{"map", "map-many"} {
		root := draw(t, sheet)
		rows := root.byID("components").all("tbody")[0].all("tr")
		if len(rows) < 10 {
			t.Fatalf("%s has %d rows", sheet, len(rows))
		}
		nodes := 0
		for _, a := range root.all("a") {
			if strings.HasPrefix(a.attr["id"], "map-") {
				row := rows[nodes]
				link := row.all("a")[0]
				title := a.all("title")[0].words()
				if id, _, _ := strings.Cut(title, ":"); id != link.words() || a.attr["href"] != link.attr["href"] {
					t.Errorf("%s: node %d is %s, and the row is of %s", sheet, nodes, title, link.words())
				}
				nodes++
			}
		}
		if nodes != len(rows) {
			t.Errorf("%s: %d nodes, %d rows", sheet, nodes, len(rows))
		}
	}
}

// What is shown of a component in the table is what it is found by, and which
// rows it needs.
func TestMapRowsAreFound(t *testing.T) {
	m := pagetest.Map()
	root := draw(t, "map")
	rows := root.byID("components").all("tbody")[0].all("tr")
	row := make(map[string]*node)
	for _, r := range rows {
		row[r.all("a")[0].words()] = r
	}
	db := row["host/db1"]
	if got := db.attr["data-find"]; got != "infra@acme.example 10.0.4.5 db1.acme.example" {
		t.Errorf("it is found by %q", got)
	}
	if got := db.attr["data-for"]; got != "0 1" || m.Applications[1] != "wiki" {
		t.Errorf("it is needed by %q", got)
	}
	if got := db.attr["data-by"]; got != "declared observed" {
		t.Errorf("it is known by %q", got)
	}
	var needs []string
	for _, n := range strings.Fields(db.attr["data-needs"]) {
		for i, r := range rows {
			if n == strconv.Itoa(i) {
				needs = append(needs, r.all("a")[0].words())
			}
		}
	}
	if got := strings.Join(needs, " "); got != "service/dns storage/san" {
		t.Errorf("it needs %q", got)
	}
	if got := db.words(); !strings.Contains(got, "the database host in Bonn") {
		t.Errorf("its row says %q", got)
	}
}

// A part of the map says what it is a part of, and how to get back.
func TestMapOfAPart(t *testing.T) {
	m := pagetest.Map()
	m.Asked = report.MapFilter{Text: "db", Application: "erp", Kind: estate.Host, Basis: estate.Observed}
	m.Components, m.Arrows = m.Components[:3], nil
	var b bytes.Buffer
	if err := newPages(t).Map(&b, pagetest.Frame("/map", access.Auditor), m); err != nil {
		t.Fatal(err)
	}
	root := check(t, b.Bytes())
	form := root.byID("find")
	var chosen []string
	for _, o := range form.all("option") {
		if o.attr["selected"] != "" {
			chosen = append(chosen, o.attr["value"])
		}
	}
	if got := strings.Join(chosen, " "); got != "erp host observed" || root.byID("find-text").attr["value"] != "db" || form.attr["data-filtered"] == "" {
		t.Errorf("the form says %s and %q", got, root.byID("find-text").attr["value"])
	}
	if got := root.byID("found").words(); got != "3 of 30 components" {
		t.Errorf("the page says %q", got)
	}
	if !strings.Contains(form.words(), "Show all") {
		t.Error("nothing leads back to the whole map")
	}
	m.Components = nil
	b.Reset()
	if err := newPages(t).Map(&b, pagetest.Frame("/map", access.Auditor), m); err != nil {
		t.Fatal(err)
	}
	if root = check(t, b.Bytes()); !strings.Contains(root.byID("layers").words(), "What to do: show all") {
		t.Error("nothing was found, and nothing says what to do")
	}
}

func TestComponentTellsWhy(t *testing.T) {
	root := draw(t, "component")
	for id, want := range map[string]string{
		"needs":     "cannot start without it",
		"needed-by": "declared for a machine in erp-app, /etc/resolv.conf: line 2: “nameserver 10.0.0.2”",
		"cover":     "held, data in dns-zones: the newest snapshot of dns-zones is 5 hours old",
		"known":     "stated by a person in the configuration, line 41",
	} {
		if got := root.byID(id).words(); !strings.Contains(got, want) {
			t.Errorf("%s says %q, want %q in it", id, got, want)
		}
	}
	var chosen []string
	for _, a := range root.byID("around").all("a") {
		if strings.Contains(a.attr["class"], "chosen") {
			chosen = append(chosen, a.all("title")[0].words())
		}
	}
	if strings.Join(chosen, " ") != "service/dns: held" {
		t.Errorf("what stands out is %q", chosen)
	}
}

// What an officer can say something of is marked for the page's script; others
// are told who can.
func TestOfficersHaveTheirSay(t *testing.T) {
	drawn := func(role access.Role) *node {
		t.Helper()
		var b bytes.Buffer
		if err := newPages(t).Component(&b, pagetest.Frame("/map/component", role), pagetest.Component()); err != nil {
			t.Fatal(err)
		}
		return check(t, b.Bytes())
	}
	root := drawn(access.Officer)
	panel := root.byID("say-panel")
	if panel.attr["data-component"] != "service/dns" || panel.attr["hidden"] == "" || len(panel.all("option")) != 5+len(estate.Needs) {
		t.Errorf("the panel is %+v", panel.attr)
	}
	rows := root.byID("needs").all("tbody")[0].all("tr")
	if row := rows[1].attr; row["data-other"] != "service/ntp" || row["data-need"] != "run" || strings.TrimSpace(row["data-said"]) != "438" {
		t.Errorf("the second row of what it needs is %+v", row)
	}
	var rejected []string
	for _, li := range root.byID("known").all("li") {
		if li.attr["data-from"] != "" {
			rejected = append(rejected, li.attr["data-from"]+" "+strings.TrimSpace(li.attr["data-said"]))
		}
	}
	if got := strings.Join(rejected, ", "); got != "service/dns , host/backup 437" {
		t.Errorf("people say no to %s", got)
	}
	scripts := func(root *node) (n int) { return len(root.all("script")) }
	if scripts(root) != 1 {
		t.Error("the page of an officer has no script")
	}
	for _, role := range []access.Role{access.Keykeeper, access.Operator, access.Auditor} {
		root := drawn(role)
		say := root.byID("say")
		if scripts(root) > 0 || len(say.all("input")) > 0 || !strings.Contains(say.words(), "An officer confirms, rejects and adds") {
			t.Errorf("%s sees %s", role, say.words())
		}
	}
}

// Of what thousands need, the picture shows some, and says so.
func TestAroundIsBounded(t *testing.T) {
	c := pagetest.Component()
	for len(c.NeededBy) < report.MostNeighbours {
		c.NeededBy = append(c.NeededBy, report.Neighbour{ID: estate.ID("host/" + strconv.Itoa(len(c.NeededBy))), Need: estate.Run})
	}
	c.MoreNeeded = 4800
	var b bytes.Buffer
	if err := newPages(t).Component(&b, pagetest.Frame("/map/component", access.Auditor), c); err != nil {
		t.Fatal(err)
	}
	root := check(t, b.Bytes())
	if n := len(root.byID("around").all("a")); n > 40 {
		t.Errorf("%d components are drawn", n)
	}
	if got := root.byID("around-d").words(); !strings.Contains(got, "of many, the first") {
		t.Errorf("the picture says %q", got)
	}
	if got := root.byID("needed-by").words(); !strings.Contains(got, "And 4,800 more") {
		t.Error("nothing says how many more there are")
	}
}

func TestApplicationMatrix(t *testing.T) {
	section := draw(t, "application").byID("coverage")
	table := section.all("table")[0]
	var head []string
	for _, th := range table.all("thead")[0].all("th") {
		head = append(head, th.words())
	}
	if got := strings.Join(head, ", "); got != "Component, data, configuration, certificates, secrets, people" {
		t.Errorf("the columns are %s", got)
	}
	rows := make(map[string][]string)
	for _, tr := range table.all("tbody")[0].all("tr") {
		var cells []string
		for _, td := range tr.all("td") {
			cells = append(cells, td.words())
		}
		rows[tr.all("th")[0].words()] = cells
	}
	for component, want := range map[string]string{
		"database/erp": "held erp-db|held erp-files|missing|waived|held",
		"service/nfs":  "stale nfs-export||||",
		"storage/san":  "missing nobody has said what it takes to rebuild it",
	} {
		if got := strings.Join(rows[component], "|"); got != want {
			t.Errorf("%s: %s, want %s", component, got, want)
		}
	}
	if got := section.words(); !strings.Contains(got, "on paper in the vault") || !strings.Contains(got, "external/license.vendor.example") {
		t.Errorf("neither why it is waived, nor what others run: %s", got)
	}
}

// Each miss says what closes it, exactly.
func TestApplicationProposes(t *testing.T) {
	proposals := draw(t, "application").byID("proposals")
	var shown []string
	for _, pre := range proposals.all("pre") {
		shown = append(shown, pre.raw())
	}
	for _, p := range pagetest.Application().Proposals {
		for _, want := range slices.Concat([]string{p.Source, p.Component}, p.First, p.OnHost, p.OnSafe) {
			if want != "" && !strings.Contains(strings.Join(shown, "\x00"), want) {
				t.Errorf("the page does not have, as it is,\n%s", want)
			}
		}
	}
	if got := proposals.words(); !strings.Contains(got, "To be filled in first: host, host_key, include, PUBLIC-KEY-OF-san-conf, ADDRESS.") {
		t.Errorf("nothing says what is left open: %s", got)
	}
}

// A page that leaves something out says how much, and where it is; another says
// nothing of that.
func TestApplicationSaysWhatIsLeftOut(t *testing.T) {
	whole, large := draw(t, "application"), draw(t, "application-many")
	for section, want := range map[string][]string{
		"coverage":  {"3,812 less urgent components are left out here: strongroom coverage erp lists all.", "license.vendor.example and 40 more: others run that"},
		"proposals": {"1,954 less urgent misses are left out here: strongroom coverage erp --propose says what closes each."},
	} {
		for _, want := range want {
			if got := large.byID(section).words(); !strings.Contains(got, want) {
				t.Errorf("section %s does not say %q: %s", section, want, got)
			}
		}
		if got := whole.byID(section).words(); strings.Contains(got, "left out") || strings.Contains(got, " more") {
			t.Errorf("nothing is left out of section %s: %s", section, got)
		}
	}
}

func TestApplicationHistory(t *testing.T) {
	root := draw(t, "application")
	section := root.byID("history")
	if len(section.all("figure")) != 1 || !strings.Contains(section.words(), "Held: 5 of 10 on ") {
		t.Errorf("the history says %q", section.words())
	}
	days := pagetest.Application().History
	rows := section.all("tbody")[0].all("tr")
	if len(rows) < 3 || len(rows) > len(days)/5 || !strings.Contains(rows[len(rows)-1].words(), days[0].Taken.Format("2006-01-02")+"17 6 missing") {
		t.Errorf("the table has %d rows, the last is %q", len(rows), rows[len(rows)-1].words())
	}
	levels := root.byID("levels").words()
	for _, want := range []string{"kept on 120 of 124 days; broken on 4, the last " + days[len(days)-1].Taken.Format("2006-01-02"), "kept on 124 of 124 days", "kept on 0 of 124 days; not known on 124"} {
		if !strings.Contains(levels, want) {
			t.Errorf("the levels do not say %q: %s", want, levels)
		}
	}
	begun := draw(t, "application-many").byID("history")
	if len(begun.all("figure")) > 0 || !strings.Contains(begun.words(), "It begins with "+days[len(days)-1].Taken.Format("2006-01-02")) {
		t.Errorf("a history of one day says %q", begun.words())
	}
}

func TestOverviewHasACardForEachApplication(t *testing.T) {
	section := draw(t, "overview").byID("applications")
	for _, want := range []string{
		"erp 5 of 10 held 2 missing 1 stale 1 unproven 1 waived", "Age of the newest snapshots (RPO): broken", "Time that a restore takes (RTO): not known",
		"wiki 9 of 12 held", "mail 6 of 6 held no service levels",
	} {
		if got := section.words(); !strings.Contains(got, want) {
			t.Errorf("the cards say %q, want %q in it", got, want)
		}
	}
	for _, rect := range section.all("rect") {
		if rect.attr["class"] == "full" && rect.attr["width"] == "" {
			t.Error("a bar has no width")
		}
	}
	if draw(t, "overview-empty").byID("applications") != nil {
		t.Error("without an application there are cards")
	}
}

func TestCardOf(t *testing.T) {
	card := report.CardOf(coverage.Report{Application: "application/erp", Items: []coverage.Item{{State: coverage.Missing}, {State: coverage.Missing}, {State: coverage.Held}}})
	if card.Name != "erp" || card.Held != 1 || card.Needed != 3 || len(card.States) != 2 || card.States[0].N != 2 {
		t.Errorf("the card is %+v", card)
	}
}

// BenchmarkMap draws the map of a large company.
func BenchmarkMap(b *testing.B) {
	pages, err := page.New()
	if err != nil {
		b.Fatal(err)
	}
	m := pagetest.LargeMap(5000, 20_000)
	f := pagetest.Frame("/map", access.Auditor)
	for b.Loop() {
		if err := pages.Map(io.Discard, f, m); err != nil {
			b.Fatal(err)
		}
	}
}
