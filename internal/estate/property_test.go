package estate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// someEstate returns a random estate in which much has something in common.
func someEstate(r *rand.Rand) ([]Facts, Statements) {
	pick := func(words ...string) string { return words[r.IntN(len(words))] }
	id := func() ID {
		return ID(pick("host/a", "host/b", "host/c", "host/10.0.0.1", "host/a.example.com", "service/a/x", "service/b/x", "database/x",
			"resource/r", "resource/s", "external/a.example.com", "application/erp", "storage/nas", "host/d"))
	}
	alias := func() Alias {
		return Alias(pick("10.0.0.1", "10.0.0.2", "10.0.0.3", "172.17.0.1", "a.example.com", "b.example.com", "machine:00000001", "machine:00000002",
			"10.0.0.1:80/tcp", "10.0.0.2:80/tcp", "a.example.com:80/tcp", "172.17.0.1:80/tcp"))
	}
	end := func() End {
		if r.IntN(3) > 0 {
			return End{ID: id()}
		}
		return End{Alias: alias()}
	}
	evidence := func(b Basis) []Evidence {
		at := monday.Add(time.Duration(r.IntN(5)) * time.Hour)
		return []Evidence{{Basis: b, Source: pick("s", "t"), Place: pick("p", "q"), Detail: pick("d", "e"), First: at, Last: at.Add(time.Duration(r.IntN(3)) * time.Hour), Count: int64(r.IntN(4))}}
	}
	component := func(b Basis) Component {
		c := Component{ID: id(), Label: pick("", "l", "m"), Owner: pick("", "o", "p"), Evidence: evidence(b)}
		for range r.IntN(4) {
			c.Aliases = append(c.Aliases, alias())
		}
		if r.IntN(2) == 0 {
			c.Listens = []Port{{80, "tcp"}}
		}
		if r.IntN(4) == 0 {
			c.Roles = []Role{Roles[r.IntN(len(Roles))]}
			c.Software = []Software{"", MariaDB, PostgreSQL, "unheard of"}[r.IntN(4)]
		}
		return c
	}
	var facts []Facts
	for range 1 + r.IntN(4) {
		f := Facts{Doubts: []string{pick("this", "that")}}
		for range r.IntN(6) {
			f.Components = append(f.Components, component(Bases[1+r.IntN(3)]))
		}
		for range r.IntN(8) {
			f.Links = append(f.Links, Link{From: end(), To: end(), Need: Needs[r.IntN(len(Needs))], Evidence: evidence(Observed)})
		}
		facts = append(facts, f)
	}
	var said Statements
	for range r.IntN(3) {
		said.Components = append(said.Components, component(Stated))
	}
	for range r.IntN(2) {
		said.Same = append(said.Same, Pair{id(), id(), evidence(Stated)[0]})
	}
	for range r.IntN(2) {
		said.Apart = append(said.Apart, Pair{id(), id(), evidence(Stated)[0]})
	}
	for range r.IntN(5) {
		ruling := Ruling{Verdict: Verdict(pick("added", "confirmed", "rejected", "rejected")), From: id(), To: id(), Need: Needs[r.IntN(len(Needs))], Evidence: evidence(Stated)[0]}
		if ruling.Verdict == Rejected && r.IntN(2) == 0 {
			ruling.Need = ""
		}
		said.Rulings = append(said.Rulings, ruling)
	}
	return facts, said
}

func shuffled[T any](r *rand.Rand, all []T) []T {
	all = slices.Clone(all)
	r.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
	return all
}

// reordered returns the same facts and statements in another order, in other
// pieces, and some of them twice.
func reordered(r *rand.Rand, facts []Facts, said Statements) ([]Facts, Statements) {
	var pieces []Facts
	for _, f := range facts {
		for _, c := range f.Components {
			c.Aliases = shuffled(r, c.Aliases)
			pieces = append(pieces, Facts{Components: []Component{c}})
		}
		for _, l := range f.Links {
			pieces = append(pieces, Facts{Links: []Link{l}})
		}
		pieces = append(pieces, Facts{Doubts: f.Doubts})
	}
	pieces = append(pieces, pieces[:r.IntN(len(pieces)+1)]...)
	said.Components, said.Same = shuffled(r, said.Components), shuffled(r, said.Same)
	said.Apart, said.Rulings = shuffled(r, said.Apart), shuffled(r, said.Rulings)
	return shuffled(r, pieces), said
}

func encodedMap(t *testing.T, m *Map) []byte {
	t.Helper()
	b, err := m.Encode()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// each runs a property on many random estates.
func each(t *testing.T, property func(t *testing.T, r *rand.Rand, facts []Facts, said Statements)) {
	t.Helper()
	seed := rand.Uint64()
	for i := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, i))
		facts, said := someEstate(r)
		property(t, r, facts, said)
		if t.Failed() {
			t.Fatalf("the estate of seed %d, %d: %+v\n%+v", seed, i, facts, said)
		}
	}
}

func TestOrderDoesNotMatter(t *testing.T) {
	each(t, func(t *testing.T, r *rand.Rand, facts []Facts, said Statements) {
		m := Draw(facts, said)
		want := encodedMap(t, m)
		for range 3 {
			if got := encodedMap(t, Draw(reordered(r, facts, said))); !bytes.Equal(got, want) {
				t.Errorf("the same in another order:\n%s\n%s", want, got)
			}
		}
		back, err := Decode(want)
		if err != nil {
			t.Error(err)
		} else if again := encodedMap(t, back); !bytes.Equal(again, want) {
			t.Errorf("read and written again:\n%s\n%s", want, again)
		}
	})
}

// Whatever is discovered, what people reject is no dependency, and what they add
// or confirm is one.
func TestPeopleWin(t *testing.T) {
	each(t, func(t *testing.T, _ *rand.Rand, facts []Facts, said Statements) {
		verdicts := make(map[string]map[bool]bool)
		m := Draw(facts, said)
		known := func(id ID) ID {
			if is, ok := m.was[id]; ok {
				return is
			}
			return id
		}
		// What no fact speaks of, and no person but to reject it, may be another's
		// address: TestDraw has that.
		said.Rulings = slices.DeleteFunc(said.Rulings, func(r Ruling) bool {
			_, from := m.at[known(r.From)]
			_, to := m.at[known(r.To)]
			return known(r.From) == known(r.To) || !from || !to
		})
		about := func(r Ruling, n Need) string { return fmt.Sprint(known(r.From), known(r.To), n) }
		for _, r := range said.Rulings {
			for _, n := range Needs {
				if r.Need != n && r.Need != "" {
					continue
				}
				if verdicts[about(r, n)] == nil {
					verdicts[about(r, n)] = make(map[bool]bool)
				}
				verdicts[about(r, n)][r.Verdict != Rejected] = true
			}
		}
		for _, r := range said.Rulings {
			for _, n := range Needs {
				if (r.Need != n && r.Need != "") || len(verdicts[about(r, n)]) > 1 {
					continue // people contradict each other
				}
				is := slices.ContainsFunc(m.Between(known(r.From), known(r.To)), func(d Dependency) bool { return d.Need == n })
				if is != (r.Verdict != Rejected) {
					t.Errorf("%s %s %s %s, and on the map: %v", r.From, r.Verdict, r.To, n, is)
				}
			}
			if r.Verdict == Rejected && len(m.Between(known(r.From), known(r.To))) == 0 &&
				!slices.ContainsFunc(m.Overruled, func(o Overruled) bool { return o.From == known(r.From) && o.To == known(r.To) }) {
				t.Errorf("that %s does not need %s is forgotten", r.From, r.To)
			}
		}
	})
}

// Every merge can be undone, by what the map itself says of it.
func TestUndo(t *testing.T) {
	each(t, func(t *testing.T, _ *rand.Rand, facts []Facts, said Statements) {
		for _, merge := range Draw(facts, said).Merges {
			undone := said
			undone.Apart = append(slices.Clone(said.Apart), Pair{A: merge.Into, B: merge.Was})
			m := Draw(facts, undone)
			a, there := m.Known(merge.Into)
			b, too := m.Known(merge.Was)
			if !there || !too || a == b {
				t.Errorf("%s and %s, held apart, are %q and %q", merge.Into, merge.Was, a, b)
			}
		}
	})
}

// What people describe stays what it is, unless they say otherwise.
func TestDescribedStaysApart(t *testing.T) {
	each(t, func(t *testing.T, _ *rand.Rand, facts []Facts, said Statements) {
		said.Same = nil
		m := Draw(facts, said)
		for _, c := range said.Components {
			if is, _ := m.Known(c.ID); is != c.ID {
				t.Errorf("a person describes %s, and the map has %q", c.ID, is)
			}
		}
	})
}

// large returns facts of an estate of so many components, each with so many links
// to others, half of them by their addresses.
func large(components, links int) []Facts {
	r := rand.New(rand.NewPCG(1, 2))
	var facts []Facts
	address := func(i int) string { return fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&0xff, i&0xff) }
	e := []Evidence{{Basis: Observed, Source: "s", Place: "/proc/net/tcp", First: monday, Last: tuesday, Count: 3}}
	for i := range components {
		machine, _ := MachineAlias(fmt.Sprintf("%032x", i+1))
		facts = append(facts, Facts{Components: []Component{
			{ID: NewID(Host, fmt.Sprint("h", i)), Aliases: []Alias{Alias(address(i)), Alias(fmt.Sprintf("h%d.example.com", i)), machine, "172.17.0.1"}, Evidence: e},
			{ID: NewID(Resource, fmt.Sprint("vm", i)), Aliases: []Alias{Alias(address(i))}, Evidence: e},
		}})
	}
	for i := range links {
		to := r.IntN(components)
		l := Link{From: End{ID: NewID(Host, fmt.Sprint("h", r.IntN(components)))}, To: End{ID: NewID(Host, fmt.Sprint("h", to))}, Need: Run, Evidence: e}
		if i%2 == 0 {
			l.To = End{Alias: Alias(address(to)).At(5432, "tcp")}
		}
		facts[i%components].Links = append(facts[i%components].Links, l)
	}
	return facts
}

func TestLarge(t *testing.T) {
	m := Draw(large(5000, 50_000), Statements{})
	if len(m.Components) != 5000 || len(m.Merges) != 5000 || len(m.Dependencies) < 49_000 || len(m.Doubts) != 1 {
		t.Errorf("%d components, %d merges, %d dependencies, doubts %q", len(m.Components), len(m.Merges), len(m.Dependencies), m.Doubts)
	}
}

func BenchmarkDraw(b *testing.B) {
	facts := large(5000, 50_000)
	for b.Loop() {
		Draw(facts, Statements{})
	}
}

func BenchmarkEncode(b *testing.B) {
	m := Draw(large(5000, 50_000), Statements{})
	for b.Loop() {
		text, err := m.Encode()
		if err != nil {
			b.Fatal(err)
		}
		if _, err := Decode(text); err != nil {
			b.Fatal(err)
		}
		b.SetBytes(int64(len(text)))
	}
}
