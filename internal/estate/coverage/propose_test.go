package coverage_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

const poor = `safe: acme
store: /srv/store
sources:
  other: { kind: local, include: [ /other ] }
components:
  database/erp:
    must_hold: { data: missing, documents: [ other ] }
    depends_on: [ host/dns1, host/ldap1, host/base, database/shop, service/shop/web, service/shop/db, service/prod/cache, service/thing, database/legacy ]
applications:
  erp:
    consists_of: [ database/erp ]
`

const hostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILVoLUx+Rg87QzJrU37o4mtJoa/AWO3T+c+SG4UaUIoW"

// estateOf has what a discovery would have found of poor.
func poorEstate() estate.Facts {
	seen := func(detail string) []estate.Evidence {
		return []estate.Evidence{{Basis: estate.Declared, Source: "shop", Place: "srv/shop/compose.yaml: line 3", Detail: detail, First: now, Last: now}}
	}
	return estate.Facts{Components: []estate.Component{
		{ID: "database/erp", Listens: []estate.Port{{Number: 5432, Protocol: "tcp"}}},
		{ID: "database/shop", Listens: []estate.Port{{Number: 3306, Protocol: "tcp"}}},
		{ID: "host/dns1", Roles: []estate.Role{estate.DNS}, Aliases: []estate.Alias{"dns1.acme.example"}},
		{ID: "host/ldap1", Roles: []estate.Role{estate.Directory}},
		{ID: "host/base", Aliases: []estate.Alias{"10.0.0.9"}},
		{ID: "service/shop/web", Evidence: seen("services.web")},
		{ID: "service/shop/db", Software: estate.PostgreSQL, Evidence: seen("services.db")},
		{ID: "service/prod/cache", Software: estate.Redis, Evidence: seen("StatefulSet prod/cache")},
		{ID: "service/thing"},
	}}
}

func poorInput(t *testing.T, text string) (coverage.Input, config.Application) {
	t.Helper()
	c, err := config.Parse("strongroom.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	in := coverage.Input{Map: estate.Draw([]estate.Facts{poorEstate()}, c.Statements(now)), Said: make(map[estate.ID]config.Component),
		Sources: make(map[safe.SourceName]coverage.Source), Now: now}
	for _, one := range c.Components {
		in.Said[one.ID] = one
	}
	for _, src := range c.Sources {
		in.Sources[src.Name] = kept(c, src.Name, 1, 0)
	}
	return in, c.Applications[0]
}

// fill writes into a configuration what a proposal leaves open.
func fill(text string, p coverage.Proposal) string {
	for _, word := range p.Open {
		if filled, ok := map[string]string{"include": " [ /srv ]", "host": " strongroom@h.acme.example", "host_key": " " + hostKey}[word]; ok {
			text = regexp.MustCompile(`(?m)(^    `+word+`:) #.*`).ReplaceAllString(text, "$1"+filled)
		}
	}
	return text
}

// paste puts a proposal into a configuration as a person would, who fills in what
// is open.
func paste(text string, p coverage.Proposal) string {
	text = strings.Replace(text, "sources:\n", "sources:\n"+p.Source, 1)
	text = fill(text, p)
	head, body, _ := strings.Cut(p.Component, "\n")
	name := strings.Trim(strings.TrimSpace(head), `":`)
	lines := strings.SplitAfter(text, "\n")
	if i := slices.Index(lines, "  "+name+":\n"); i >= 0 {
		return strings.Join(lines[:i+1], "") + body + strings.Join(lines[i+2:], "") // in the place of its must_hold
	}
	return strings.Replace(text, p.Below+":\n", p.Below+":\n"+p.Component, 1)
}

// Each proposal, pasted, closes the miss that it was made for, and no other.
func TestProposalsCloseMisses(t *testing.T) {
	in, app := poorInput(t, poor)
	reach := func(estate.ID) (coverage.Reach, bool) {
		return coverage.Reach{Host: "strongroom@h.acme.example", HostKeys: []string{hostKey}, Key: "file:/etc/strongroom/secrets/h.key"}, true
	}
	report := coverage.Of(in, app)
	proposals := coverage.Propose(in, report, reach)
	var kinds []string
	for _, p := range proposals {
		if p.For.State != coverage.Missing {
			continue
		}
		if slices.Contains(p.Open, "host") {
			t.Errorf("%s: the host is open, and the safe gets into it already", p.For.Component)
		}
		text := paste(poor, p)
		c, err := config.Parse("strongroom.yaml", []byte(text))
		if err != nil {
			t.Errorf("%s: %v\n%s", p.For.Component, err, text)
			continue
		}
		made := fmt.Sprintf("%s %s:", p.For.Component, p.For.Matter)
		for _, src := range c.Sources[:len(c.Sources)-1] {
			made += fmt.Sprintf(" %s %s", src.Spec.Kind(), src.Name)
		}
		kinds = append(kinds, made)
		after, app := poorInput(t, text)
		misses := func(r coverage.Report) (n int, closed bool) {
			closed = true
			for _, item := range r.Items {
				if item.State == coverage.Missing {
					n++
					closed = closed && !(item.Component == p.For.Component && item.Matter == p.For.Matter)
				}
			}
			return n, closed
		}
		before, _ := misses(report)
		if n, closed := misses(coverage.Of(after, app)); n != before-1 || !closed {
			t.Errorf("%s %s: %d misses before, %d after it was pasted, closed %v\n%s", p.For.Component, p.For.Matter, before, n, closed, text)
		}
		if len(p.OnSafe) == 0 || p.Says == "" {
			t.Errorf("%s: it does not say what to do: %+v", p.For.Component, p)
		}
	}
	want := []string{
		"database/erp data: command erp-dump",
		"database/legacy : sftp legacy-files",
		"database/shop : command shop-dump",
		"host/base : sftp base-conf",
		"host/dns1 : sftp dns1-zones sftp dns1-conf",
		"host/ldap1 : command ldap1-dump sftp ldap1-conf",
		"service/prod/cache : command prod-cache-dump sftp prod-cache-conf",
		"service/shop/db : command shop-db-dump sftp shop-db-conf",
		"service/shop/web : sftp shop-web-conf",
		"service/thing : sftp thing-files",
	}
	slices.Sort(kinds)
	if diff := cmp.Diff(want, kinds); diff != "" {
		t.Errorf("proposed is (-want +got):\n%s", diff)
	}
}

// What a source of the host reads already is not collected a second time.
func TestProposalsForWhatIsRead(t *testing.T) {
	text := strings.Replace(poor, "sources:\n", "sources:\n  base: { kind: local, include: [ /etc ] }\n", 1)
	in, app := poorInput(t, text)
	for _, tt := range []struct {
		include       []string
		left, held    string // lines of the proposed source, and of must_hold
		somethingLeft bool
	}{
		{[]string{"/"}, "", `configuration: [ "base" ]`, false},
		{[]string{"/etc/", "/usr/local"}, "", `configuration: [ "base" ]`, false},
		{[]string{"/etc"}, `include: [ "/usr/local" ]`, `configuration: [ "base", "base-conf" ]`, true},
		{[]string{"/etc/*", "/et", "/usr/local/bin"}, `include: [ "/etc", "/usr/local" ]`, `configuration: [ "base-conf" ]`, true},
	} {
		reach := func(estate.ID) (coverage.Reach, bool) {
			return coverage.Reach{Host: "strongroom@h.acme.example", HostKeys: []string{hostKey}, Key: "file:/etc/strongroom/secrets/h.key",
				Reads: []coverage.Reading{{Source: "base", Include: tt.include}}}, true
		}
		for _, p := range coverage.Propose(in, coverage.Of(in, app), reach) {
			if p.For.Component == "host/dns1" && slices.Contains(tt.include, "/etc") &&
				(strings.Contains(p.Source, "dns1-zones") || !strings.Contains(p.Component, `data: [ "base" ]`) || !strings.Contains(p.Says, "If there is anything at /var/lib/bind,")) {
				t.Errorf("with %q: of zones that are read is proposed %q\n%s%s", tt.include, p.Says, p.Source, p.Component)
			}
			if p.For.Component != "host/base" {
				continue
			}
			if !strings.Contains(p.Component, tt.held) || !strings.Contains(p.Source, tt.left) || (p.Source != "") != tt.somethingLeft {
				t.Errorf("with %q: proposed is\n%s%s", tt.include, p.Source, p.Component)
			}
			if _, err := config.Parse("strongroom.yaml", []byte(paste(text, p))); err != nil {
				t.Errorf("with %q: %v", tt.include, err)
			}
		}
	}
}

// Where the safe does not get into the host yet, what is missing is said, and a
// configuration with it not filled in is refused.
func TestProposalsThatArePartlyOpen(t *testing.T) {
	in, app := poorInput(t, poor)
	for _, p := range coverage.Propose(in, coverage.Of(in, app), func(estate.ID) (coverage.Reach, bool) { return coverage.Reach{}, false }) {
		if p.For.State != coverage.Missing {
			continue
		}
		if len(p.Open) == 0 || !strings.Contains(strings.Join(p.First, "\n"), "ssh-keygen") {
			t.Errorf("%s: nothing is open, or no key is made: %+v", p.For.Component, p)
		}
		if _, err := config.Parse("strongroom.yaml", []byte(paste(poor, p))); err != nil {
			t.Errorf("%s: %v", p.For.Component, err)
		}
		p.Open = nil
		if _, err := config.Parse("strongroom.yaml", []byte(paste(poor, p))); err == nil {
			t.Errorf("%s: what is not filled in is taken\n%s", p.For.Component, p.Source)
		}
	}
}

// What is late is collected, what was never read is scrubbed, what never came
// back is rehearsed: the configuration need not change.
func TestProposalsForWhatIsThere(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*coverage.Input)
		want   string
	}{
		{"stale", func(in *coverage.Input) { in.Now = now.AddDate(0, 0, 3) }, "strongroom collect erp-db"},
		{"gone", func(in *coverage.Input) { in.Sources["erp-db"] = coverage.Source{} }, "strongroom collect erp-db"},
		{"never scrubbed", func(in *coverage.Input) { in.Scrubbed = time.Time{} }, "strongroom scrub"},
		{"never rehearsed", func(in *coverage.Input) { in.Proofs = in.Proofs[1:] }, "strongroom opening request --snapshot erp-db"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, app := scene(t, file)
			tt.change(&in)
			for _, p := range coverage.Propose(in, coverage.Of(in, app), func(estate.ID) (coverage.Reach, bool) { return coverage.Reach{}, false }) {
				if p.For.Source == "erp-db" && (p.Source != "" || p.Component != "" || !strings.Contains(strings.Join(p.OnSafe, "\n"), tt.want)) {
					t.Errorf("proposed is %+v, want %s", p, tt.want)
				}
			}
		})
	}
}
