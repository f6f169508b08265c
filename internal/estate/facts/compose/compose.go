// Package compose reads the services of a docker compose project and what they
// need of each other: what is declared, and what their settings name.
//
// It merges several files and the .env file beside them as docker does. Nothing
// but the files that are given is read: what they include or extend, and files
// of settings, are followed only if they are among them, and the environment of
// this process is nobody's. Services that wait for each other are reported,
// where docker refuses the project.
//
// It does not promise what docker would run: profiles are not chosen, and a name
// outside of the project is no fact of it.
package compose

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"path"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/tree"
)

// Bounds of a project. The largest that are known have about 100 services.
const (
	maxServices = 10_000
	maxLinks    = 200_000
	maxSharing  = 100 // how many services may have the same alias
	maxRings    = 10  // how many rings of services are reported
)

// Read returns the facts of one project. Its files are in the order in which
// docker is told of them; a file whose name has no ending of YAML or JSON is for
// settings, and the one named .env is for values in the others.
// If the place has no scope, the project's own name is it.
func Read(p facts.Place, files []facts.File) (estate.Facts, error) {
	r := project{place: p, services: make(map[string]*service), configs: make(map[string]*text),
		files: make(map[string]facts.File), parsed: make(map[string][]*tree.Node), done: make(map[string]bool)}
	var main []facts.File
	for _, f := range files {
		if len(f.Data) > facts.MaxBytes {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", p.At(f).Path, facts.TooMuch("bytes", facts.MaxBytes))
		}
		r.files[path.Clean(f.Path)] = f
		switch {
		case isProject(f.Path):
			main = append(main, f)
		case path.Base(f.Path) == ".env":
			r.values.read(string(f.Data))
		}
	}
	for _, f := range main {
		docs, err := tree.Read(f.Data)
		if err != nil {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", p.At(f).Path, err)
		}
		r.parsed[path.Clean(f.Path)] = docs
	}
	// What others include has its turn with them; what is left after that
	// includes each other.
	followed := r.included(main)
	isFollowed := func(f facts.File) bool { return followed[path.Clean(f.Path)] }
	for _, f := range slices.Concat(slices.DeleteFunc(slices.Clone(main), isFollowed), main) {
		if err := r.file(f, 0); err != nil {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", p.At(f).Path, err)
		}
	}
	if r.values.spent > maxValues {
		return estate.Facts{}, facts.TooMuch("bytes of values put into each other", maxValues)
	}
	r.place.Scope = cmp.Or(p.Scope, r.name)
	return r.facts()
}

// isProject reports whether a file is one of services, by its name.
func isProject(name string) bool {
	switch path.Ext(name) {
	case ".yaml", ".yml", ".json":
		return true
	}
	return name == "" // the one file of the place
}

// A project is what all its files say.
type project struct {
	place    facts.Place
	name     string
	files    map[string]facts.File   // by path, as others name them
	parsed   map[string][]*tree.Node // those of services
	done     map[string]bool         // those that were merged
	values   values
	services map[string]*service
	configs  map[string]*text
	draft    facts.Draft
}

// A service is what all files say of one.
type service struct {
	name      string
	at        facts.Place
	line      int
	image     string
	container string
	hostname  string
	aliases   []string
	links     map[string]string // what it alone calls another service
	listens   []estate.Port
	needs     map[string]need // of others, by their name
	settings  map[string]setting
	commands  map[string][]setting // command and entrypoint, each set as a whole
	configs   map[string]bool      // of the project, by name
	texts     []*text              // of its own
}

// A need is one that is written down.
type need struct {
	need estate.Need
	at   facts.Place
	line int
	how  string
}

// A setting is a name with a value; of words of a command, without the name.
type setting struct {
	value string
	at    facts.Place
	line  int
}

// A text is a configuration that stands in the project.
type text struct {
	name    string
	content string
	at      facts.Place
	line    int // before its first one

	looked   bool // for hosts, once for all services
	mentions []facts.TextMention
}

func (t *text) hosts() []facts.TextMention {
	if !t.looked {
		t.looked, t.mentions = true, facts.TextHosts(t.content)
	}
	return t.mentions
}

// file merges one file into what is known.
func (r *project) file(f facts.File, depth int) error {
	// One that is included twice, or by itself, says the same again.
	if r.done[path.Clean(f.Path)] {
		return nil
	}
	r.done[path.Clean(f.Path)] = true
	at := r.place.At(f)
	for _, doc := range r.parsed[path.Clean(f.Path)] {
		if doc.Is(tree.Null) {
			continue
		}
		if !doc.Is(tree.Map) {
			return fmt.Errorf("this is no compose file: there are no keys in it")
		}
		if depth == 0 {
			r.name = cmp.Or(r.values.expand(doc.Get("name").String()), r.name)
		}
		if err := r.include(f, doc.Get("include"), depth); err != nil {
			return err
		}
		for _, k := range doc.Get("configs").Map() {
			if content := k.Value.Get("content"); content != nil {
				r.configs[k.Name] = &text{name: k.Name, content: r.values.expand(content.String()), at: at, line: content.Line}
			}
		}
		services := doc.Get("services")
		if services == nil && depth == 0 && doc.Get("include") == nil && len(doc.Keys) > 0 && !fragment(doc) {
			return fmt.Errorf("this is no compose file: it has no services")
		}
		for _, k := range services.Map() {
			if len(r.services) >= maxServices {
				return facts.TooMuch("services", maxServices)
			}
			r.service(f, services, k, depth)
		}
	}
	return nil
}

// fragment reports whether a file without services can still be part of a
// project: it has networks, volumes and the like for others.
func fragment(doc *tree.Node) bool {
	return slices.ContainsFunc(doc.Keys, func(k tree.Key) bool {
		return slices.Contains([]string{"networks", "volumes", "configs", "secrets", "name"}, k.Name)
	})
}

// included returns the files that others include, whose turn comes with these.
func (r *project) included(main []facts.File) map[string]bool {
	all := make(map[string]bool)
	for _, f := range main {
		for _, doc := range r.parsed[path.Clean(f.Path)] {
			for _, name := range paths(doc.Get("include")) {
				if name = beside(f.Path, name); name != path.Clean(f.Path) {
					all[name] = true
				}
			}
		}
	}
	return all
}

// paths returns what an include names: a path, a map with paths, or a list.
func paths(n *tree.Node) []string {
	var all []string
	for _, item := range n.List() {
		switch p := item.Get("path"); {
		case item.Is(tree.Scalar):
			all = append(all, item.Text)
		case p.Is(tree.Scalar):
			all = append(all, p.Text)
		default:
			for _, one := range p.List() {
				all = append(all, one.Text)
			}
		}
	}
	return all
}

// shown is how a file is named that was not given: not at all if it is on
// another machine, since its address may have a password in it.
func shown(name string) string {
	if strings.Contains(name, "@") || strings.Contains(name, "://") {
		return "a file elsewhere"
	}
	return name
}

// beside returns the path of a file that another one names.
func beside(from, name string) string { return path.Join(path.Dir(from), name) }

// include reads what a file includes, if it is there.
func (r *project) include(f facts.File, n *tree.Node, depth int) error {
	for _, name := range paths(n) {
		other, ok := r.files[beside(f.Path, name)]
		switch {
		case depth >= maxFollowed:
			r.draft.Doubt("%s: files include each other more than %d deep", f.Path, maxFollowed)
		case !ok || !isProject(other.Path):
			r.draft.Doubt("%s includes %s, which was not given to read", f.Path, shown(name))
		default:
			if err := r.file(other, depth+1); err != nil {
				return fmt.Errorf("including %s: %w", other.Path, err)
			}
		}
	}
	return nil
}

// facts returns the components and links of what was merged.
func (r *project) facts() (estate.Facts, error) {
	names := slices.Sorted(maps.Keys(r.services))
	known := make(map[string][]string) // services by what others call them
	telemetry := make(map[string]bool)
	for _, name := range names {
		s := r.services[name]
		for _, called := range slices.Concat([]string{name, s.container, s.hostname}, s.aliases) {
			called = strings.ToLower(called)
			if called != "" && len(known[called]) < maxSharing && !slices.Contains(known[called], name) {
				known[called] = append(known[called], name)
			}
		}
		telemetry[name] = facts.Telemetry(name, s.image) != ""
	}
	for called := range known {
		// A name of its own is its own, whoever else claims it as an alias.
		if r.services[called] != nil {
			known[called] = []string{called}
		}
	}
	found := 0
	for _, name := range names {
		s := r.services[name]
		r.draft.Component(s.component(r.place, telemetry[name]))
		all := r.links(s, known)
		if found += len(all); found > maxLinks {
			return estate.Facts{}, facts.TooMuch("names of services in settings", maxLinks)
		}
		for _, l := range all {
			if telemetry[name] || telemetry[l.to] || facts.TelemetryPort(l.port) != "" {
				l.need = estate.Telemetry
			}
			to := estate.End{ID: r.place.ID(estate.Service, l.to)}
			switch {
			case l.outside != "":
				to = estate.End{Alias: l.outside}
			case r.services[l.to] == nil:
				r.draft.Doubt("%s needs %s, which is no service of the project", name, l.to)
				continue
			}
			r.draft.Link(estate.Link{From: estate.End{ID: r.place.ID(estate.Service, name)}, To: to,
				Need: l.need, Port: l.port, Evidence: []estate.Evidence{l.evidence}})
		}
	}
	r.cycles(names)
	return r.draft.Facts()
}

func (s *service) component(p facts.Place, telemetry bool) estate.Component {
	c := estate.Component{ID: p.ID(estate.Service, s.name), Listens: s.listens, Software: facts.Software(s.image)}
	c.Evidence = []estate.Evidence{s.at.Evidence(estate.Declared, line(s.line), "services."+s.name)}
	if a, ok := estate.NameAlias(s.hostname); ok {
		c.Aliases = append(c.Aliases, a)
	}
	if telemetry {
		c.Roles = append(c.Roles, estate.Collector)
	}
	return c
}

// A link is one from a service, before it is known what the other one is.
type link struct {
	to       string
	outside  estate.Alias // of a host, in the place of to
	need     estate.Need
	port     estate.Port
	evidence estate.Evidence
}

// links returns all that a service needs, in an order that depends on nothing
// but the files.
func (r *project) links(s *service, known map[string][]string) []link {
	var all []link
	for _, to := range slices.Sorted(maps.Keys(s.needs)) {
		n := s.needs[to]
		all = append(all, link{to: to, need: n.need, evidence: n.at.Evidence(estate.Declared, line(n.line), "services."+s.name+"."+n.how+" -> "+to)})
	}
	// Of what names another: a call, which nobody wrote down as one.
	mention := func(m facts.Mention, at facts.Place, number int, where string) {
		port := portOf(m)
		callees := known[m.Host]
		if to, ok := s.links[m.Host]; ok {
			callees = []string{to}
		}
		for _, to := range callees {
			if len(all) > maxLinks {
				return
			}
			all = append(all, link{to: to, need: estate.Run, port: port, evidence: at.Evidence(estate.Derived, line(number), where+" -> "+m.String())})
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.settings)) {
		v := s.settings[name]
		for _, m := range facts.Hosts(name, v.value) {
			mention(m, v.at, v.line, name)
			if isProject(v.at.Path) || len(known[m.Host]) > 0 || s.links[m.Host] != "" || len(all) > maxLinks {
				continue
			}
			if alias, ok := outside(m.Host); ok {
				all = append(all, link{outside: alias, need: estate.Run, port: portOf(m), evidence: v.at.Evidence(estate.Derived, line(v.line), name+" -> "+m.String())})
			}
		}
	}
	for _, key := range slices.Sorted(maps.Keys(s.commands)) {
		for _, w := range s.commands[key] {
			for _, m := range facts.CommandHosts(w.value) {
				mention(m, w.at, w.line, key)
			}
		}
	}
	texts := slices.Clone(s.texts)
	for _, name := range slices.Sorted(maps.Keys(s.configs)) {
		if t, ok := r.configs[name]; ok {
			texts = append(texts, t)
		}
	}
	for _, t := range texts {
		for _, m := range t.hosts() {
			mention(m.Mention, t.at, t.line+m.Line, t.name+", "+m.Setting)
		}
	}
	return all
}

// portOf returns the port that a mention has, if it has one.
func portOf(m facts.Mention) estate.Port {
	if m.Port == 0 {
		return estate.Port{}
	}
	return estate.Port{Number: m.Port, Protocol: "tcp"}
}

// outside returns the alias of a host that a file of settings names and that is
// no service: its address, or a name of DNS. What ends in .internal means something
// to docker, or to a cloud, and another thing on each host.
func outside(host string) (estate.Alias, bool) {
	if a, err := netip.ParseAddr(host); err == nil {
		return estate.AddressAlias(a)
	}
	if strings.HasSuffix(host, ".internal") {
		return "", false
	}
	return estate.NameAlias(host)
}

// cycles reports services that wait for each other: a ring for each need by
// which one is closed, up to maxRings.
func (r *project) cycles(names []string) {
	var path []string                // from where the search began
	place := make(map[string]int)    // in path, of those that are in it
	visited := make(map[string]bool) // and all that can be reached
	rings := 0
	var visit func(name string)
	visit = func(name string) {
		visited[name] = true
		place[name] = len(path)
		path = append(path, name)
		for _, to := range slices.Sorted(maps.Keys(r.services[name].needs)) {
			if r.services[to] == nil || r.services[name].needs[to].need != estate.Start || rings == maxRings {
				continue
			}
			if i, ok := place[to]; ok {
				rings++
				r.draft.Doubt("these wait for each other, and docker refuses the project for it: %s", strings.Join(append(path[i:len(path):len(path)], to), " -> "))
			} else if !visited[to] {
				visit(to)
			}
		}
		path = path[:len(path)-1]
		delete(place, name)
	}
	for _, name := range names {
		if !visited[name] {
			visit(name)
		}
	}
}

func line(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("line %d", n)
}
