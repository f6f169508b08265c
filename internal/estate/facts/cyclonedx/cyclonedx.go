// Package cyclonedx reads what a bill of materials in CycloneDX, in JSON, says
// of services and applications and what these depend on.
//
// A library is no component of an estate: it is not rebuilt by itself, and not
// backed up. So of a bill of software only what runs is taken, and it is said
// how much else there was.
package cyclonedx

import (
	"bytes"
	"errors"
	"maps"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/tree"
)

// Read returns the facts of one bill. Its references are known within the
// place's scope.
func Read(p facts.Place, b []byte) (estate.Facts, error) {
	if bytes.HasPrefix(bytes.TrimSpace(b), []byte("<")) {
		return estate.Facts{}, errors.New("this is XML: of CycloneDX, JSON is read")
	}
	docs, err := tree.Read(b)
	if err != nil {
		return estate.Facts{}, err
	}
	if len(docs) != 1 || docs[0].Get("bomFormat").String() != "CycloneDX" {
		return estate.Facts{}, errors.New("this is no bill of materials of CycloneDX")
	}
	doc := docs[0]
	r := reader{place: p, parts: make(map[string]part), serves: make(map[estate.Alias]int)}
	r.component(doc.Get("metadata", "component"), 0)
	for _, n := range doc.Get("components").List() {
		r.component(n, 0)
	}
	for _, n := range doc.Get("services").List() {
		r.service(n, 0)
	}
	return r.facts(doc.Get("dependencies").List())
}

// maxNested is how deep components and services may be within each other.
const maxNested = 20

// kinds are what components are on the map, by their type. All other types are
// parts of something that runs.
var kinds = map[string]estate.Kind{
	"application":      estate.Application,
	"container":        estate.Service,
	"platform":         estate.Service,
	"operating-system": estate.Host,
	"device":           estate.Host,
}

// A part is a component or a service that runs.
type part struct {
	n       *tree.Node
	kind    estate.Kind
	tells   bool // telemetry
	aliases []estate.Alias
}

type reader struct {
	place   facts.Place
	parts   map[string]part // by their reference
	libs    int
	serves  map[estate.Alias]int // how many services have an endpoint there
	skipped map[string]bool      // references of libraries
	draft   facts.Draft
}

func (r *reader) component(n *tree.Node, depth int) {
	if n == nil || depth > maxNested {
		return
	}
	ref := n.Get("bom-ref").String()
	kind, runs := kinds[n.Get("type").String()]
	switch {
	case !runs:
		r.libs++
		if r.skipped == nil {
			r.skipped = make(map[string]bool)
		}
		r.skipped[ref] = true
	case ref != "":
		r.parts[ref] = part{n: n, kind: kind, tells: tells(n)}
	}
	for _, inner := range n.Get("components").List() {
		r.component(inner, depth+1)
	}
}

func (r *reader) service(n *tree.Node, depth int) {
	if depth > maxNested {
		return
	}
	if ref := n.Get("bom-ref").String(); ref != "" {
		s := part{n: n, kind: estate.Service, tells: tells(n)}
		for _, e := range n.Get("endpoints").List() {
			if a, ok := endpoint(e.String()); ok && !slices.Contains(s.aliases, a) {
				s.aliases = append(s.aliases, a)
				r.serves[a]++
			}
		}
		r.parts[ref] = s
	}
	for _, inner := range n.Get("services").List() {
		r.service(inner, depth+1)
	}
}

// ports are those of URLs that have none.
var ports = map[string]uint16{"https": 443, "http": 80, "ldaps": 636, "ldap": 389, "postgres": 5432, "postgresql": 5432, "mysql": 3306, "redis": 6379, "amqp": 5672}

// endpoint returns where a URL leads.
func endpoint(s string) (estate.Alias, bool) {
	u, err := url.Parse(s)
	if err != nil {
		return "", false
	}
	number := ports[u.Scheme]
	if p, err := strconv.ParseUint(u.Port(), 10, 16); err == nil {
		number = uint16(p)
	}
	if number == 0 {
		return "", false
	}
	a, ok := estate.NameAlias(u.Hostname())
	if address, err := netip.ParseAddr(u.Hostname()); err == nil {
		a, ok = estate.AddressAlias(address)
	}
	if !ok {
		return "", false
	}
	return a.At(number, "tcp"), true
}

func (r *reader) facts(dependencies []*tree.Node) (estate.Facts, error) {
	for _, ref := range slices.Sorted(maps.Keys(r.parts)) {
		p := r.parts[ref]
		comp := estate.Component{ID: r.id(ref), Label: facts.Quote(p.n.Get("name").String()),
			Evidence: []estate.Evidence{r.place.Evidence(estate.Declared, line(p.n), "bom-ref "+ref)}}
		for _, a := range p.aliases {
			// Two services behind one address are not one.
			if r.serves[a] == 1 {
				comp.Aliases = append(comp.Aliases, a)
			}
		}
		if p.tells {
			comp.Roles = []estate.Role{estate.Collector}
		}
		r.draft.Component(comp)
	}
	if r.libs > 0 {
		r.draft.Doubt("%d libraries and other parts that do not run by themselves were left out", r.libs)
	}
	unknown := 0
	for _, d := range dependencies {
		from := d.Get("ref").String()
		for _, to := range d.Get("dependsOn").List() {
			if r.link(from, to) {
				continue
			}
			if !r.skipped[from] && !r.skipped[to.String()] {
				unknown++
			}
		}
	}
	if unknown > 0 {
		r.draft.Doubt("%d dependencies are of references that nothing in the bill has", unknown)
	}
	return r.draft.Facts()
}

func (r *reader) id(ref string) estate.ID { return r.place.ID(r.parts[ref].kind, ref) }

func tells(n *tree.Node) bool {
	return facts.Telemetry(n.Get("name").String(), n.Get("bom-ref").String()) != ""
}

// link adds a dependency, if both of its ends run.
func (r *reader) link(from string, n *tree.Node) bool {
	to := n.String()
	if r.parts[from].n == nil || r.parts[to].n == nil {
		return false
	}
	need := estate.Run
	if r.parts[from].tells || r.parts[to].tells {
		need = estate.Telemetry
	}
	r.draft.Link(estate.Link{From: estate.End{ID: r.id(from)}, To: estate.End{ID: r.id(to)}, Need: need,
		Evidence: []estate.Evidence{r.place.Evidence(estate.Declared, line(n), strings.Join([]string{"dependsOn:", from, "->", to}, " "))}})
	return true
}

func line(n *tree.Node) string { return "line " + strconv.Itoa(n.Line) }
