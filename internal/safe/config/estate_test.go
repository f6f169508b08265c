package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/safe"
	"strongroom/internal/safe/keep"
)

func day(s string) time.Time {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		panic(err)
	}
	return t
}

// exampleComponents and exampleApplications are what the example says of the
// estate, without the places of it.
var (
	exampleComponents = []Component{
		{
			ID: "database/erp", Owner: "erp-team", Recipe: "postgres",
			Aliases: []estate.Alias{"erp-db.acme.example:5432/tcp"}, Same: []estate.ID{"service/erp-db/postgresql"},
			MustHold: []Holding{
				{Matter: Data, Sources: []safe.SourceName{"erp-db"}},
				{Matter: Configuration, Sources: []safe.SourceName{"erp-files"}},
				{Matter: Certificates},
				{Matter: People, People: []string{"Anna Ng"}},
			},
			Waived:    []Waiver{{Matter: Certificates, By: "Bo Lind", Until: day("2027-06-30"), Reason: "a new one takes the authority a minute"}},
			DependsOn: []Relation{{To: "host/erp-db", Need: estate.Hosting}, {To: "service/dns", Need: estate.Run}},
			NotOn:     []Relation{{To: "service/n8n", Reason: "a database is called so", By: "Anna Ng", Since: day("2026-05-04")}},
		},
		{
			ID: "service/dns", Roles: []estate.Role{estate.DNS},
			MayStartWithout: []Bootstrap{{
				Without: "service/ldap", Mode: "zones from files, without logins", Until: "service/ldap has started",
				ProvenBy: "dig @127.0.0.1 ldap.acme.example answers", UndoneBy: "systemctl restart named",
			}},
		},
		{
			ID: "host/erp-db", Aliases: []estate.Alias{"10.0.0.4"},
			Apart: []Relation{{To: "host/erp-db-old", Reason: "it had this address until May"}},
		},
	}
	exampleApplications = []Application{{
		Component:  Component{ID: "application/erp", Owner: "erp-team"},
		ConsistsOf: []Relation{{To: "service/erp"}, {To: "database/erp"}},
		Levels: Levels{RPO: 24 * time.Hour, RTO: 8 * time.Hour, Keep: keep.Span{N: 7, Unit: keep.Year}, RehearsedEvery: 90 * 24 * time.Hour,
			Window: 6 * time.Hour, TwoPeople: true},
	}}
)

// anywhere takes places in a file for equal.
var anywhere = cmp.Comparer(func(a, b Place) bool { return true })

const withEstate = "safe: a\nstore: /s\nsources:\n  erp-db: { kind: local, include: [ / ] }\n"

func parseEstate(t *testing.T, text string) *Config {
	t.Helper()
	c, err := Parse("x", []byte(withEstate+text))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// What the configuration says is what the map is made with.
func TestStatements(t *testing.T) {
	c, err := Parse("example.yaml", []byte(Example()))
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)
	said := c.Statements(at)
	facts := []estate.Facts{{
		Components: []estate.Component{{ID: "host/x", Aliases: []estate.Alias{"10.0.0.4", "erp-db.acme.example"}}, {ID: "service/erp-db/postgresql"}},
		Links: []estate.Link{
			{From: estate.End{ID: "service/erp"}, To: estate.End{Alias: "10.0.0.4:5432/tcp"}, Need: estate.Run},
			{From: estate.End{ID: "service/erp-db/postgresql"}, To: estate.End{ID: "service/n8n"}, Need: estate.Soft},
		},
	}}
	m := estate.Draw(facts, said)
	var got []string
	for _, d := range m.Dependencies {
		got = append(got, string(d.From)+" "+string(d.Need)+" "+string(d.To))
	}
	want := []string{
		"application/erp run database/erp", "application/erp run service/erp",
		"database/erp run service/dns", "database/erp hosting host/erp-db",
		"service/erp run database/erp",
	}
	if diff := cmp.Diff(sortedStrings(want), sortedStrings(got)); diff != "" {
		t.Errorf("dependencies of the map (-want +got)\n%s", diff)
	}
	if len(m.Doubts) != 0 {
		t.Errorf("doubts: %q", m.Doubts)
	}
	if len(m.Overruled) != 1 {
		t.Fatalf("overruled: %v, want what is not on n8n", m.Overruled)
	}
	by := m.Overruled[0].By[0]
	if line := strings.Split(Example(), "\n")[lineOf(t, by.Place)-1]; !strings.Contains(line, "service/n8n") {
		t.Errorf("it is said in %s, which is %q", by.Place, line)
	}
	by.Place = ""
	if diff := cmp.Diff(estate.Evidence{Basis: estate.Stated, Source: "Anna Ng", Detail: "a database is called so", First: day("2026-05-04"), Last: at}, by); diff != "" {
		t.Errorf("who says so (-want +got)\n%s", diff)
	}
}

func sortedStrings(all []string) []string {
	slices.Sort(all)
	return all
}

func lineOf(t *testing.T, place string) (line int) {
	t.Helper()
	if _, err := fmt.Sscanf(place, "line %d of the configuration", &line); err != nil {
		t.Fatalf("%q: %v", place, err)
	}
	return line
}

func TestEstateMistakes(t *testing.T) {
	const ok = ""
	tests := []struct{ text, problem, at string }{
		{"components: {}\napplications: {}", ok, ""},
		{"components:\n  host/a:\n  host/b:", ok, ""},
		{"components: [host/a]", "expected keys and values of components, found a list", "components"},
		{"components:\n  erp:", `expected a component such as host/erp-app, found "erp"`, "  erp"},
		{"components:\n  hots/erp:", "unknown kind `hots`, did you mean `host`?", "  hots"},
		{"components:\n  application/erp:", "expected `erp` below `applications`", "  application"},
		{"components:\n  host/a: { onwer: x }", "unknown key `onwer`, did you mean `owner`?", "  host/a"},
		{"components:\n  host/a: { roles: [dsn] }", "unknown value `dsn`, did you mean `dns`?", "  host/a"},
		{"components:\n  host/a: { aliases: [db1] }", `"db1" is neither an IP address nor a name with a dot`, "  host/a"},
		{"components:\n  host/a: { aliases: [127.0.0.1] }", "means another machine wherever it is written", "  host/a"},
		{"components:\n  host/a: { aliases: [10.0.0.4:5432/tcp] }", "with a port in quotes", "  host/a"},
		{"components:\n  host/a: { aliases: [ \"10.0.0.4:5432/tcp\", \"[2001:db8::4]:53/udp\", 10.0.0.4, Db1.example.com, service/x/db ] }", ok, ""},
		{"components:\n  host/a: { aliases: [ 10.0.0.4 ] }\n  host/b:\n    aliases: [ 10.0.0.4 ]", "`10.0.0.4` is already a name of `host/a`, in line 6", "    aliases"},
		{"components:\n  host/a:\n  host/b:\n    aliases: [ host/a ]", "`host/a` is already a name of `host/a`, in line 6", "    aliases"},
		{"components:\n  host/a:\n    apart:\n    - host/a", "expected another component, found `host/a`, which is itself", "    - host/a"},
		{"components:\n  host/a:\n    aliases: [ host/b ]\n    apart: [ host/b ]", "`host/b`, which is itself", "    apart"},
		{"components:\n  host/a:\n    depends_on:\n    - { component: host/a }", "which is itself", "    - { component"},
		{"components:\n  host/a:\n    depends_on: [ host/b,\n     host/b ]", "`host/b` is already in line 7", "     host/b"},
		{"components:\n  host/a:\n    depends_on: [ host/b, { component: host/b, kind: start } ]", ok, ""},
		{"components:\n  host/a:\n    depends_on: [ { component: host/b, kind: startup } ]", "unknown value `startup`, did you mean `start`?", "    depends"},
		{"components:\n  host/a:\n    depends_on: [ { component: host/b, harm: 700 } ]", ok, ""},
		{"components:\n  host/a:\n    depends_on: [ { component: host/b, harm: 1001 } ]", "expected a number from 1 to 1000, found \"1001\"", "    depends"},
		{"components:\n  host/a:\n    depends_on: [ { kind: start } ]", "depends_on lacks the key `component`", "    depends"},
		{"components:\n  host/a:\n    depends_on: [ { component: host/b, since: May } ]", `expected a day such as 2027-06-30, found "May"`, "    depends"},
		{"components:\n  host/a:\n    not_on: [ host/b ]", "expected keys and values of not_on", "    not_on"},
		{"components:\n  host/a:\n    not_on: [ { component: host/b } ]", "not_on lacks the key `reason`", "    not_on"},
		{"components:\n  host/a:\n    depends_on: [ host/b ]\n    not_on: [ { component: host/b, reason: x } ]", "`host/b` is in `depends_on`, too, in line 7", "    not_on"},
		{"components:\n  host/a:\n    depends_on: [ host/b ]\n    not_on: [ { component: host/b, kind: start, reason: x } ]", ok, ""},
		{"components:\n  host/a:\n    not_on: [ { component: host/b, reason: " + strings.Repeat("x", 201) + " } ]", "it has 201 bytes, at most 200 are possible", "    not_on"},
		{"components:\n  host/a:\n    may_start_without: [ { component: host/b, mode: x, proven_by: y } ]", "may_start_without lacks the key `undone_by`", "    may"},
		{"components:\n  host/a:\n    may_start_without: [ { component: host/a, mode: x, proven_by: y, undone_by: z } ]", "which is itself", "    may"},
		{"components:\n  host/a:\n    must_hold: { data: [ erp-bd ] }", "unknown source `erp-bd`, did you mean `erp-db`?", "    must"},
		{"components:\n  host/a:\n    must_hold: { data: mising }", `expected a list of sources, or missing, found "mising"`, "    must"},
		{"components:\n  host/a:\n    must_hold: { data: [] }", "expected a list of sources, or missing, found a list", "    must"},
		{"components:\n  host/a:\n    must_hold: { people: missing, media: missing, data: [ erp-db ] }", ok, ""},
		{"components:\n  host/a:\n    must_hold: { licences: missing }", "unknown key `licences`", "    must"},
		{"components:\n  host/a:\n    waived: [ { what: media, by: x, reason: y } ]", "waived lacks the key `until`", "    waived"},
		{"components:\n  host/a:\n    waived: [ { what: media, by: x, until: 2027-02-30, reason: y } ]", `found "2027-02-30"`, "    waived"},
		{"components:\n  host/a:\n    waived:\n    - { what: media, by: x, until: 2027-02-03, reason: y }\n    - { what: media, by: z, until: 2027-02-03, reason: y }", "`media` is already waived in line 8", "    - { what: media, by: z"},
		{"applications:\n  erp:", "`erp` lacks the key `consists_of`", "  erp"},
		{"applications:\n  erp: { consists_of: [] }", "expected a list of at least one component", "  erp"},
		{"applications:\n  erp: { consists_of: [ application/erp ] }", "which is itself", "  erp"},
		{"applications:\n  erp app: { consists_of: [ host/a ] }", "expected the name of an application, without spaces", "  erp app"},
		{"applications:\n  erp: { consists_of: [ host/a, application/crm ] }", ok, ""},
		{"applications:\n  erp: { consists_of: [ host/a ], levels: { rpo: 1y } }", "expected a duration such as", "  erp"},
		{"applications:\n  erp: { consists_of: [ host/a ], levels: { rtp: 1h } }", "unknown key `rtp`, did you mean `rto`?", "  erp"},
	}
	for _, tt := range tests {
		_, err := Parse("x", []byte(withEstate+tt.text+"\n"))
		if tt.problem == ok {
			if err != nil {
				t.Errorf("%s\n%v", tt.text, err)
			}
			continue
		}
		var all Errors
		if !errors.As(err, &all) || len(all) != 1 {
			t.Errorf("%s\n%v, want one mistake", tt.text, err)
			continue
		}
		if !strings.Contains(all[0].Problem, tt.problem) {
			t.Errorf("%s\nsaid %q, want %q", tt.text, all[0].Problem, tt.problem)
		}
		if line := strings.Split(withEstate+tt.text, "\n")[all[0].Line-1]; !strings.HasPrefix(line, tt.at) {
			t.Errorf("%s\nreported in line %q, want the one with %q", tt.text, line, tt.at)
		}
	}
	if _, err := Parse("x", []byte("safe: a\nstore: /s\ncomponents:\n  host/a: { must_hold: { data: [ x ] } }\n")); err == nil || !strings.Contains(err.Error(), "unknown source `x`; there are none") {
		t.Errorf("a source where there are none: %v", err)
	}
}

// The defaults of the schema are those of the code.
func TestEstateDefaults(t *testing.T) {
	short := parseEstate(t, "components:\n  host/a: { depends_on: [ host/b ] }\napplications:\n  erp: { consists_of: [ host/a ] }\n")
	long := parseEstate(t, "components:\n  host/a: { depends_on: [ { component: host/b, kind: run } ] }\napplications:\n  erp: { consists_of: [ { component: host/a } ], levels: { two_people: true } }\n")
	if diff := cmp.Diff(short, long, anywhere, compareSecrets); diff != "" {
		t.Errorf("(-short +long)\n%s", diff)
	}
}
