package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"
	"github.com/goccy/go-yaml/token"

	"strongroom/internal/estate"
	"strongroom/internal/estate/order"
	"strongroom/internal/safe"
	"strongroom/internal/safe/keep"
)

// A Component is what is written of one component of the estate. Other
// components that it speaks of need not be in the file: they may be discovered.
type Component struct {
	ID      estate.ID
	Label   string
	Owner   string
	Aliases []estate.Alias
	Same    []estate.ID // other names that sources of facts have for it
	Apart   []Relation  // what is not the same, though it shares an alias
	Roles   []estate.Role
	Recipe  string // how it is rebuilt

	MustHold []Holding // what the safe must hold for it
	Waived   []Waiver

	DependsOn       []Relation // each with a Need
	NotOn           []Relation // with a Need, or without one for all
	MayStartWithout []Bootstrap

	At Place
}

// A Place is where something is in the file.
type Place struct {
	Line, Column int // from 1
}

func place(t *token.Token) Place { return Place{t.Position.Line, t.Position.Column} }

// An Application is a component that the business asks for by name.
type Application struct {
	Component
	ConsistsOf []Relation // at least one
	Levels     Levels
}

// Levels are what an application promises. Zero is no promise.
type Levels struct {
	RPO            time.Duration // how old its snapshots may be
	RTO            time.Duration // how long its restore may take
	Keep           keep.Span     // how long its snapshots are kept
	RehearsedEvery time.Duration
	Window         time.Duration // how long a collection may take
	TwoPeople      bool          // rehearsals are by two different people
}

// A Relation is what a person says of a component and another one.
type Relation struct {
	To     estate.ID
	Need   estate.Need
	Reason string
	Harm   int       // what it costs to start without it, up to order.MaxHarm; 0 if that is not written
	By     string    // who says so; "" if that is not written
	Since  time.Time // since when, a day; the zero time if that is not written
	At     Place
}

// A Matter is a sort of thing that a component is rebuilt from.
type Matter string

const (
	Data          Matter = "data"
	Configuration Matter = "configuration"
	Media         Matter = "media"
	Certificates  Matter = "certificates"
	Secrets       Matter = "secrets"
	Documents     Matter = "documents"
	People        Matter = "people"
)

// Matters are all of them.
var Matters = []Matter{Data, Configuration, Media, Certificates, Secrets, Documents, People}

// A Holding is what the safe must hold of one matter. What is said to be missing
// has neither sources nor people.
type Holding struct {
	Matter  Matter
	Sources []safe.SourceName // that have it
	People  []string          // who know how it is brought back, if the matter is People
}

// A Waiver says that a component is without something, and that this is known.
type Waiver struct {
	Matter Matter
	By     string
	Until  time.Time // the last day
	Reason string
	At     Place
}

// A Bootstrap says how a component starts before another that it needs.
type Bootstrap struct {
	Without  estate.ID
	Mode     string
	Until    string // the step that ends it; "" for when what it was without has started
	ProvenBy string
	UndoneBy string
	At       Place
}

// Statements returns what the configuration says of the estate, as it was read
// at that time.
func (c *Config) Statements(at time.Time) estate.Statements {
	var s estate.Statements
	for _, one := range c.Components {
		one.say(&s, at)
	}
	for _, a := range c.Applications {
		a.say(&s, at)
		for _, part := range a.ConsistsOf {
			part.Need = estate.Run
			part.Reason = cmp.Or(part.Reason, "consists of it")
			s.Rulings = append(s.Rulings, part.ruling(estate.Confirmed, a.ID, at))
		}
	}
	return s
}

func (c Component) say(s *estate.Statements, at time.Time) {
	here := Relation{At: c.At}
	s.Components = append(s.Components, estate.Component{
		ID: c.ID, Aliases: c.Aliases, Label: c.Label, Owner: c.Owner, Roles: c.Roles, Evidence: []estate.Evidence{here.evidence(at)},
	})
	for _, id := range c.Same {
		s.Same = append(s.Same, estate.Pair{A: c.ID, B: id, Evidence: here.evidence(at)})
	}
	for _, r := range c.Apart {
		s.Apart = append(s.Apart, estate.Pair{A: c.ID, B: r.To, Evidence: r.evidence(at)})
	}
	for _, r := range c.DependsOn {
		s.Rulings = append(s.Rulings, r.ruling(estate.Added, c.ID, at))
	}
	for _, r := range c.NotOn {
		s.Rulings = append(s.Rulings, r.ruling(estate.Rejected, c.ID, at))
	}
}

func (r Relation) ruling(v estate.Verdict, from estate.ID, at time.Time) estate.Ruling {
	return estate.Ruling{Verdict: v, From: from, To: r.To, Need: r.Need, Evidence: r.evidence(at)}
}

// evidence of what the file says: it says so still when it is read.
func (r Relation) evidence(at time.Time) estate.Evidence {
	e := estate.Evidence{
		Basis: estate.Stated, Source: cmp.Or(r.By, "configuration"), Place: fmt.Sprintf("line %d of the configuration", r.At.Line), Detail: r.Reason,
		First: at, Last: at,
	}
	if !r.Since.IsZero() {
		e.First = r.Since
	}
	return e
}

var kindNames = func() []string {
	names := make([]string, len(estate.Kinds))
	for i, k := range estate.Kinds {
		names[i] = string(k)
	}
	return names
}()

var componentPattern = "^(" + strings.Join(kindNames, "|") + ")/[^ ]*[^ /]$"

var component = text("a component such as host/erp-app", schema{Pattern: componentPattern, MaxLength: new(uint64(estate.MaxID))}, parseComponent)

func parseComponent(s string) (estate.ID, error) {
	kind, _, ok := strings.Cut(s, "/")
	if !ok {
		return "", errForm
	}
	if !slices.Contains(kindNames, kind) {
		return "", fmt.Errorf("unknown kind %s%s", quote(kind), didYouMean(kind, kindNames))
	}
	return estate.ParseID(s)
}

// A name is one of the names that a component is known by.
type name struct {
	alias estate.Alias
	same  estate.ID // if it is none
	at    *token.Token
}

var alias = form[name]{
	schema{Type: "string", MinLength: new(uint64(1)), MaxLength: new(uint64(estate.MaxID))},
	func(d *decoder, n ast.Node) (name, bool) {
		v, ok := text(`an address or a name with a dot, with a port in quotes ("10.0.0.4:5432/tcp"), or another component`, schema{}, func(s string) (name, error) {
			if strings.Contains(s, "/") && !strings.HasSuffix(s, "/tcp") && !strings.HasSuffix(s, "/udp") {
				id, err := parseComponent(s)
				return name{same: id}, err
			}
			a, err := estate.ParseAlias(s)
			return name{alias: a}, err
		}).read(d, n)
		v.at = start(n)
		return v, ok
	},
}

var datePattern = `^[0-9]{4}-[0-9]{2}-[0-9]{2}$`

var date = text("a day such as 2027-06-30", schema{Pattern: datePattern}, func(s string) (time.Time, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return t, errForm
	}
	return t, nil
})

// reason takes why something is so, which becomes evidence.
var reason = text("a line of text", schema{MinLength: new(uint64(1)), MaxLength: new(uint64(estate.MaxDetail))},
	func(s string) (string, error) {
		if len(s) > estate.MaxDetail {
			return "", fmt.Errorf("it has %d bytes, at most %d are possible", len(s), estate.MaxDetail)
		}
		if s == "" || strings.TrimSpace(s) != s || !isPlain(s) {
			return "", errForm
		}
		return s, nil
	})

var (
	toField     = key("component", "The other component.", component, func(r *Relation) *estate.ID { return &r.To }).must()
	reasonField = key("reason", "Why that is so.", reason, func(r *Relation) *string { return &r.Reason })
	byFields    = []field[Relation]{
		key("by", "Who says so.", reason, func(r *Relation) *string { return &r.By }),
		key("since", "Since when that is said; without it since the file was read.", date, func(r *Relation) *time.Time { return &r.Since }),
	}
	needField = key("kind", "What for.", oneOf(estate.Needs...), func(r *Relation) *estate.Need { return &r.Need })
	harmField = key("harm", "How bad it is to start without it, when a knot has to be opened; by itself 100 to serve, 300 to start, 1000 to run on.",
		integer(1, order.MaxHarm), func(r *Relation) *int { return &r.Harm })

	plainFields    = slices.Concat([]field[Relation]{toField, reasonField}, byFields)
	neededFields   = slices.Concat([]field[Relation]{toField, needField.or(estate.Run), harmField, reasonField}, byFields)
	unneededFields = slices.Concat([]field[Relation]{toField, needField, reasonField.must()}, byFields)
)

// relation makes a form of what is said of another component: keys and values,
// or the other's name alone unless a reason must be given.
func relation(title string, fields []field[Relation], need estate.Need) form[Relation] {
	whole := object(fields)
	short := !slices.Contains(whole.Required, "reason")
	s := whole
	if short {
		s = schema{OneOf: []*schema{&component.schema, &whole}}
	}
	return form[Relation]{s, func(d *decoder, n ast.Node) (r Relation, ok bool) {
		r.Need, r.At = need, place(start(n))
		if n.Type() == ast.StringType && short {
			r.To, ok = component.read(d, n)
			return r, ok
		}
		values, ok := entries(d, n, title)
		if ok {
			mapping(d, values, title, start(n), fields, &r)
		}
		return r, ok && r.To != ""
	}}
}

var bootstrapFields = []field[Bootstrap]{
	key("component", "What it may start without.", component, func(b *Bootstrap) *estate.ID { return &b.Without }).must(),
	key("mode", "How it is started then.", line, func(b *Bootstrap) *string { return &b.Mode }).must(),
	key("until", "The step that ends it; without it when the other has started.", line, func(b *Bootstrap) *string { return &b.Until }),
	key("proven_by", "The check that it works.", line, func(b *Bootstrap) *string { return &b.ProvenBy }).must(),
	key("undone_by", "What brings it back to normal.", line, func(b *Bootstrap) *string { return &b.UndoneBy }).must(),
}

var bootstrap = form[Bootstrap]{object(bootstrapFields), func(d *decoder, n ast.Node) (Bootstrap, bool) {
	b := Bootstrap{At: place(start(n))}
	values, ok := entries(d, n, "may_start_without")
	if ok {
		mapping(d, values, "may_start_without", start(n), bootstrapFields, &b)
	}
	return b, ok
}}

var waiverFields = []field[Waiver]{
	key("what", "What the safe need not hold.", oneOf(Matters...), func(w *Waiver) *Matter { return &w.Matter }).must(),
	key("by", "Who decided that.", reason, func(w *Waiver) *string { return &w.By }).must(),
	key("until", "The last day on which that is good.", date, func(w *Waiver) *time.Time { return &w.Until }).must(),
	key("reason", "Why that can be borne.", reason, func(w *Waiver) *string { return &w.Reason }).must(),
}

var waiver = form[Waiver]{object(waiverFields), func(d *decoder, n ast.Node) (Waiver, bool) {
	w := Waiver{At: place(start(n))}
	values, ok := entries(d, n, "waived")
	if ok {
		mapping(d, values, "waived", start(n), waiverFields, &w)
	}
	return w, ok
}}

// missing stands where sources would, if there are none.
const missing = "missing"

// holding makes a form of what has a matter: sources, or people.
func holding(m Matter) form[Holding] {
	want, element := "a list of sources, or missing", sourceName
	if m == People {
		want, element = "a list of people, or missing", reason
	}
	some := list(want, 1, element)
	return form[Holding]{schema{OneOf: []*schema{{Const: missing}, &some.schema}}, func(d *decoder, n ast.Node) (Holding, bool) {
		h := Holding{Matter: m}
		if s, ok := n.(*ast.StringNode); ok && s.Value == missing {
			return h, true
		}
		names, ok := some.read(d, n)
		if m == People {
			h.People = names
			return h, ok
		}
		for _, name := range names {
			h.Sources = append(h.Sources, safe.SourceName(name))
		}
		return h, ok
	}}
}

// sourceName takes the name of a source, which may be written further down.
var sourceName = form[string]{safeName.schema, func(d *decoder, n ast.Node) (string, bool) {
	s, ok := safeName.read(d, n)
	if ok {
		d.refs = append(d.refs, placed{s, start(n)})
	}
	return s, ok
}}

var matterFields = func() []field[[]Holding] {
	docs := map[Matter]string{
		Data: "What it works on.", Configuration: "How it is set up.", Media: "What it is installed from.",
		Certificates: "What it proves itself with.", Secrets: "What it signs in with.", Documents: "What people must read.",
		People: "Who knows how it is brought back.",
	}
	var fields []field[[]Holding]
	for _, m := range Matters {
		f := holding(m)
		fields = append(fields, field[[]Holding]{name: string(m), doc: docs[m], schema: f.schema, read: func(d *decoder, n ast.Node, into *[]Holding) {
			if p, ok := f.read(d, n); ok {
				*into = append(*into, p)
			}
		}})
	}
	return fields
}()

var holdings = form[[]Holding]{object(matterFields), func(d *decoder, n ast.Node) ([]Holding, bool) {
	var all []Holding
	values, ok := entries(d, n, "must_hold")
	if ok {
		mapping(d, values, "must_hold", start(n), matterFields, &all)
	}
	return all, ok
}}

// An estateDraft is a component or an application while it is read.
type estateDraft struct {
	Application
	names []name
}

var componentFields = []field[estateDraft]{
	key("label", "What people call it.", reason, func(e *estateDraft) *string { return &e.Label }),
	key("owner", "Who looks after it.", reason, func(e *estateDraft) *string { return &e.Owner }),
	key("aliases", "What else it is known by: addresses, names of DNS, one of these with a port, and names of components that are the same.", list("a list of names", 0, alias), func(e *estateDraft) *[]name { return &e.names }),
	key("apart", "Components that are not the same, though they share an alias.", list("a list of components", 0, relation("apart", plainFields, "")), func(e *estateDraft) *[]Relation { return &e.Apart }),
	key("roles", "What it does for others, by which it is known how to start it.", list("a list of roles", 0, oneOf(estate.Roles...)), func(e *estateDraft) *[]estate.Role { return &e.Roles }),
	key("recipe", "How it is rebuilt.", safeName, func(e *estateDraft) *string { return &e.Recipe }),
	key("must_hold", "What the safe must hold for it.", holdings, func(e *estateDraft) *[]Holding { return &e.MustHold }),
	key("waived", "What of that is known not to be there.", list("a list of waivers", 0, waiver), func(e *estateDraft) *[]Waiver { return &e.Waived }),
	key("depends_on", "What it needs, whatever is discovered.", list("a list of components", 0, relation("depends_on", neededFields, estate.Run)), func(e *estateDraft) *[]Relation { return &e.DependsOn }),
	key("not_on", "What it does not need, whatever is discovered.", list("a list of components, each with a reason", 0, relation("not_on", unneededFields, "")), func(e *estateDraft) *[]Relation { return &e.NotOn }),
	key("may_start_without", "How it starts before something that it needs.", list("a list of ways to start", 0, bootstrap), func(e *estateDraft) *[]Bootstrap { return &e.MayStartWithout }),
}

var applicationFields = slices.Concat([]field[estateDraft]{
	key("consists_of", "The components that it is made of.", list("a list of at least one component", 1, relation("consists_of", plainFields, "")), func(e *estateDraft) *[]Relation { return &e.ConsistsOf }).must(),
	key("levels", "What it promises.", levels, func(e *estateDraft) *Levels { return &e.Levels }),
}, componentFields)

var levelFields = []field[Levels]{
	key("rpo", "How old its newest snapshots may be.", duration, func(l *Levels) *time.Duration { return &l.RPO }),
	key("rto", "How long its restore may take.", duration, func(l *Levels) *time.Duration { return &l.RTO }),
	key("keep", "How long its snapshots are kept at least.", span, func(l *Levels) *keep.Span { return &l.Keep }),
	key("rehearsed_every", "How long ago its last rehearsal may be.", duration, func(l *Levels) *time.Duration { return &l.RehearsedEvery }),
	key("window", "How long a collection of it may take.", duration, func(l *Levels) *time.Duration { return &l.Window }),
	key("two_people", "Whether two different people must have rehearsed it.", yesOrNo, func(l *Levels) *bool { return &l.TwoPeople }).or(true),
}

var levels = form[Levels]{object(levelFields), func(d *decoder, n ast.Node) (Levels, bool) {
	l := Levels{TwoPeople: true}
	values, ok := entries(d, n, "levels")
	if ok {
		mapping(d, values, "levels", start(n), levelFields, &l)
	}
	return l, ok
}}

var components = form[[]Component]{named(componentPattern, object(componentFields)), func(d *decoder, n ast.Node) ([]Component, bool) {
	values, ok := entries(d, n, "components")
	var all []Component
	for _, v := range values {
		at := v.Key.GetToken()
		id, err := parseComponent(at.Value)
		switch {
		case err == errForm:
			d.fail(at, "expected a component such as host/erp-app, found %.80q", at.Value)
		case err != nil:
			d.fail(at, "expected a component such as host/erp-app: %v", err)
		case id.Kind() == estate.Application:
			d.fail(at, "expected `%s` below `applications`", id.Name())
		}
		if e, ok := readEstate(d, id, v, componentFields); ok {
			all = append(all, e.Component)
		}
	}
	return all, ok
}}

var applications = form[[]Application]{named(`^[^ /][^ ]*$`, object(applicationFields)), func(d *decoder, n ast.Node) ([]Application, bool) {
	values, ok := entries(d, n, "applications")
	var all []Application
	for _, v := range values {
		at := v.Key.GetToken()
		id, err := estate.ParseID(string(estate.Application) + "/" + at.Value)
		if err != nil {
			d.fail(at, "expected the name of an application, without spaces, found %.80q", at.Value)
		}
		if e, ok := readEstate(d, id, v, applicationFields); ok {
			all = append(all, e.Application)
		}
	}
	return all, ok
}}

// named returns the schema of a mapping from names to what is called so.
func named(pattern string, s schema) schema {
	return schema{Type: "object", PropertyNames: &schema{Pattern: pattern, MaxLength: new(uint64(estate.MaxID))}, AdditionalProperties: &s}
}

// readEstate reads a component or an application and compares what is said in
// it. Its names are compared with those of others later.
func readEstate(d *decoder, id estate.ID, n *ast.MappingValueNode, fields []field[estateDraft]) (estateDraft, bool) {
	at := n.Key.GetToken()
	title := quote(at.Value)
	var e estateDraft
	e.Levels.TwoPeople = true
	if n.Value.Type() != ast.NullType { // one that is only said to be there
		values, ok := entries(d, n.Value, title)
		if !ok {
			return e, false
		}
		mapping(d, values, title, at, fields, &e)
	} else if slices.ContainsFunc(fields, func(f field[estateDraft]) bool { return f.required }) {
		mapping(d, nil, title, at, fields, &e)
	}
	e.ID, e.At = id, place(at)
	d.names = append(d.names, ownName{string(id), id, at})
	for _, name := range e.names {
		if name.alias != "" {
			e.Aliases = append(e.Aliases, name.alias)
		} else {
			e.Same = append(e.Same, name.same)
		}
		d.names = append(d.names, ownName{string(name.alias) + string(name.same), id, name.at})
	}
	d.relations(e.Component, e.ConsistsOf)
	return e, true
}

// An ownName is a name that one component alone has.
type ownName struct {
	name string
	of   estate.ID
	at   *token.Token
}

// relations reports what is said of a component and itself, twice, or in
// contradiction.
func (d *decoder) relations(c Component, consistsOf []Relation) {
	fail := func(at Place, format string, args ...any) { d.failAt(at.Line, at.Column, format, args...) }
	type about struct {
		key  string
		to   estate.ID
		need estate.Need
	}
	said := make(map[about]int)
	for _, list := range []struct {
		key string
		all []Relation
	}{{"apart", c.Apart}, {"depends_on", c.DependsOn}, {"not_on", c.NotOn}, {"consists_of", consistsOf}} {
		for _, r := range list.all {
			if r.To == c.ID || slices.Contains(c.Same, r.To) {
				fail(r.At, "expected another component, found %s, which is itself", quote(string(r.To)))
			}
			if line, ok := said[about{list.key, r.To, r.Need}]; ok {
				fail(r.At, "%s is already in line %d", quote(string(r.To)), line)
			}
			said[about{list.key, r.To, r.Need}] = r.At.Line
		}
	}
	for _, r := range c.NotOn {
		for _, on := range c.DependsOn {
			if on.To == r.To && (on.Need == r.Need || r.Need == "") {
				fail(r.At, "%s is in `depends_on`, too, in line %d", quote(string(r.To)), on.At.Line)
			}
		}
	}
	for _, b := range c.MayStartWithout {
		if b.Without == c.ID {
			fail(b.At, "expected another component, found %s, which is itself", quote(string(b.Without)))
		}
	}
	waived := make(map[Matter]int)
	for _, w := range c.Waived {
		if line, ok := waived[w.Matter]; ok && w.Matter != "" {
			fail(w.At, "`%s` is already waived in line %d", w.Matter, line)
		}
		waived[w.Matter] = w.At.Line
	}
}

// estate compares what is written of the estate with the rest of the file.
func (d *decoder) estate(c *Config) {
	var known []string
	for _, s := range c.Sources {
		known = append(known, string(s.Name))
	}
	for _, ref := range d.refs {
		switch {
		case slices.Contains(known, ref.text):
		case len(known) == 0:
			d.fail(ref.at, "unknown source %s; there are none", quote(ref.text))
		default:
			d.fail(ref.at, "unknown source %s%s", quote(ref.text), didYouMean(ref.text, known))
		}
	}
	owner := make(map[string]ownName)
	for _, n := range d.names {
		if n.name == "" {
			continue // it was misspelt
		}
		if other, ok := owner[n.name]; ok {
			d.fail(n.at, "%s is already a name of %s, in line %d", quote(n.name), quote(string(other.of)), other.at.Position.Line)
			continue
		}
		owner[n.name] = n
	}
}
