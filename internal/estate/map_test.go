package estate

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

const shop = `
	service/web = web.example.com
	service/web -> service/shop/db start
	service/web -> service/cache run
	service/web -> service/cache start
	service/cache -> host/a hosting
	service/shop/db -> host/a hosting
	service/shop/db -> *10.0.0.53:53/udp run
	host/a = 10.0.0.1
	host/a -> *10.0.0.53 run
	service/web -> service/grafana telemetry
	service/grafana -> host/b hosting
	database/shop
	! database/shop same service/shop/db`

func TestLookups(t *testing.T) {
	m := Draw(drawn(t, shop))
	for word, want := range map[string][]ID{
		"service/web": {"service/web"}, "service/shop/db": {"database/shop"}, "db": {"database/shop"}, "shop": {"database/shop"},
		"shop/db": {"database/shop"}, "web.example.com": {"service/web"}, "10.0.0.53": {"host/10.0.0.53"}, "a": {"host/a"}, "hop": nil, "": nil, "host/z": nil,
	} {
		if diff := cmp.Diff(want, m.Find(word)); diff != "" {
			t.Errorf("Find(%q) (-want +got)\n%s", word, diff)
		}
	}
	if id, ok := m.Known("resource/10.0.0.1"); !ok || id != "host/a" {
		t.Errorf("what is called by the address of host/a is %q, %v", id, ok)
	}
	if c, ok := m.Component("service/shop/db"); !ok || c.ID != "database/shop" {
		t.Errorf("service/shop/db is %q, %v", c.ID, ok)
	}
	if _, ok := m.Component("host/z"); ok {
		t.Error("a component that is not there")
	}
	for id, want := range map[ID]int{"service/web": 4, "database/shop": 2, "host/10.0.0.53": 0, "host/z": 0} {
		if got := len(m.Needs(id)); got != want {
			t.Errorf("%s has %d dependencies, want %d", id, got, want)
		}
	}
	for id, want := range map[ID]int{"host/a": 2, "host/10.0.0.53": 2, "service/web": 0} {
		if got := len(m.NeededBy(id)); got != want {
			t.Errorf("%s is needed %d times, want %d", id, got, want)
		}
	}
	if got := m.Between("service/web", "service/cache"); len(got) != 2 || got[0].Need != Start {
		t.Errorf("between them is %v, want start first", got)
	}
	everything := func(Dependency) bool { return true }
	for _, tt := range []struct {
		of     ID
		follow func(Dependency) bool
		want   []ID
	}{
		{"service/web", Ordering, []ID{"database/shop", "host/10.0.0.53", "host/a", "service/cache", "service/web"}},
		{"service/web", everything, []ID{"database/shop", "host/10.0.0.53", "host/a", "host/b", "service/cache", "service/grafana", "service/web"}},
		{"host/10.0.0.53", Ordering, []ID{"host/10.0.0.53"}},
		{"host/z", Ordering, nil},
	} {
		if diff := cmp.Diff(tt.want, m.Closure(tt.of, tt.follow)); diff != "" {
			t.Errorf("the closure of %s (-want +got)\n%s", tt.of, diff)
		}
	}
	for _, tt := range []struct {
		from, to ID
		most     int
		want     string
	}{
		{"service/web", "host/a", 9, "service/web -start-> database/shop -hosting-> host/a; service/web -start-> service/cache -hosting-> host/a"},
		{"service/web", "host/a", 1, "service/web -start-> database/shop -hosting-> host/a"},
		{"service/web", "host/10.0.0.53", 9, "service/web -start-> database/shop -run-> host/10.0.0.53"},
		{"service/web", "host/b", 9, ""}, // by telemetry alone
		{"host/a", "service/web", 9, ""},
		{"host/a", "host/a", 9, ""},
		{"host/z", "host/a", 9, ""},
	} {
		var ways []string
		for _, way := range m.Paths(tt.from, tt.to, Ordering, tt.most) {
			text := string(tt.from)
			for _, d := range way {
				text += " -" + string(d.Need) + "-> " + string(d.To)
			}
			ways = append(ways, text)
		}
		if got := strings.Join(ways, "; "); got != tt.want {
			t.Errorf("from %s to %s lead %q, want %q", tt.from, tt.to, got, tt.want)
		}
	}
}

// One component has what all told of it, and what people say first.
func TestComponentOfMany(t *testing.T) {
	told := func(id ID, label, owner string, e Evidence) Facts {
		return Facts{Components: []Component{{ID: id, Aliases: []Alias{"10.0.0.1"}, Label: label, Owner: owner, Roles: []Role{DNS}, Listens: []Port{{53, "udp"}}, Evidence: []Evidence{e}}}}
	}
	at := func(hour int, count int64, detail string) Evidence {
		return Evidence{Basis: Observed, Source: "s", Place: "p", Detail: detail, First: monday.Add(time.Duration(hour) * time.Hour), Last: monday.Add(time.Duration(hour) * time.Hour), Count: count}
	}
	stated := Evidence{Basis: Stated, Source: "anna", First: tuesday, Last: tuesday}
	m := Draw([]Facts{
		told("host/10.0.0.1", "Z", "ops", at(3, 5, "new")),
		told("host/dns1", "Y", "", at(1, 2, "old")),
		told("host/dns1", "X", "", at(1, 2, "old")), // told twice
		told("host/dns1", "X", "", Evidence{Basis: Declared, Source: "t", Place: "q", First: monday.In(time.FixedZone("x", 3600)), Last: time.Date(20000, 1, 1, 0, 0, 0, 0, time.UTC)}),
	}, Statements{Components: []Component{{ID: "host/dns1", Owner: "anna", Roles: []Role{Time}, Listens: []Port{{123, "udp"}}, Evidence: []Evidence{stated}}}})
	want := []Component{{
		ID: "host/dns1", Aliases: []Alias{"10.0.0.1"}, Label: "X", Owner: "anna", Roles: []Role{Time}, Listens: []Port{{53, "udp"}, {123, "udp"}},
		Evidence: []Evidence{stated, {Basis: Declared, Source: "t", Place: "q", First: monday}, {Basis: Observed, Source: "s", Place: "p", Detail: "new", First: at(1, 0, "").First, Last: at(3, 0, "").Last, Count: 7}},
	}}
	if diff := cmp.Diff(want, m.Components); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
	wantMerges := []Merge{{Into: "host/dns1", Was: "host/10.0.0.1", By: []Alias{"10.0.0.1"}, Evidence: []Evidence{at(3, 5, "new")}}}
	if diff := cmp.Diff(wantMerges, m.Merges); diff != "" {
		t.Errorf("merges (-want +got)\n%s", diff)
	}
}

// Of much evidence the newest is kept, and some of each basis.
func TestMuchEvidence(t *testing.T) {
	var all []Evidence
	for i := range 100 {
		for _, b := range []Basis{Observed, Declared} {
			at := monday.Add(time.Duration(i) * time.Minute)
			all = append(all, Evidence{Basis: b, Source: "s", Place: string(rune('A' + i)), First: at, Last: at, Count: 1 << 62})
		}
	}
	got := joinEvidence(all)
	if len(got) != 2*maxEvidence || got[0].Basis != Declared || got[maxEvidence].Basis != Observed {
		t.Fatalf("%d are kept: %v", len(got), got)
	}
	for i := range maxEvidence {
		if want := string(rune('A' + 99 - i)); got[i].Place != want || got[maxEvidence+i].Place != want {
			t.Errorf("the %dth is of %s and %s, want %s", i, got[i].Place, got[maxEvidence+i].Place, want)
		}
	}
	all[0].Place, all[2].Place, all[4].Place = "same", "same", "same"
	if joined := joinEvidence([]Evidence{all[0], all[2], all[4]}); len(joined) != 1 || joined[0].Count != math.MaxInt64 {
		t.Errorf("more than can be counted is %v", joined)
	}
}

func TestDiff(t *testing.T) {
	tests := []struct{ name, old, new, want string }{
		{"nothing", shop, shop, ""},
		{"one more, one less", "host/a\nhost/b\nhost/a -> host/b run", "host/a\nhost/c\nhost/a -> host/c run", `
			come host/c
			gone host/b
			needed host/a -> host/c run
			unneeded host/a -> host/b run`},
		{"another need", "host/a -> host/b run", "host/a -> host/b soft", `
			needed host/a -> host/b soft
			unneeded host/a -> host/b run`},
		{"what was only seen is described", "host/a -> *10.0.0.9 run", "host/a -> *10.0.0.9 run\nhost/erp = 10.0.0.9", `
			renamed host/10.0.0.9 host/erp`},
		{"what were two is one", "host/a\nhost/b = 10.0.0.1\nhost/a -> host/b run\nhost/c -> host/b run", "host/a = 10.0.0.1\nhost/b = 10.0.0.1\nhost/a -> host/b run\nhost/c -> host/b run", `
			renamed host/b host/a`},
		{"what was one is two", "host/a = 10.0.0.1\nhost/b = 10.0.0.1", "host/a = 10.0.0.1\nhost/b = 10.0.0.2", `
			come host/b`},
		{"another name", "database/x = 10.0.0.1:1/tcp\nservice/x = 10.0.0.1:1/tcp", "service/x = 10.0.0.1:1/tcp", `
			renamed database/x service/x`},
		{"a person rejects it", "host/a -> host/b run", "host/a -> host/b run\n! host/a rejected host/b run", `
			unneeded host/a -> host/b run`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c := Diff(Draw(drawn(t, tt.old)), Draw(drawn(t, tt.new)), time.Time{})
			var lines []string
			for _, id := range c.Come {
				lines = append(lines, "come "+string(id))
			}
			for _, id := range c.Gone {
				lines = append(lines, "gone "+string(id))
			}
			for _, r := range c.Renamed {
				lines = append(lines, "renamed "+string(r.Was)+" "+string(r.Is))
			}
			for _, d := range c.Needed {
				lines = append(lines, "needed "+string(d.From)+" -> "+string(d.To)+" "+string(d.Need))
			}
			for _, d := range c.Unneeded {
				lines = append(lines, "unneeded "+string(d.From)+" -> "+string(d.To)+" "+string(d.Need))
			}
			if diff := cmp.Diff(trimmed(tt.want), strings.Join(lines, "\n")); diff != "" {
				t.Errorf("(-want +got)\n%s", diff)
			}
			if c.IsEmpty() != (tt.want == "") || len(c.Aged) > 0 {
				t.Errorf("empty: %v; aged: %v", c.IsEmpty(), c.Aged)
			}
		})
	}
}

func TestSame(t *testing.T) {
	draw := func(text string, change func(*Facts)) *Map {
		facts, said := drawn(t, text)
		for i := range facts {
			change(&facts[i])
		}
		return Draw(facts, said)
	}
	evidence := func(change func(*Evidence)) func(*Facts) {
		return func(f *Facts) {
			for i := range f.Links {
				for j := range f.Links[i].Evidence {
					change(&f.Links[i].Evidence[j])
				}
			}
		}
	}
	nothing := func(*Facts) {}
	text := "host/a -> host/b run\nhost/a -> host/c run\n! host/a rejected host/c run"
	m := draw(text, nothing)
	for _, tt := range []struct {
		name string
		as   *Map
		want bool
	}{
		{"itself", m, true},
		{"seen again", draw(text, evidence(func(e *Evidence) { e.Last, e.Count = tuesday.AddDate(1, 0, 0), 77 })), true},
		{"seen elsewhere", draw(text, evidence(func(e *Evidence) { e.Place = "elsewhere" })), false},
		{"one more", draw(text+"\nhost/d", nothing), false},
		{"a doubt", draw(text, func(f *Facts) { f.Doubts = append(f.Doubts, "a file") }), false},
		{"nobody rejects it", draw("host/a -> host/b run\nhost/a -> host/c run", nothing), false},
	} {
		if got := Same(m, tt.as); got != tt.want {
			t.Errorf("%s: the same: %v, want %v", tt.name, got, tt.want)
		}
	}
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if back, err := Decode(b); err != nil || !Same(m, back) {
		t.Errorf("what was kept and read back is another map: %v", err)
	}
}

// What nothing has spoken for since has aged, unless a person vouches for it.
func TestAged(t *testing.T) {
	m := Draw(drawn(t, "host/a -> host/b run\nhost/a -> host/c run\n! host/a confirmed host/c run"))
	if aged := Diff(m, m, monday).Aged; len(aged) > 0 {
		t.Errorf("aged: %v", aged)
	}
	if aged := Diff(m, m, tuesday.AddDate(1, 0, 0)).Aged; len(aged) != 1 || aged[0].To != "host/b" {
		t.Errorf("aged: %v, want the one on host/b", aged)
	}
}

func TestDecodeRefuses(t *testing.T) {
	good := string(encodedMap(t, Draw(drawn(t, "host/a = 10.0.0.1 10.0.0.2\nhost/b = 10.0.0.1\nhost/a -> service/c run\nhost/a -> host/d start\n! host/a rejected host/d start"))))
	if _, err := Decode([]byte(good)); err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct{ old, new, problem string }{
		{`"version":1`, `"version":2`, "version 2, expected 1"},
		{`"components"`, `"component"`, "unknown field"},
		{`{"version"`, `{}{"version"`, "something else follows it"},
		{`{"id":"host/a"`, `{"id":"hots/a"`, "no kind of one"},
		{`{"id":"host/a"`, `{"id":null`, "a component has no name"},
		{`"10.0.0.1","10.0.0.2"`, `"10.0.0.2","10.0.0.1"`, "aliases of host/a are there twice, or out of order"},
		{`"10.0.0.1","10.0.0.2"`, `"10.0.0.1","10.0.0.02"`, "neither an IP address nor a name"},
		{`"to":"service/c"`, `"to":"service/d"`, `which are not two components`},
		{`"to":"service/c"`, `"to":"host/a"`, `which are not two components`},
		{`"need":"run"`, `"need":"sometimes"`, "is no need"},
		{`"need":"run",`, ``, "it does not say what for"},
		{`"basis":"declared"`, `"basis":"guessed"`, "is no basis of evidence"},
		{`"basis":"declared",`, ``, "evidence without a basis"},
		{`"count":1`, `"count":-1`, "evidence without a basis, or of less than nothing"},
		{`"was":"host/b"`, `"was":"host/a"`, "cannot have become"},
		{`"into":"host/a"`, `"into":"host/z"`, "cannot have become"},
		{`"by":[{`, `"by":[],"found":[{`, "nobody rejects"},
		{`"undescribed":["host/d"`, `"undescribed":["host/e"`, "that nobody described"},
		{`{"id":"host/a"`, `{"id":"service/z"},{"id":"host/a"`, "out of order"},
	} {
		bad := strings.Replace(good, tt.old, tt.new, 1)
		if bad == good {
			t.Fatalf("%s is not in %s", tt.old, good)
		}
		if _, err := Decode([]byte(bad)); err == nil || !strings.Contains(err.Error(), tt.problem) {
			t.Errorf("%s instead of %s: %v, want %q", tt.new, tt.old, err, tt.problem)
		}
	}
}

// Whatever is read as a map can be written, read again and asked.
func FuzzDecode(f *testing.F) {
	for _, drawing := range []string{"", shop, "host/a = 10.0.0.1\nhost/b = 10.0.0.1\n! host/a rejected host/b"} {
		facts, said := drawn(&testing.T{}, drawing)
		b, err := Draw(facts, said).Encode()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		m, err := Decode(b)
		if err != nil {
			return
		}
		again, err := m.Encode()
		if err != nil {
			t.Fatal(err)
		}
		back, err := Decode(again)
		if err != nil {
			t.Fatalf("%s\nwas read, and written as\n%s\n%v", b, again, err)
		}
		if !Diff(m, back, time.Time{}).IsEmpty() {
			t.Errorf("%s\nis not\n%s", again, b)
		}
		for _, c := range m.Components {
			m.Closure(c.ID, Ordering)
			m.Paths(m.Components[0].ID, c.ID, Ordering, 3)
		}
	})
}
