package order

import (
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
)

// draw reads "web -> app -> db; app ~> cache; vm => host; app ..> log; x", where
// -> is to start, ~> to run, => hosting, ?> soft and ..> telemetry, and a name
// may be followed by the roles of the component: "ldap1[directory,dns]". What has
// no kind is a service. Every arrow is declared.
func draw(t testing.TB, text string) Input {
	t.Helper()
	needs := map[string]estate.Need{"->": estate.Start, "~>": estate.Run, "=>": estate.Hosting, "?>": estate.Soft, "..>": estate.Telemetry}
	var in Input
	component := func(word string) estate.ID {
		name, rest, hasRoles := strings.Cut(word, "[")
		if !strings.Contains(name, "/") {
			name = "service/" + name
		}
		id, err := estate.ParseID(name)
		if err != nil {
			t.Fatal(err)
		}
		c := estate.Component{ID: id}
		if hasRoles {
			for role := range strings.SplitSeq(strings.TrimSuffix(rest, "]"), ",") {
				c.Roles = append(c.Roles, estate.Role(role))
			}
		}
		in.Components = append(in.Components, c)
		return id
	}
	for chain := range strings.SplitSeq(text, ";") {
		words := strings.Fields(chain)
		for i := 0; i < len(words); i += 2 {
			id := component(words[i])
			if i == 0 {
				continue
			}
			need, ok := needs[words[i-1]]
			if !ok {
				t.Fatalf("%q: %q is no arrow", text, words[i-1])
			}
			in.Dependencies = append(in.Dependencies, dependency(in.Components[len(in.Components)-2].ID, id, need, estate.Declared, 0))
		}
	}
	return in
}

func dependency(from, to estate.ID, need estate.Need, basis estate.Basis, count int64) estate.Dependency {
	return estate.Dependency{From: from, To: to, Need: need, Evidence: []estate.Evidence{{Basis: basis, Source: "test", Count: count}}}
}

func of(t testing.TB, in Input) Order {
	t.Helper()
	o, err := Of(in)
	if err != nil {
		t.Fatal(err)
	}
	return o
}

func short(id estate.ID) string { return strings.TrimPrefix(string(id), "service/") }

// spell writes layers as "db ldap:bootstrap | app | ldap:verify".
func spell(layers [][]Step) string {
	var lines []string
	for _, layer := range layers {
		var words []string
		for _, s := range layer {
			word := short(s.Component)
			if len(s.Phases) == 2 {
				word += ":" + string(s.Phases[len(s.Phases)-1])
			}
			words = append(words, word)
		}
		lines = append(lines, strings.Join(words, " "))
	}
	return strings.Join(lines, " | ")
}

// spellOpened writes openings as "a without b by rule x".
func spellOpened(k Knot) string {
	var list []string
	for _, o := range k.Opened {
		text := fmt.Sprintf("%s without %s by %s", short(o.From), short(o.To), o.Means)
		if o.Rule != nil {
			text += " " + o.Rule.Name
		}
		list = append(list, text)
	}
	return strings.Join(list, "; ")
}

func TestLayers(t *testing.T) {
	for _, c := range []struct{ name, estate, want string }{
		{"nothing", "", ""},
		{"a chain", "web -> app -> db", "db | app | web"},
		{"a diamond", "web -> api -> db; web -> jobs -> db", "db | api jobs | web"},
		{"the longest way counts", "a -> b -> c -> d; a -> d; b -> d", "d | c | b | a"},
		{"a host first", "app => host/one; app ~> db => host/two", "host/one host/two | db | app"},
		{"alone", "b; a", "a b"},
		{"itself", "a -> a", "a"},
		{"telemetry and what it needs order nothing", "a ..> log -> a", "a | log"},
		{"a soft need does not order", "a ?> b; b -> c", "a c | b"},
		{"but lists", "a ?> b; c ?> a", "b a c"},
		{"soft in a circle", "a ?> b; b ?> a", "a b"},
		{"a knot is waited for as a whole", "web -> ldap[directory] -> dns[dns] ~> ldap", "ldap:bootstrap | dns | ldap:verify | web"},
		{"a knot waits for what it needs", "ldap[directory] -> dns[dns] -> ldap => host/one", "host/one | ldap:bootstrap | dns | ldap:verify"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if diff := cmp.Diff(c.want, spell(of(t, draw(t, c.estate)).Layers)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", c.estate, diff)
			}
		})
	}
}

// TestKnots has knots, how each is opened, and the order.
func TestKnots(t *testing.T) {
	for _, c := range []struct{ name, estate, opened, want string }{
		{"one domain controller and the DNS server", "host/dc1[domain-controller,directory,kerberos] ~> ns[dns]; ns ~> host/dc1",
			"host/dc1 without ns by rule ad-first-dc", "host/dc1:bootstrap | ns | host/dc1:verify"},
		{"the domain controller with DNS is the first", "host/dc1[domain-controller] ~> host/dc2[domain-controller,dns] ~> host/dc1",
			"host/dc2 without host/dc1 by rule ad-first-dc", "host/dc2:bootstrap | host/dc1 | host/dc2:verify"},
		{"the others are made from it", "host/a[domain-controller,dns] ~> host/b[domain-controller] ~> host/a; host/b ~> host/c[domain-controller] ~> host/b; host/a ~> host/c ~> host/a",
			"host/a without host/b by rule ad-first-dc; host/a without host/c by rule ad-first-dc; host/b without host/c by rule ad-further-dc",
			"host/a:bootstrap | host/b:bootstrap | host/c | host/a:verify host/b:verify"},
		{"FreeIPA", "ds[directory] ~> named[dns] -> ds; ds ~> kdc[kerberos] -> ds; kdc ~> named ~> kdc",
			"ds without kdc by rule freeipa-directory; ds without named by rule freeipa-directory; kdc without named by rule freeipa-kdc",
			"ds:bootstrap | kdc:bootstrap | named | ds:verify kdc:verify"},
		{"a directory and its names", "slapd[directory] ~> bind[dns] ~> slapd", "slapd without bind by rule directory-names-in-files", "slapd:bootstrap | bind | slapd:verify"},
		{"zones in a directory whose storage needs names", "bind[dns] -> slapd[directory] -> san -> bind",
			"bind without slapd by rule dns-zone-from-file", "bind:bootstrap | san | slapd | bind:verify"},
		{"time before Kerberos", "ntp[time] ~> kdc[kerberos] ~> ntp", "ntp without kdc by rule time-first", "ntp:bootstrap | kdc | ntp:verify"},
		{"a manager on its own host", "vcenter[hypervisors] => host/esx1 ~> vcenter", "host/esx1 without vcenter by rule host-before-manager",
			"host/esx1:bootstrap | vcenter | host/esx1:verify"},
		{"names of a host, served by a guest", "bind[dns] => vm => host/esx1 ~> bind", "host/esx1 without bind by rule host-before-guests",
			"host/esx1:bootstrap | vm | bind | host/esx1:verify"},
		{"a secrets store and its authority", "vault[secrets] -> ca[authority] -> vault", "vault without ca by rule secrets-unsealed-by-hand",
			"vault:bootstrap | ca | vault:verify"},
		{"a secrets store and its database", "vault[secrets] -> db -> vault", "db without vault by rule before-secrets", "db:bootstrap | vault | db:verify"},
		{"an authority and its names", "ca[authority] ~> bind[dns] -> ca", "ca without bind by rule authority-offline", "ca:bootstrap | bind | ca:verify"},
		{"an authority and its database", "ca[authority] -> db -> ca", "db without ca by rule last-certificate", "db:bootstrap | ca | db:verify"},
		{"git and what it runs on", "git[scripts] -> db -> git", "db without git by rule scripts-from-the-safe", "db:bootstrap | git | db:verify"},
		{"a mirror", "mirror[packages] -> web -> mirror", "web without mirror by rule packages-from-media", "web:bootstrap | mirror | web:verify"},
		{"DNS, and what makes its zones", "bind[dns] -> ipam ~> bind", "ipam without bind by rule names-in-files", "ipam:bootstrap | bind | ipam:verify"},
		{"logins", "host/db1 ~> slapd[directory] ~> host/db1", "host/db1 without slapd by rule local-accounts", "host/db1:bootstrap | slapd | host/db1:verify"},
		{"services on hosts that need each other's", "host/dns1 ~> slapd[directory] => host/ldap1 ~> bind[dns] => host/dns1", "host/ldap1 without bind by rule names-in-files",
			"host/ldap1:bootstrap | slapd | host/dns1 | bind | host/ldap1:verify"},
		{"only as much as is needed", "slapd[directory] ~> bind[dns] ~> slapd; slapd ~> bind; app ~> bind; bind ~> app",
			"slapd without bind by rule directory-names-in-files; app without bind by rule names-in-files",
			"app:bootstrap slapd:bootstrap | bind | app:verify slapd:verify"},
		{"the least harm", "a -> b ~> c -> a", "b without c by least", "b:bootstrap | a | c | b:verify"},
		{"a host is not given up", "a => b -> c => a", "b without c by least", "b:bootstrap | a | c | b:verify"},
		{"two knots", "a ~> b -> a; c -> d ~> c; c -> a", "a without b by least", "a:bootstrap d:bootstrap | b | a:verify | c | d:verify"},
	} {
		t.Run(c.name, func(t *testing.T) {
			o := of(t, draw(t, c.estate))
			if got := spellOpened(o.Knots[0]); got != c.opened {
				t.Errorf("%s:\nopened %s\nwant   %s", c.estate, got, c.opened)
			}
			if got := spell(o.Layers); got != c.want {
				t.Errorf("%s:\nlayers %s\nwant   %s", c.estate, got, c.want)
			}
			for _, opening := range o.Knots[0].Opened {
				if opening.Why == "" || (opening.Question != "") != (opening.Means == Least) {
					t.Errorf("%s: %+v", c.estate, opening)
				}
			}
		})
	}
}

// TestBuiltIn finds a case above for each rule.
func TestBuiltIn(t *testing.T) {
	text, err := os.ReadFile("order_test.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range BuiltIn() {
		if !strings.Contains(string(text), "by rule "+r.Name) {
			t.Errorf("no test opens a knot by the rule %s", r.Name)
		}
		if r.Source == "" {
			t.Errorf("the rule %s does not say who knows", r.Name)
		}
	}
}

func TestOwnRule(t *testing.T) {
	in := draw(t, "slapd[directory] ~> bind[dns] ~> slapd")
	in.Rules = []Rule{{
		Name: "our-bind", From: []Match{{ID: "service/bind"}}, Without: []Match{{Kinds: []estate.Kind{estate.Service}}},
		Mode: "with the zones of the branch office", Until: "the directory runs", Check: "dig", Undo: "rndc reload", Source: "Ada",
	}}
	o := of(t, in)
	if got, want := spellOpened(o.Knots[0]), "bind without slapd by rule our-bind"; got != want {
		t.Errorf("opened %s, want %s", got, want)
	}
	first, last := o.Layers[0][0], o.Layers[2][0]
	want := []Mode{{Without: "service/slapd", Rule: "our-bind", How: "with the zones of the branch office", Check: "dig"}}
	if diff := cmp.Diff(want, first.Modes); diff != "" {
		t.Errorf("the first step (-want +got):\n%s", diff)
	}
	want = []Mode{{Without: "service/slapd", Rule: "our-bind", How: "rndc reload"}}
	if diff := cmp.Diff(want, last.Modes); diff != "" {
		t.Errorf("the last step (-want +got):\n%s", diff)
	}
}

func TestNoRule(t *testing.T) {
	good := BuiltIn()[0]
	for _, change := range []func(*Rule){
		func(r *Rule) { r.Name = "" },
		func(r *Rule) { r.From = nil },
		func(r *Rule) { r.Without = nil },
		func(r *Rule) { r.Mode = "" },
		func(r *Rule) { r.Undo = "" },
		func(r *Rule) {}, // its name is taken
	} {
		r := good
		change(&r)
		if _, err := Of(Input{Rules: []Rule{r}}); err == nil {
			t.Errorf("%+v: no error", r)
		}
	}
	for _, cost := range []int{0, -1, MaxHarm + 1} {
		if _, err := Of(Input{Harm: []Harm{{Pair{"service/a", "service/b"}, cost}}}); err == nil {
			t.Errorf("a harm of %d: no error", cost)
		}
	}
}

// TestWeak has evidence as basis and count for a -> b, b -> c, c -> a.
func TestWeak(t *testing.T) {
	type evidence struct {
		basis estate.Basis
		count int64
	}
	for _, c := range []struct {
		name string
		has  [3]evidence
		want string
	}{
		{"a name in a setting is weaker than what was seen", [3]evidence{{estate.Declared, 0}, {estate.Derived, 0}, {estate.Observed, 1}}, "b without c by weak"},
		{"the least seen is the weakest", [3]evidence{{estate.Observed, 3}, {estate.Observed, 2}, {estate.Observed, 9}}, "b without c by weak"},
		{"what is seen often is not weak", [3]evidence{{estate.Observed, 10}, {estate.Declared, 0}, {estate.Observed, 9}}, "c without a by weak"},
		{"what a person said is not", [3]evidence{{estate.Stated, 0}, {estate.Stated, 0}, {estate.Derived, 0}}, "c without a by weak"},
		{"nothing weak", [3]evidence{{estate.Stated, 0}, {estate.Observed, 1000}, {estate.Declared, 0}}, "b without c by least"},
	} {
		var in Input
		for i, e := range c.has {
			from, to := estate.ID("service/"+string("abc"[i])), estate.ID("service/"+string("bca"[i]))
			in.Dependencies = append(in.Dependencies, dependency(from, to, estate.Run, e.basis, e.count))
		}
		o := of(t, in)
		if got := spellOpened(o.Knots[0]); got != c.want {
			t.Errorf("%s: %s, want %s", c.name, got, c.want)
		}
		if q := o.Questions(); len(q) != 1 || q[0].Question != q[0].Pair.Question() {
			t.Errorf("%s: questions %+v", c.name, q)
		}
	}
}

func TestHarm(t *testing.T) {
	in := draw(t, "a -> b ~> c -> a")
	in.Harm = []Harm{{Pair{"service/b", "service/c"}, 900}, {Pair{"service/c", "service/a"}, 7}}
	k := of(t, in).Knots[0]
	if got, want := spellOpened(k), "c without a by least"; got != want || k.Cost != 7 || k.Least != 7 {
		t.Errorf("%s at %d, at least %d; want %s at 7", got, k.Cost, k.Least, want)
	}
}

func TestAnswers(t *testing.T) {
	pair := func(from, to string) Pair { return Pair{estate.ID("service/" + from), estate.ID("service/" + to)} }
	on := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	answer := func(from, to string, may bool) Answer {
		return Answer{Pair: pair(from, to), May: may, Who: "Ada", When: on, Why: "it has a cache"}
	}
	const ring = "a -> b ~> c -> a"
	for _, c := range []struct {
		name, estate  string
		answers       []Answer
		opened, unfit string
		questions     int
	}{
		{"none", ring, nil, "b without c by least", "", 1},
		{"a yes", ring, []Answer{answer("b", "c", true)}, "b without c by answer", "", 0},
		{"a yes to something else", ring, []Answer{answer("a", "b", true)}, "a without b by answer", "", 0},
		{"a no", ring, []Answer{answer("b", "c", false)}, "c without a by least", "", 1},
		{"no to all", ring, []Answer{answer("a", "b", false), answer("b", "c", false), answer("c", "a", false)}, "b without c by least", "", 1},
		{"the later one counts", ring, []Answer{answer("b", "c", true), {Pair: pair("b", "c"), When: on.Add(time.Hour)}}, "c without a by least", "", 1},
		{"before rules", "slapd[directory] ~> bind[dns] ~> slapd", []Answer{answer("bind", "slapd", true)}, "bind without slapd by answer", "", 0},
		{"gone from the map", ring + "; b ~> c", []Answer{answer("b", "x", true)}, "b without c by least", "service/x is not on the map any more.", 1},
		{"not needed any more", ring, []Answer{answer("a", "c", true)}, "b without c by least", "The map does not say any more that service/a needs service/c.", 1},
		{"not in a knot", ring + "; d -> a", []Answer{answer("d", "a", true)}, "b without c by least",
			"service/d and service/a are in no knot any more: the order can wait, and does.", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			in := draw(t, c.estate)
			in.Answers = c.answers
			o := of(t, in)
			if got := spellOpened(o.Knots[0]); got != c.opened {
				t.Errorf("opened %s, want %s", got, c.opened)
			}
			var unfit []string
			for _, u := range o.Unfit {
				unfit = append(unfit, u.Because)
			}
			if got := strings.Join(unfit, "; "); got != c.unfit {
				t.Errorf("unfit: %s, want %s", got, c.unfit)
			}
			if q := o.Questions(); len(q) != c.questions {
				t.Errorf("%d questions, want %d", len(q), c.questions)
			}
		})
	}
	// Answers are kept by it.
	if got, want := pair("b", "c").Question(), "cut-bf976f854994"; got != want {
		t.Errorf("the question is named %s, want %s", got, want)
	}
}

// TestQuestionStays asks the same after the estate has changed elsewhere.
func TestQuestionStays(t *testing.T) {
	const ring = "a -> b ~> c -> a"
	before := of(t, draw(t, ring)).Questions()
	after := of(t, draw(t, "aa -> ab ~> aa; "+ring+"; web -> a; c => host/x; b ~> d")).Questions()
	if len(after) != 2 || before[0].Question != after[1].Question || after[0].Question == after[1].Question {
		t.Errorf("asked before: %+v\nand after: %+v", before, after)
	}
}

func TestFoundations(t *testing.T) {
	o := of(t, draw(t, "web -> app -> db; app ~> ldap[directory] ~> dns[dns] ~> ldap; alone"))
	var got []string
	for _, f := range o.Foundations {
		got = append(got, fmt.Sprint(f.Components, f.Needed))
	}
	if diff := cmp.Diff([]string{"[service/db] 2", "[service/dns service/ldap] 2"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDoubtful(t *testing.T) {
	in := draw(t, "a -> db; b -> db; c -> db; d -> db; e -> db -> disk; a -> seen; b -> seen; c -> seen; d -> seen; e -> seen; a -> host/x; b -> host/x; c -> host/x; d -> host/x; e -> host/x")
	in.Dependencies = append(in.Dependencies, dependency("service/seen", "service/disk", estate.Run, estate.Observed, 3))
	for i := range in.Components {
		if in.Components[i].ID == "host/x" {
			in.Components[i].Evidence = []estate.Evidence{{Basis: estate.Observed}}
		}
	}
	o := of(t, in)
	if len(o.Doubtful) != 1 || o.Doubtful[0].Component != "service/db" || o.Doubtful[0].Needed != 5 {
		t.Errorf("doubtful: %+v, want service/db, needed by 5", o.Doubtful)
	}
}

// table reads a data set of testdata/edges.tsv.
func table(t *testing.T, set string, kind estate.Kind) []estate.Dependency {
	t.Helper()
	b, err := os.ReadFile("testdata/edges.tsv")
	if err != nil {
		t.Fatal(err)
	}
	var list []estate.Dependency
	for line := range strings.Lines(string(b)) {
		f := strings.Split(strings.TrimSpace(line), "\t")
		if f[0] != set {
			continue
		}
		need := estate.Start
		if f[3] == "telemetry" {
			need = estate.Telemetry
		}
		list = append(list, estate.Dependency{
			From: estate.NewID(kind, f[1]), To: estate.NewID(kind, f[2]), Need: need,
			Evidence: []estate.Evidence{{Basis: estate.Declared, Source: set, Detail: f[4]}},
		})
	}
	return list
}

// TestDemo orders the services of the OpenTelemetry demo. What they tell the
// collector is what makes a knot of them.
func TestDemo(t *testing.T) {
	in := Input{Dependencies: table(t, "compose-oteldemo", estate.Service)}
	o := of(t, in)
	if len(o.Knots) != 0 {
		t.Errorf("%d knots with telemetry set apart: %v", len(o.Knots), o.Knots)
	}
	const want = "astronomy-db flagd grafana image-provider jaeger kafka opamp-server opensearch otel-collector prometheus currency quote telemetry-docs valkey-cart | " +
		"accounting ad cart email flagd-ui fraud-detection payment product-catalog shipping | checkout recommendation | frontend | frontend-proxy | load-generator"
	sorted := func(text string) string {
		layers := strings.Split(text, " | ")
		for i, l := range layers {
			layers[i] = strings.Join(slices.Sorted(strings.FieldsSeq(l)), " ")
		}
		return strings.Join(layers, "\n")
	}
	if diff := cmp.Diff(sorted(want), sorted(spell(o.Layers))); diff != "" {
		t.Errorf("layers (-want +got):\n%s", diff)
	}
	for i := range in.Dependencies {
		in.Dependencies[i].Need = estate.Run
	}
	o = of(t, in)
	if len(o.Knots) != 1 || len(o.Knots[0].Components) != 19 {
		t.Fatalf("with telemetry: %d knots, want one of 19", len(o.Knots))
	}
	if k := o.Knots[0]; k.Cost != k.Least {
		t.Errorf("it costs %d, and at least %d", k.Cost, k.Least)
	}
	holds(t, in, o)
}

// TestHosts orders five hosts, of which the name server and the directory need
// each other.
func TestHosts(t *testing.T) {
	in := Input{Dependencies: table(t, "ss-hosts", estate.Host), Components: []estate.Component{
		{ID: "host/dns1", Roles: []estate.Role{estate.DNS}}, {ID: "host/ldap1", Roles: []estate.Role{estate.Directory}},
	}}
	for i := range in.Dependencies {
		d := &in.Dependencies[i]
		d.Need, d.Evidence = estate.Run, []estate.Evidence{{Basis: estate.Observed, Source: "ss", Count: 40}}
	}
	o := of(t, in)
	const want = "host/db1 host/ldap1:bootstrap | host/dns1 | host/ldap1:verify | host/app1 | host/web1"
	if got := spell(o.Layers); got != want {
		t.Errorf("layers %s\nwant   %s", got, want)
	}
	if len(o.Knots) != 1 || len(o.Questions()) != 0 {
		t.Fatalf("%d knots, %d questions", len(o.Knots), len(o.Questions()))
	}
	k := o.Knots[0]
	if got, want := spellOpened(k), "host/ldap1 without host/dns1 by rule directory-names-in-files"; got != want {
		t.Errorf("opened %s, want %s", got, want)
	}
	if got, want := k.Opened[0].Why, "host/ldap1 may start without host/dns1 by the rule directory-names-in-files (common practice), until the DNS server answers."; got != want {
		t.Errorf("why: %s\nwant %s", got, want)
	}
	m := o.Layers[0][1].Modes[0]
	if !strings.Contains(m.How, "/etc/hosts") || !strings.Contains(m.Check, "ldapsearch") {
		t.Errorf("the first step of host/ldap1 does not say how: %+v", m)
	}
	if m := o.Layers[2][0].Modes[0]; !strings.Contains(m.How, "Take the names out of /etc/hosts") {
		t.Errorf("the last step of host/ldap1 does not undo it: %+v", m)
	}
}

// chance makes an estate of n components with that many dependencies of all
// sorts and some answers.
func chance(r *rand.Rand, n, dependencies int) Input {
	var in Input
	kinds := []estate.Kind{estate.Service, estate.Host, estate.Database}
	every := []estate.Role{estate.DNS, estate.Directory, estate.Kerberos, estate.DomainMaster, estate.Time, estate.Secrets, estate.Authority}
	id := func(v int) estate.ID { return estate.NewID(kinds[v%len(kinds)], fmt.Sprint("c", v)) }
	for v := range n {
		c := estate.Component{ID: id(v)}
		if r.IntN(3) == 0 {
			c.Roles = append(c.Roles, every[r.IntN(len(every))])
		}
		in.Components = append(in.Components, c)
	}
	bases := []estate.Basis{estate.Declared, estate.Derived, estate.Observed, estate.Stated}
	for range dependencies {
		d := dependency(id(r.IntN(n)), id(r.IntN(n)), estate.Needs[r.IntN(len(estate.Needs))], bases[r.IntN(len(bases))], r.Int64N(20))
		in.Dependencies = append(in.Dependencies, d)
		if r.IntN(20) == 0 {
			in.Answers = append(in.Answers, Answer{Pair: Pair{d.From, d.To}, May: r.IntN(2) == 0, Who: "Ada", When: time.Unix(r.Int64N(1e9), 0), Why: "so"})
		}
	}
	return in
}

// holds fails if an order breaks what it must not: each component is rebuilt, in
// steps that follow each other; each dependency is waited for, or was opened and
// is waited for by the last step; and what a step waits for is in a layer before.
func holds(t *testing.T, in Input, o Order) {
	t.Helper()
	layers := make(map[estate.ID][]int) // of the steps
	for l, layer := range o.Layers {
		for _, s := range layer {
			layers[s.Component] = append(layers[s.Component], l)
			for _, w := range s.After {
				at := layers[w.For]
				if len(at) == 0 || w.Phase == Verify && at[len(at)-1] >= l || at[0] >= l {
					t.Errorf("%s in layer %d waits for %s, whose steps are in %v", s.Component, l, w.For, at)
				}
			}
			if s.Why == "" || strings.Contains(s.Why, "%!") {
				t.Errorf("%s: why: %q", s.Component, s.Why)
			}
		}
	}
	opened := make(map[Pair]bool)
	knot := make(map[estate.ID]int)
	for i, k := range o.Knots {
		for _, id := range k.Components {
			knot[id] = i + 1
		}
		for _, opening := range k.Opened {
			opened[opening.Pair] = true
		}
		for j, id := range k.Circle {
			next := k.Circle[(j+1)%len(k.Circle)]
			if !slices.ContainsFunc(in.Dependencies, func(d estate.Dependency) bool { return d.From == id && d.To == next && d.Need.Orders() }) {
				t.Errorf("the circle %v: %s does not need %s", k.Circle, id, next)
			}
		}
	}
	for _, d := range in.Dependencies {
		if !d.Need.Orders() || d.From == d.To {
			continue
		}
		from, to := layers[d.From], layers[d.To]
		switch {
		case len(from) == 0 || len(to) == 0:
			t.Fatalf("%s or %s has no step", d.From, d.To)
		case opened[Pair{d.From, d.To}]:
			if len(from) != 2 || from[1] <= to[0] {
				t.Errorf("%s without %s: steps in %v and %v", d.From, d.To, from, to)
			}
		case knot[d.From] != 0 && knot[d.From] == knot[d.To]:
			if from[0] <= to[0] {
				t.Errorf("%s needs %s, in a knot: steps in %v and %v", d.From, d.To, from, to)
			}
		case from[0] <= to[len(to)-1]:
			t.Errorf("%s needs %s: steps in %v and %v", d.From, d.To, from, to)
		}
	}
}

// TestProperties looks at estates made by chance.
func TestProperties(t *testing.T) {
	for seed := range uint64(300) {
		r := rand.New(rand.NewPCG(seed, 9))
		n := 2 + r.IntN(20)
		in := chance(r, n, r.IntN(4*n))
		o := of(t, in)
		holds(t, in, o)

		shuffled := Input{Components: slices.Clone(in.Components), Dependencies: slices.Clone(in.Dependencies), Answers: slices.Clone(in.Answers)}
		r.Shuffle(len(in.Components), func(i, j int) {
			c := shuffled.Components
			c[i], c[j] = c[j], c[i]
		})
		r.Shuffle(len(in.Dependencies), func(i, j int) {
			d := shuffled.Dependencies
			d[i], d[j] = d[j], d[i]
		})
		r.Shuffle(len(in.Answers), func(i, j int) {
			a := shuffled.Answers
			a[i], a[j] = a[j], a[i]
		})
		if diff := cmp.Diff(o, of(t, shuffled)); diff != "" {
			t.Fatalf("seed %d: the same in another order is ordered otherwise (-want +got):\n%s", seed, diff)
		}

		// Soft needs, telemetry and administration put nothing into another
		// layer, open nothing, and give nothing another reason.
		hard := in
		hard.Dependencies = slices.DeleteFunc(slices.Clone(in.Dependencies), func(d estate.Dependency) bool { return !d.Need.Orders() })
		without := of(t, hard)
		for _, o := range []*Order{&o, &without} {
			for _, layer := range o.Layers {
				slices.SortStableFunc(layer, func(a, b Step) int { return strings.Compare(string(a.Component), string(b.Component)) })
			}
		}
		if diff := cmp.Diff(without, o); diff != "" {
			t.Fatalf("seed %d: soft needs change a hard order (-without +with):\n%s", seed, diff)
		}
	}
}

// BenchmarkOf orders 5,000 components, without a knot, with one of 1,000, and as
// one knot without any structure.
func BenchmarkOf(b *testing.B) {
	for _, knot := range []int{0, 1000, 5000} {
		r := rand.New(rand.NewPCG(5, 5))
		var in Input
		id := func(v int) estate.ID { return estate.NewID(estate.Service, fmt.Sprint("s", v)) }
		for len(in.Dependencies) < 50_000 {
			from, to := r.IntN(5000), r.IntN(5000)
			from, to = max(from, to), min(from, to)
			if from < knot && r.IntN(10) == 0 || knot == 5000 && r.IntN(2) == 0 {
				from, to = to, from
			}
			in.Dependencies = append(in.Dependencies, dependency(id(from), id(to), estate.Run, estate.Observed, 1+r.Int64N(1000)))
		}
		b.Run(fmt.Sprint("knot-", knot), func(b *testing.B) {
			for b.Loop() {
				of(b, in)
			}
		})
	}
}

// What others run, and people, are not rebuilt: one sees that they are there.
func TestOthers(t *testing.T) {
	o := of(t, draw(t, "web -> external/license.vendor.example; web -> person/petra -> db"))
	phases := make(map[estate.ID][]Phase)
	for _, layer := range o.Layers {
		for _, s := range layer {
			phases[s.Component] = s.Phases
		}
	}
	all, seen := []Phase{Install, Start, Verify}, []Phase{Verify}
	want := map[estate.ID][]Phase{"service/web": all, "service/db": all, "external/license.vendor.example": seen, "person/petra": seen}
	if diff := cmp.Diff(want, phases); diff != "" {
		t.Errorf("(-want +got)\n%s", diff)
	}
}
