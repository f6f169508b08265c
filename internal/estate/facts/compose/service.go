package compose

import (
	"path"
	"slices"
	"strconv"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/tree"
)

// maxFollowed is how often a file or a service may lead to another one.
const maxFollowed = 10

// service merges what one file says of a service into what is known of it.
func (r *project) service(f facts.File, services *tree.Node, k tree.Key, depth int) {
	s := r.services[k.Name]
	if s == nil {
		s = &service{name: k.Name, at: r.place.At(f), line: k.Line, needs: make(map[string]need), links: make(map[string]string),
			settings: make(map[string]setting), commands: make(map[string][]setting), configs: make(map[string]bool)}
		r.services[k.Name] = s
	}
	r.merge(s, f, services, k.Value, 0)
}

// merge reads the keys of one service that say something of others. What it
// extends comes first, so that its own words win.
func (r *project) merge(s *service, f facts.File, services, n *tree.Node, depth int) {
	if e := n.Get("extends"); e != nil && depth < maxFollowed {
		r.extend(s, f, services, e, depth)
	}
	at := r.place.At(f)
	if v := r.values.expand(n.Get("image").String()); v != "" {
		s.image = v
	}
	if v := r.values.expand(n.Get("container_name").String()); v != "" {
		s.container = v
	}
	if v := r.values.expand(n.Get("hostname").String()); v != "" {
		s.hostname = v
		if domain := r.values.expand(n.Get("domainname").String()); domain != "" {
			s.hostname += "." + domain
		}
	}
	if v := n.Get("networks"); v != nil {
		for _, k := range v.Map() {
			for _, alias := range k.Value.Get("aliases").List() {
				s.aliases = append(s.aliases, r.values.expand(alias.String()))
			}
		}
	}
	r.needs(s, at, n)
	r.ports(s, n)
	for _, name := range r.settingFiles(n.Get("env_file")) {
		if other, ok := r.files[beside(f.Path, name)]; ok {
			r.settingFile(s, other)
		} else {
			r.draft.Doubt("%s takes settings from %s, which was not given to read", s.name, shown(name))
		}
	}
	env := n.Get("environment")
	if replaced(env) {
		clear(s.settings)
	}
	for _, e := range entries(env) {
		v := e.Value.String()
		if e.Value.Is(tree.Null) {
			v = r.values.known[e.Name] // docker takes it from .env
			r.values.spent += len(v)
		} else {
			v = r.values.expand(v)
		}
		s.settings[e.Name] = setting{v, at, e.Line}
	}
	for _, key := range []string{"command", "entrypoint"} {
		if v := n.Get(key); v != nil {
			s.commands[key] = nil
			var words []string
			for _, item := range v.List() {
				words = append(words, r.values.expand(item.String()))
			}
			// Words of a list belong together: --host and what follows it.
			s.commands[key] = append(s.commands[key], setting{r.values.expand(v.String()) + strings.Join(words, " "), at, v.Line})
		}
	}
	for _, c := range n.Get("configs").List() {
		if c.Is(tree.Scalar) {
			s.configs[c.Text] = true
		} else {
			s.configs[c.Get("source").String()] = true
		}
	}
	for _, v := range n.Get("volumes").List() {
		if content := v.Get("content"); content != nil {
			s.texts = append(s.texts, &text{name: path.Base(v.Get("target").String()), content: r.values.expand(content.String()), at: at, line: content.Line})
		}
	}
}

// replaced reports whether a key takes the place of what files before said,
// instead of being added to it.
func replaced(n *tree.Node) bool { return n != nil && (n.Tag == "!override" || n.Tag == "!reset") }

// extend reads the service that another one is made from.
func (r *project) extend(s *service, f facts.File, services, e *tree.Node, depth int) {
	name := e.String()
	if e.Is(tree.Map) {
		name = e.Get("service").String()
		if file := e.Get("file").String(); file != "" {
			docs := r.parsed[beside(f.Path, file)]
			if len(docs) == 0 {
				r.draft.Doubt("%s extends a service of %s, which was not given to read", s.name, shown(file))
				return
			}
			f, services = r.files[beside(f.Path, file)], docs[0].Get("services")
		}
	}
	base := services.Get(name)
	if r.values.spent += size(base); base != nil && r.values.spent <= maxValues {
		r.merge(s, f, services, base, depth+1)
	}
}

// size is about what a copy of a part of a file takes, in bytes.
func size(n *tree.Node) int {
	if n == nil {
		return 0
	}
	bytes := 100 + len(n.Text)
	for _, i := range n.Items {
		bytes += size(i)
	}
	for _, k := range n.Keys {
		bytes += len(k.Name) + size(k.Value)
	}
	return bytes
}

// needs reads what a service is started after.
func (r *project) needs(s *service, at facts.Place, n *tree.Node) {
	add := func(to, how string, line int, kind estate.Need) {
		if to != "" && to != s.name {
			s.needs[to] = need{kind, at, line, how}
		}
	}
	depends := n.Get("depends_on")
	if replaced(depends) {
		for to, n := range s.needs {
			if n.how == "depends_on" {
				delete(s.needs, to)
			}
		}
	}
	for _, item := range depends.List() {
		add(item.String(), "depends_on", item.Line, estate.Start)
	}
	for _, k := range depends.Map() {
		kind := estate.Start
		if k.Value.Get("required").String() == "false" {
			kind = estate.Soft
		}
		add(k.Name, "depends_on", k.Line, kind)
	}
	for _, item := range n.Get("links").List() {
		to, alias, _ := strings.Cut(item.String(), ":")
		add(to, "links", item.Line, estate.Start)
		if alias != "" {
			s.links[strings.ToLower(alias)] = to
		}
	}
	for _, item := range n.Get("volumes_from").List() {
		if from := item.String(); !strings.HasPrefix(from, "container:") {
			to, _, _ := strings.Cut(from, ":")
			add(to, "volumes_from", item.Line, estate.Start)
		}
	}
	for _, key := range []string{"network_mode", "pid", "ipc"} {
		if v := n.Get(key); v != nil {
			if to, ok := strings.CutPrefix(v.String(), "service:"); ok {
				add(to, key, v.Line, estate.Start)
			}
		}
	}
}

// ports reads where a service listens, in its container.
func (r *project) ports(s *service, n *tree.Node) {
	for _, key := range []string{"ports", "expose"} {
		for _, item := range n.Get(key).List() {
			text := r.values.expand(item.String())
			protocol := "tcp"
			if item.Is(tree.Map) {
				text = r.values.expand(item.Get("target").String())
				if item.Get("protocol").String() == "udp" {
					protocol = "udp"
				}
			}
			text, after, _ := strings.Cut(text, "/")
			if after == "udp" {
				protocol = "udp"
			}
			text = text[strings.LastIndexByte(text, ':')+1:]
			if number, err := strconv.ParseUint(text, 10, 16); err == nil && number != 0 {
				s.listens = append(s.listens, estate.Port{Number: uint16(number), Protocol: protocol})
			}
		}
	}
}

// settingFiles returns the names of files of settings.
func (r *project) settingFiles(n *tree.Node) []string {
	var all []string
	for _, item := range append(n.List(), n) {
		switch {
		case item.Is(tree.Scalar):
			all = append(all, r.values.expand(item.Text))
		case item.Is(tree.Map):
			all = append(all, r.values.expand(item.Get("path").String()))
		}
	}
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

// settingFile reads a file of settings, with the project's values in it.
func (r *project) settingFile(s *service, f facts.File) {
	if r.values.spent += len(f.Data); r.values.spent > maxValues {
		return
	}
	inner := values{outer: &r.values, spent: r.values.spent}
	inner.read(string(f.Data))
	for name, v := range inner.known {
		s.settings[name] = setting{v, r.place.At(f), inner.lines[name]}
	}
	r.values.spent = inner.spent
}

// entries returns a map, or the list of NAME=VALUE that stands for one. A NAME
// alone has null for its value.
func entries(n *tree.Node) []tree.Key {
	all := slices.Clone(n.Map())
	for _, item := range n.List() {
		name, v, ok := strings.Cut(item.String(), "=")
		value := &tree.Node{Line: item.Line}
		if ok {
			value.Kind, value.Text = tree.Scalar, v
		}
		all = append(all, tree.Key{Name: name, Line: item.Line, Value: value})
	}
	return all
}
