// Package backstage reads the catalogue of Backstage: components, resources and
// systems, what they depend on, and whose they are.
//
// Who consumes an API needs those who provide it. It does not promise that a
// catalogue is complete, nor that who is named in it is there: what depends on
// something that nobody described has an arrow to its name.
package backstage

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/tree"
)

// Bounds of what a catalogue has: how many provide the same API, and how many
// links there are, those that are said twice counted twice.
const (
	maxSharing = 100
	maxLinks   = 100_000
)

// Read returns the facts of the entities in the files.
func Read(p facts.Place, files []facts.File) (estate.Facts, error) {
	c := catalogue{place: p, entities: make(map[ref]entity), providers: make(map[ref][]ref)}
	for _, f := range files {
		docs, err := tree.Read(f.Data)
		if err != nil {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", p.At(f).Path, err)
		}
		for _, doc := range docs {
			c.add(p.At(f), doc, 0)
		}
	}
	if len(c.entities) == 0 {
		return estate.Facts{}, errors.New("there is no entity of a Backstage catalogue in this")
	}
	return c.facts()
}

// A ref names an entity: component:default/artist-lookup. It is in lower case,
// as Backstage compares them.
type ref struct{ kind, namespace, name string }

func (r ref) String() string { return r.kind + ":" + r.namespace + "/" + r.name }

// parse reads a reference as a field has it, where the kind may be missing, and
// the namespace.
func parse(s, kind, namespace string) (ref, bool) {
	if before, after, ok := strings.Cut(s, ":"); ok {
		kind, s = before, after
	}
	if before, after, ok := strings.Cut(s, "/"); ok {
		namespace, s = before, after
	}
	r := ref{strings.ToLower(kind), strings.ToLower(namespace), strings.ToLower(s)}
	return r, isName(r.kind) && isName(r.namespace) && isName(r.name)
}

// isName reports whether Backstage takes a name: so nothing else is shown.
func isName(s string) bool {
	return s != "" && len(s) <= 63 && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz0123456789-_.") == ""
}

// An entity is one document.
type entity struct {
	at    facts.Place
	n     *tree.Node
	tells bool // telemetry, by its name
}

// A catalogue is all of them.
type catalogue struct {
	place     facts.Place
	entities  map[ref]entity
	providers map[ref][]ref // of APIs
	links     int
	draft     facts.Draft
}

// add takes one document, or the list of entities that the API of Backstage
// gives.
func (c *catalogue) add(at facts.Place, n *tree.Node, depth int) {
	items := n.List()
	if items == nil {
		items = n.Get("items").List()
	}
	for _, item := range items {
		if depth < 2 {
			c.add(at, item, depth+1)
		}
	}
	if !strings.HasPrefix(n.Get("apiVersion").String(), "backstage.io/") {
		return
	}
	namespace := n.Get("metadata", "namespace").String()
	if namespace == "" {
		namespace = "default"
	}
	r := ref{strings.ToLower(n.Get("kind").String()), strings.ToLower(namespace), strings.ToLower(n.Get("metadata", "name").String())}
	if isName(r.kind) && isName(r.namespace) && isName(r.name) {
		c.entities[r] = entity{at, n, facts.Telemetry(r.name) != ""}
	}
}

// kinds are what entities are on the map. Others, such as people and APIs, are
// none of its components.
var kinds = map[string]estate.Kind{"component": estate.Service, "resource": estate.Resource, "system": estate.Application}

func (c *catalogue) id(r ref) estate.ID { return c.place.ID(kinds[r.kind], r.namespace+"/"+r.name) }

func (c *catalogue) facts() (estate.Facts, error) {
	all := slices.SortedFunc(maps.Keys(c.entities), func(a, b ref) int { return strings.Compare(a.String(), b.String()) })
	for _, r := range all {
		c.each(r, "providesApis", "api", func(api ref, _ *tree.Node) {
			if len(c.providers[api]) < maxSharing && !slices.Contains(c.providers[api], r) {
				c.providers[api] = append(c.providers[api], r)
			}
		})
	}
	for _, r := range all {
		if kinds[r.kind] == "" {
			continue
		}
		e := c.entities[r]
		comp := estate.Component{ID: c.id(r), Label: facts.Quote(e.n.Get("metadata", "title").String()), Owner: facts.Quote(e.n.Get("spec", "owner").String()),
			Evidence: []estate.Evidence{e.at.Evidence(estate.Declared, line(e.n), r.String())}}
		if e.tells {
			comp.Roles = []estate.Role{estate.Collector}
		}
		c.draft.Component(comp)
		if c.needs(r); c.links > maxLinks {
			return estate.Facts{}, facts.TooMuch("dependencies", maxLinks)
		}
	}
	return c.draft.Facts()
}

// needs links one entity with those that it speaks of.
func (c *catalogue) needs(r ref) {
	c.each(r, "dependsOn", "component", func(to ref, n *tree.Node) {
		if to.kind == "api" {
			c.consumes(r, to, n, "dependsOn")
			return
		}
		c.link(r, to, r, n, estate.Declared, "spec.dependsOn")
	})
	c.each(r, "dependencyOf", "component", func(from ref, n *tree.Node) { c.link(from, r, r, n, estate.Declared, "spec.dependencyOf") })
	c.each(r, "consumesApis", "api", func(api ref, n *tree.Node) { c.consumes(r, api, n, "consumesApis") })
	// A whole needs its parts. One that nobody described is a word on them.
	for field, kind := range map[string]string{"system": "system", "subcomponentOf": "component"} {
		c.each(r, field, kind, func(whole ref, n *tree.Node) {
			if _, ok := c.entities[whole]; ok {
				c.link(whole, r, r, n, estate.Declared, "spec."+field)
			}
		})
	}
}

// consumes links who uses an API with all who provide it.
func (c *catalogue) consumes(r, api ref, n *tree.Node, field string) {
	if len(c.providers[api]) == 0 {
		c.draft.Doubt("%s uses %s, which nobody here provides", r, api)
	}
	for _, to := range c.providers[api] {
		c.link(r, to, r, n, estate.Derived, "spec."+field+" "+api.String())
	}
}

// each calls f for the references in a field of an entity.
func (c *catalogue) each(r ref, field, kind string, f func(ref, *tree.Node)) {
	n := c.entities[r].n.Get("spec", field)
	for _, item := range append(slices.Clone(n.List()), n) {
		if !item.Is(tree.Scalar) {
			continue
		}
		if to, ok := parse(item.Text, kind, r.namespace); ok {
			f(to, item)
		} else {
			c.draft.Doubt("%s has in spec.%s what is no reference to an entity", r, field)
		}
	}
}

// tells reports whether an entity is for telemetry, be it described or not.
func (c *catalogue) tells(r ref) bool {
	e, ok := c.entities[r]
	return e.tells || !ok && facts.Telemetry(r.name) != ""
}

// link adds a dependency that the entity of said tells of.
func (c *catalogue) link(from, to, said ref, n *tree.Node, basis estate.Basis, how string) {
	if kinds[from.kind] == "" || kinds[to.kind] == "" {
		return
	}
	if c.links++; c.links > maxLinks {
		return
	}
	need := estate.Run
	if c.tells(from) || c.tells(to) {
		need = estate.Telemetry
	}
	c.draft.Link(estate.Link{From: estate.End{ID: c.id(from)}, To: estate.End{ID: c.id(to)}, Need: need,
		Evidence: []estate.Evidence{c.entities[said].at.Evidence(basis, line(n), how+": "+from.String()+" -> "+to.String())}})
}

func line(n *tree.Node) string { return "line " + strconv.Itoa(n.Line) }
