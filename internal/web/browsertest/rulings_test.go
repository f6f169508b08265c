package browsertest

import (
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/google/go-cmp/cmp"

	"strongroom/internal/access"
	"strongroom/internal/ledger"
	"strongroom/internal/web/page"
	"strongroom/internal/web/page/pagetest"
)

// addMap adds the page of a component, which says how many acts there were, and
// what it sends.
func (s *fakeSafe) addMap(mux *http.ServeMux, handle func(string, func(*http.Request, []byte) (any, error))) {
	for _, route := range []string{"POST /v1/map/rule", "POST /v1/map/take-back"} {
		handle(route, func(_ *http.Request, body []byte) (any, error) {
			st, err := s.hear(body)
			if err != nil {
				return nil, err
			}
			if !strings.HasSuffix(route, strings.TrimPrefix(st.Act.Act(), "map.")) {
				return nil, errors.New("another act")
			}
			s.acts = append(s.acts, st.Act)
			return nil, nil
		})
	}
	pages, err := page.New()
	if err != nil {
		s.t.Fatal(err)
	}
	draw := func(draw func(http.ResponseWriter, page.Frame) error) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			s.mu.Lock()
			defer s.mu.Unlock()
			w.Header().Set("Content-Type", "text/html; charset=utf-8")
			w.Header().Set("Content-Security-Policy", policy)
			frame := page.Frame{Safe: "acme", Path: r.URL.Path, Now: time.Now().UTC(), Visitor: &page.Visitor{Name: s.person, Roles: s.roles()}}
			if err := draw(w, frame); err != nil {
				s.t.Error(err)
			}
		}
	}
	mux.HandleFunc("GET /map/component", draw(func(w http.ResponseWriter, f page.Frame) error {
		c := pagetest.Component()
		c.Layer += len(s.acts)
		return pages.Component(w, f, c)
	}))
	mux.HandleFunc("GET /map", draw(func(w http.ResponseWriter, f page.Frame) error { return pages.Map(w, f, pagetest.Map()) }))
}

const componentPath = "/map/component?id=service%2Fdns"

// member enrols ada with a role that holds no key, takes her into the roster and
// signs her in.
func member(t *testing.T, role access.Role) (*fakeSafe, *Page) {
	t.Helper()
	s := newSafe(t)
	p, _ := s.visit(s.invitation(role))
	p.Press("Begin")
	p.Press("Make the passkey for looking")
	if role == access.Officer {
		p.Press("Make the passkey that signs")
	}
	p.Press("Send your public keys to the safe")
	p.Wait(`document.querySelector("#enrol-status").innerText.includes("You are enrolled")`)
	s.join()
	p.Go(s.url + "/sign-in?next=%2Fopenings%2Fx")
	p.Press("Sign in")
	p.Wait(`location.pathname === "/openings/x"`)
	return s, p
}

// TestRulings has an officer confirm, reject, take back and add: each with one
// touch, for a reason, and the page shows how things are then.
func TestRulings(t *testing.T) {
	s, p := member(t, access.Officer)
	var want []access.Act
	done := func(said string, act access.Act) {
		t.Helper()
		want = append(want, act)
		p.Wait(`document.querySelector("#say-status .ended")?.innerText.startsWith("` + said + `")`)
		if diff := cmp.Diff(want, s.acts); diff != "" {
			t.Fatalf("acts (-want +got)\n%s", diff)
		}
		p.Wait(`document.querySelector("#component .lead").innerText.includes("layer ` + string(rune('4'+len(want))) + ` of the map")`)
		p.Wait(`document.querySelectorAll("details.say").length === 12 && !document.querySelector("#say-panel").hidden`)
		if got := Eval[string](p, "document.activeElement.id"); got != "say-status" {
			t.Errorf("the focus is on %q", got)
		}
	}
	p.Go(s.url + componentPath)
	p.Wait(`document.querySelector("details.say")`)
	if got := p.texts("#needs details.say summary"); !slices.Equal(got, []string{"Confirm or reject", "Confirm or reject, Take back", "Confirm or reject"}) {
		t.Errorf("of what it needs, an officer can %q", got)
	}
	if got := p.texts("#known details.say summary"); !slices.Equal(got, []string{"Take back"}) {
		t.Errorf("of what people say no to, an officer can %q", got)
	}
	row := func(selector string) string { return selector + " details.say" }

	ldap := row(`#needs [data-other="service/ldap"]`)
	p.Click(ldap + " summary")
	p.Click(ldap + " .actions button:first-child")
	p.Fill(ldap+" input", "   ")
	p.Click(ldap + " .actions button:first-child")
	if n := Eval[int](p, "spied.touches"); n != 0 || len(s.acts) > 0 {
		t.Errorf("%d touches without a reason", n)
	}
	p.Fill(ldap+" input", "  seen at the drill ")
	p.Click(ldap + " .actions button:first-child")
	done("You have confirmed that service/dns needs service/ldap.",
		access.Rule{Verdict: ledger.Confirmed, From: "service/dns", To: "service/ldap", Need: "start", Reason: "seen at the drill"})
	if n := Eval[int](p, "spied.touches"); n != 1 {
		t.Errorf("it took %d touches", n)
	}

	wiki := row(`#needed-by [data-other="host/wiki"]`)
	p.Click(wiki + " summary")
	p.Fill(wiki+" input", `it has "hosts" & <no> names`)
	p.Click(wiki + " .actions button:nth-child(2)")
	done("You have rejected that host/wiki needs service/dns.",
		access.Rule{Verdict: ledger.Rejected, From: "host/wiki", To: "service/dns", Need: "run", Reason: `it has "hosts" & <no> names`})

	for _, tt := range []struct {
		at, press string
		entry     int64
	}{{row(`#needs [data-other="service/ntp"]`), "Take back entry 438 with your passkey", 438}, {row("#known li"), "Take back entry 437 with your passkey", 437}} {
		p.Click(tt.at + " summary")
		p.Fill(tt.at+" input", "it was wrong")
		p.Press(tt.press)
		done("What entry "+tt.press[len("Take back entry "):len("Take back entry 438")]+" of the ledger says is taken back.", access.TakeBack{Entry: tt.entry, Reason: "it was wrong"})
	}

	p.Press("Add it with your passkey")
	p.Fill("#say-why", "it asks for its licence")
	for _, other := range []string{"", "license", "external/", "external/a b"} {
		p.Fill("#say-to", other)
		p.Press("Add it with your passkey")
	}
	if len(s.acts) != len(want) {
		t.Errorf("what is no component was added: %+v", s.acts[len(want):])
	}
	p.Fill("#say-to", "external/license.vendor.example")
	p.Fill("#say-need", "start")
	p.Press("Add it with your passkey")
	done("You have added that service/dns needs external/license.vendor.example.",
		access.Rule{Verdict: ledger.Added, From: "service/dns", To: "external/license.vendor.example", Need: "start", Reason: "it asks for its licence"})
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}

	// What the safe refuses is said, and nothing is lost that was typed.
	s.change(func() { s.team.Roster.Store[0]++ })
	p.Fill("#say-to", "host/x")
	p.Fill("#say-why", "why")
	p.Press("Add it with your passkey")
	p.Wait(`document.querySelector("#say-status .error")`)
	if got := Eval[string](p, `document.querySelector("#say-to").value`); got != "host/x" {
		t.Errorf("the field has %q", got)
	}
}

// TestRulingsOnTheMap has an officer say the same beside the map.
func TestRulingsOnTheMap(t *testing.T) {
	s, p := member(t, access.Officer)
	p.Go(s.url + "/map")
	p.Wait(`document.querySelector("#components tbody a")`)
	p.Click("#components tbody tr:first-child a")
	ldap := `#chosen #needs [data-other="service/ldap"] details.say`
	p.Click(ldap + " summary")
	p.Fill(ldap+" input", "it has its own accounts")
	p.Click(ldap + " .actions button:nth-child(2)")
	p.Wait(`document.querySelector("#chosen #say-status .ended")?.innerText.includes("load this page anew")`)
	p.Wait(`document.querySelector("#chosen .lead").innerText.includes("layer 5 of the map")`)
	p.Wait(`document.querySelectorAll("#chosen details.say").length === 12`)
	want := []access.Act{access.Rule{Verdict: ledger.Rejected, From: "service/dns", To: "service/ldap", Need: "start", Reason: "it has its own accounts"}}
	if diff := cmp.Diff(want, s.acts); diff != "" {
		t.Errorf("acts (-want +got)\n%s", diff)
	}
	if n := Eval[int](p, `document.querySelectorAll("#say-status").length`); n != 1 {
		t.Errorf("there are %d places that say what was done", n)
	}
}

// TestOthersSayNothing has somebody look who is no officer.
func TestOthersSayNothing(t *testing.T) {
	s, p := member(t, access.Auditor)
	for _, path := range []string{componentPath, "/map"} {
		p.Go(s.url + path)
		if path == "/map" {
			p.Click("#components tbody tr:first-child a")
			p.Wait(`document.querySelector("#chosen #say")`)
		}
		if n := Eval[int](p, `document.querySelectorAll("#say input, details.say, #say-status").length`); n > 0 {
			t.Errorf("%s offers an auditor %d things", path, n)
		}
		if got := p.Text("#say"); !strings.Contains(got, "An officer confirms, rejects and adds dependencies") {
			t.Errorf("%s tells an auditor %q", path, got)
		}
	}
	if complaints := p.Complaints(); len(complaints) > 0 {
		t.Errorf("the browser complains: %q", complaints)
	}
}

// TestRulingsWithoutBarriers looks at the page as its script has filled it, all
// of it unfolded, in light and dark, on a phone.
func TestRulingsWithoutBarriers(t *testing.T) {
	s, p := member(t, access.Officer)
	axe, err := os.ReadFile(os.Getenv("STRONGROOM_AXE"))
	if err != nil && os.Getenv("CI") != "" {
		t.Fatalf("axe-core, which make axe puts there: %v", err)
	}
	for _, width := range []int64{320, 1280} {
		p.must(p.do(chromedp.EmulateViewport(width, 800)))
		for _, scheme := range []string{"light", "dark"} {
			p.scheme(scheme)
			p.Go(s.url + componentPath)
			p.Wait(`document.querySelector("details.say")`)
			Eval[bool](p, `{ for (const d of document.querySelectorAll("details")) d.open = true; true }`)
			if got := Eval[int64](p, "document.documentElement.scrollWidth"); got > width {
				t.Errorf("it is %d pixels wide in a window of %d", got, width)
			}
			if err != nil {
				continue
			}
			Eval[bool](p, string(axe)+"; true")
			for _, barrier := range Eval[[]string](p, `axe.run().then(found => found.violations.flatMap(v => v.nodes.map(n => v.id + ": " + n.failureSummary + " " + n.html)))`) {
				t.Errorf("%s, %d wide: %s", scheme, width, barrier)
			}
		}
	}
}
