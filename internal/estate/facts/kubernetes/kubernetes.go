// Package kubernetes reads what a cluster is told to run, from manifests in YAML
// or JSON: which workload needs which other one.
//
// The rule is that of np-guard's cluster-topology-analyzer: what a container's
// environment, arguments and configuration name and a Service answers to is what
// the Service selects. It differs in one thing: a word alone is taken for a name
// only where the setting says that it is a host's, as everywhere in package
// facts. A Service itself is no component unless nothing that it selects is
// there: it is a name of what it selects.
//
// What a workload takes from a ConfigMap as a whole, and others do too, is weak:
// that it could call all of them, not that it does. Such needs are soft.
//
// It does not promise to see calls that no manifest names, and there are estates
// that have nothing else. Secrets are not looked into.
package kubernetes

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

// maxSteps bounds what manifests that refer to each other many times over can
// cost: a comparison with what a Service selects, a link, or 64 bytes of a value
// that are looked through.
const maxSteps = 1_000_000

// maxFew bounds what an object has only a few of: labels, and ports of a Service.
const maxFew = 100

// Read returns the facts of the manifests in the files. What of them has the
// same name in different clusters is kept apart by the place's scope.
func Read(p facts.Place, files []facts.File) (estate.Facts, error) {
	c := cluster{place: p, workloads: make(map[key]*workload), services: make(map[key]*service), configs: make(map[key]*config), takers: make(map[key]map[key]bool)}
	for _, f := range files {
		docs, err := tree.Read(f.Data)
		if err != nil {
			return estate.Facts{}, fmt.Errorf("reading %s: %w", p.At(f).Path, err)
		}
		for _, doc := range docs {
			c.object(p.At(f), doc)
		}
	}
	if c.objects == 0 {
		return estate.Facts{}, errors.New("there is no Kubernetes manifest in this")
	}
	return c.facts()
}

// A key names an object within its kind.
type key struct{ namespace, name string }

func (k key) String() string { return k.namespace + "/" + k.name }

func (k key) compare(l key) int { return strings.Compare(k.String(), l.String()) }

// A cluster is what all the manifests say.
type cluster struct {
	place     facts.Place
	objects   int // of which it is known that they are some
	workloads map[key]*workload
	services  map[key]*service
	configs   map[key]*config
	fronts    []front
	takers    map[key]map[key]bool // of a whole config, the workloads
	byLabel   map[label][]key      // workloads
	steps     int
	draft     facts.Draft
}

// A workload is what makes pods.
type workload struct {
	key      key
	kind     string
	at       facts.Place
	line     int
	owner    string // kind and name of what made it, if anything did
	pod      *tree.Node
	ports    map[string]uint16 // by name
	tells    bool              // telemetry
	software estate.Software
}

// A label of a pod.
type label struct{ namespace, name, value string }

// A service is a name for pods.
type service struct {
	at       facts.Place
	line     int
	selects  []tree.Key
	ports    []*tree.Node
	external string
	found    []key // workloads, once they were looked for
	looked   bool
}

// A config is a ConfigMap.
type config struct {
	at    facts.Place
	data  []tree.Key
	index map[string]*tree.Node

	looked   bool // for hosts, once for all workloads
	mentions []found
}

// A found is a host that was found in a value, and where.
type found struct {
	facts.Mention
	line  int
	where string
}

// A front is where calls from outside come in: an Ingress, or what stands for
// one.
type front struct {
	key      key
	kind     string
	at       facts.Place
	line     int
	hosts    []string
	backends []backend
}

type backend struct {
	service key
	line    int
}

// object takes what matters of one manifest.
func (c *cluster) object(at facts.Place, n *tree.Node) {
	kind := n.Get("kind").String()
	if kind == "" || n.Get("apiVersion").String() == "" {
		return
	}
	c.objects++
	if items := n.Get("items"); strings.HasSuffix(kind, "List") && items != nil {
		for _, item := range items.List() {
			c.object(at, item)
		}
		return
	}
	k := key{n.Get("metadata", "namespace").String(), n.Get("metadata", "name").String()}
	if k.namespace == "" {
		k.namespace = "default"
	}
	if k.name == "" {
		return
	}
	spec := n.Get("spec")
	switch kind {
	case "Deployment", "StatefulSet", "DaemonSet", "ReplicaSet", "ReplicationController", "Job", "DeploymentConfig":
		c.workload(at, n, k, kind, spec.Get("template"))
	case "CronJob":
		c.workload(at, n, k, kind, spec.Get("jobTemplate", "spec", "template"))
	case "Pod":
		c.workload(at, n, k, kind, n)
	case "Service":
		s := &service{at: at, line: n.Line, selects: few(spec.Get("selector").Map()), ports: few(spec.Get("ports").List())}
		if spec.Get("type").String() == "ExternalName" {
			s.external = spec.Get("externalName").String()
		}
		c.services[k] = s
	case "ConfigMap":
		m := &config{at: at, data: n.Get("data").Map(), index: make(map[string]*tree.Node)}
		for _, entry := range m.data {
			m.index[entry.Name] = entry.Value
		}
		c.configs[k] = m
	case "Ingress", "HTTPRoute", "Route":
		c.front(at, n, k, kind)
	}
}

func few[T any](all []T) []T { return all[:min(len(all), maxFew)] }

// labels returns those of a workload's pods.
func (w *workload) labels() *tree.Node {
	return &tree.Node{Keys: few(w.pod.Get("metadata", "labels").Map())}
}

func (c *cluster) workload(at facts.Place, n *tree.Node, k key, kind string, template *tree.Node) {
	w := &workload{key: k, kind: kind, at: at, line: n.Line, pod: template, ports: make(map[string]uint16)}
	for _, container := range template.Get("spec", "containers").List() {
		for _, p := range container.Get("ports").List() {
			w.ports[p.Get("name").String()] = port(p.Get("containerPort").String())
		}
	}
	for _, o := range n.Get("metadata", "ownerReferences").List() {
		w.owner = o.Get("kind").String() + "/" + o.Get("name").String()
	}
	var image string
	if all := template.Get("spec", "containers").List(); len(all) > 0 {
		image = all[0].Get("image").String() // those after it often tell of this one
	}
	w.tells = facts.Telemetry(k.name, image) != ""
	w.software = facts.Software(image)
	c.workloads[k] = w
}

// front takes where an Ingress, a route of a Gateway or one of OpenShift leads.
func (c *cluster) front(at facts.Place, n *tree.Node, k key, kind string) {
	f := front{key: k, kind: kind, at: at, line: n.Line}
	add := func(name *tree.Node, namespace string) {
		if name.String() != "" {
			if namespace == "" {
				namespace = k.namespace
			}
			f.backends = append(f.backends, backend{key{namespace, name.String()}, name.Line})
		}
	}
	spec := n.Get("spec")
	for _, b := range []*tree.Node{spec.Get("defaultBackend"), spec.Get("backend")} {
		add(b.Get("service", "name"), "")
		add(b.Get("serviceName"), "")
	}
	for _, rule := range spec.Get("rules").List() {
		f.hosts = append(f.hosts, rule.Get("host").String())
		for _, path := range rule.Get("http", "paths").List() {
			add(path.Get("backend", "service", "name"), "")
			add(path.Get("backend", "serviceName"), "")
		}
		for _, b := range rule.Get("backendRefs").List() {
			add(b.Get("name"), b.Get("namespace").String())
		}
	}
	for _, h := range spec.Get("hostnames").List() {
		f.hosts = append(f.hosts, h.String())
	}
	if kind == "Route" {
		f.hosts = append(f.hosts, spec.Get("host").String())
		add(spec.Get("to", "name"), "")
	}
	c.fronts = append(c.fronts, f)
}

// facts returns the components and links.
func (c *cluster) facts() (estate.Facts, error) {
	kinds := make(map[string]bool)
	for k, w := range c.workloads {
		kinds[k.namespace+" "+w.kind+"/"+k.name] = true
	}
	// Pods that a Deployment made are not made by hand.
	maps.DeleteFunc(c.workloads, func(k key, w *workload) bool { return w.owner != "" && kinds[k.namespace+" "+w.owner] })

	c.byLabel = make(map[label][]key)
	all := slices.SortedFunc(maps.Keys(c.workloads), key.compare)
	for _, k := range all {
		w := c.workloads[k]
		for _, l := range w.labels().Map() {
			at := label{k.namespace, l.Name, l.Value.String()}
			c.byLabel[at] = append(c.byLabel[at], k)
		}
		for _, taken := range w.wholeConfigs() {
			if c.takers[taken] == nil {
				c.takers[taken] = make(map[key]bool)
			}
			c.takers[taken][k] = true
		}
	}
	for _, k := range all {
		w := c.workloads[k]
		c.draft.Component(c.component(w))
		c.needs(w)
		if c.steps > maxSteps {
			return estate.Facts{}, facts.TooMuch("steps from reference to reference", maxSteps)
		}
	}
	c.ingress()
	if c.steps > maxSteps {
		return estate.Facts{}, facts.TooMuch("steps from reference to reference", maxSteps)
	}
	return c.draft.Facts()
}

func (c *cluster) id(k key) estate.ID { return c.place.ID(estate.Service, k.String()) }

func (c *cluster) component(w *workload) estate.Component {
	comp := estate.Component{ID: c.id(w.key), Software: w.software, Evidence: []estate.Evidence{w.at.Evidence(estate.Declared, line(w.line), w.kind+" "+w.key.String())}}
	for _, container := range w.pod.Get("spec", "containers").List() {
		for _, p := range container.Get("ports").List() {
			protocol := "tcp"
			if p.Get("protocol").String() == "UDP" {
				protocol = "udp"
			}
			if number := port(p.Get("containerPort").String()); number != 0 {
				comp.Listens = append(comp.Listens, estate.Port{Number: number, Protocol: protocol})
			}
		}
	}
	if w.tells {
		comp.Roles = []estate.Role{estate.Collector}
	}
	return comp
}

// wholeConfigs returns the ConfigMaps that a workload takes as a whole.
func (w *workload) wholeConfigs() []key {
	var all []key
	for _, list := range []string{"initContainers", "containers"} {
		for _, container := range w.pod.Get("spec", list).List() {
			for _, from := range container.Get("envFrom").List() {
				all = append(all, key{w.key.namespace, from.Get("configMapRef", "name").String()})
			}
		}
	}
	for _, v := range w.pod.Get("spec", "volumes").List() {
		for _, m := range mounted(v) {
			all = append(all, key{w.key.namespace, m.Get("name").String()})
		}
	}
	return all
}

// mounted returns the ConfigMaps of a volume, by themselves or with others.
func mounted(volume *tree.Node) []*tree.Node {
	var all []*tree.Node
	if m := volume.Get("configMap"); m != nil {
		all = append(all, m)
	}
	for _, source := range volume.Get("projected", "sources").List() {
		if m := source.Get("configMap"); m != nil {
			all = append(all, m)
		}
	}
	return all
}

// needs links a workload with what it names.
func (c *cluster) needs(w *workload) {
	spec := w.pod.Get("spec")
	for _, list := range []string{"initContainers", "containers"} {
		for _, container := range spec.Get(list).List() {
			need := estate.Run
			// What waits before the others start is a condition for that.
			if list == "initContainers" && container.Get("restartPolicy").String() != "Always" {
				need = estate.Start
			}
			c.container(w, container, need)
		}
	}
	for _, v := range spec.Get("volumes").List() {
		for _, m := range mounted(v) {
			c.config(w, key{w.key.namespace, m.Get("name").String()}, estate.Run)
		}
	}
}

func (c *cluster) container(w *workload, n *tree.Node, need estate.Need) {
	for _, e := range n.Get("env").List() {
		name := e.Get("name").String()
		if v := e.Get("value"); v != nil {
			c.setting(w, w.at, name, v, need)
		}
		if ref := e.Get("valueFrom", "configMapKeyRef"); ref != nil {
			if from := c.configs[key{w.key.namespace, ref.Get("name").String()}]; from != nil {
				if v := from.index[ref.Get("key").String()]; v != nil {
					c.setting(w, from.at, name, v, need)
				}
			}
		}
	}
	for _, from := range n.Get("envFrom").List() {
		c.config(w, key{w.key.namespace, from.Get("configMapRef", "name").String()}, need)
	}
	var words []string
	line := 0
	for _, list := range []string{"command", "args"} {
		for _, word := range n.Get(list).List() {
			words = append(words, word.String())
			if line == 0 {
				line = word.Line
			}
		}
	}
	for _, m := range facts.CommandHosts(strings.Join(words, " ")) {
		c.mention(w, m, need, w.at, line, "command")
	}
}

// config links a workload with what a ConfigMap names that it takes as a whole.
func (c *cluster) config(w *workload, k key, need estate.Need) {
	from := c.configs[k]
	if from == nil {
		return
	}
	if len(c.takers[k]) > 1 {
		need = estate.Soft
	}
	for _, m := range from.hosts() {
		c.mention(w, m.Mention, need, from.at, m.line, m.where)
	}
}

// hosts returns what a ConfigMap names as a whole: settings, and files of them.
func (m *config) hosts() []found {
	if m.looked {
		return m.mentions
	}
	m.looked = true
	for _, entry := range m.data {
		text := entry.Value.String()
		if !strings.Contains(text, "\n") {
			for _, h := range facts.Hosts(entry.Name, text) {
				m.mentions = append(m.mentions, found{h, entry.Value.Line, entry.Name})
			}
			continue
		}
		for _, h := range facts.TextHosts(text) {
			m.mentions = append(m.mentions, found{h.Mention, entry.Value.Line + h.Line, entry.Name + ", " + h.Setting})
		}
	}
	return m.mentions
}

func (c *cluster) setting(w *workload, at facts.Place, name string, value *tree.Node, need estate.Need) {
	if c.steps += len(value.String()) / 64; c.steps > maxSteps {
		return
	}
	for _, m := range facts.Hosts(name, value.String()) {
		c.mention(w, m, need, at, value.Line, name)
	}
}

// mention links a workload with what a host name means to it.
func (c *cluster) mention(w *workload, m facts.Mention, need estate.Need, at facts.Place, number int, where string) {
	k, s := c.named(w.key.namespace, m.Host)
	if s == nil || c.steps > maxSteps {
		return
	}
	evidence := []estate.Evidence{at.Evidence(estate.Derived, line(number), where+" -> "+m.String())}
	from := estate.End{ID: c.id(w.key)}
	tells := w.tells || facts.TelemetryPort(estate.Port{Number: m.Port, Protocol: "tcp"}) != ""
	link := func(to estate.End, number uint16, tells bool) {
		l := estate.Link{From: from, To: to, Need: need, Evidence: evidence}
		if number != 0 {
			l.Port = estate.Port{Number: number, Protocol: "tcp"}
		}
		if tells {
			l.Need = estate.Telemetry
		}
		c.draft.Link(l)
	}
	found := c.selected(k, s)
	c.steps += len(found) + 1
	for _, other := range found {
		o := c.workloads[other]
		link(estate.End{ID: c.id(other)}, s.target(m.Port, o), tells || o.tells)
	}
	if len(found) > 0 {
		return
	}
	if a, ok := estate.NameAlias(s.external); ok {
		link(estate.End{Alias: a}, m.Port, tells)
		return
	}
	// Something else answers to it, or its workload was not given to read.
	c.draft.Component(estate.Component{ID: c.id(k), Evidence: []estate.Evidence{s.at.Evidence(estate.Declared, line(s.line), "Service "+k.String())}})
	link(estate.End{ID: c.id(k)}, m.Port, tells || facts.Telemetry(k.name) != "")
}

// named returns the Service that a host name means within a namespace: svc,
// svc.namespace, svc.namespace.svc and so on, or a pod of one before these.
func (c *cluster) named(namespace, host string) (key, *service) {
	for range 2 {
		labels := strings.SplitN(host, ".", 4)
		k := key{namespace, labels[0]}
		if len(labels) > 1 {
			k.namespace = labels[1]
		}
		if s := c.services[k]; s != nil && (len(labels) < 3 || labels[2] == "svc") {
			return k, s
		}
		_, after, ok := strings.Cut(host, ".")
		if !ok {
			break
		}
		host = after
	}
	return key{}, nil
}

// selected returns the workloads whose pods a Service selects.
func (c *cluster) selected(k key, s *service) []key {
	if s.looked || len(s.selects) == 0 {
		return s.found
	}
	s.looked = true
	first := s.selects[0]
	for _, candidate := range c.byLabel[label{k.namespace, first.Name, first.Value.String()}] {
		if c.steps++; c.steps > maxSteps {
			return s.found
		}
		labels := c.workloads[candidate].labels()
		if !slices.ContainsFunc(s.selects, func(l tree.Key) bool {
			v := labels.Get(l.Name)
			return v == nil || v.String() != l.Value.String()
		}) {
			s.found = append(s.found, candidate)
		}
	}
	return s.found
}

// target returns the port of a workload that a port of a Service leads to, or
// that port if it does not say.
func (s *service) target(number uint16, w *workload) uint16 {
	for _, p := range s.ports {
		if number == 0 || port(p.Get("port").String()) != number {
			continue
		}
		target := p.Get("targetPort").String()
		if n := port(target); n != 0 {
			return n
		}
		if n := w.ports[target]; n != 0 {
			return n
		}
	}
	return number
}

// ingress links what lets calls in with what they go to.
func (c *cluster) ingress() {
	used := make(map[string]int)
	for _, f := range c.fronts {
		for _, h := range f.hosts {
			used[strings.ToLower(h)]++
		}
	}
	for _, f := range c.fronts {
		id := c.place.ID(estate.Resource, f.key.namespace+"/"+strings.ToLower(f.kind)+"/"+f.key.name)
		comp := estate.Component{ID: id, Evidence: []estate.Evidence{f.at.Evidence(estate.Declared, line(f.line), f.kind+" "+f.key.String())}}
		for _, h := range f.hosts {
			// One host in two of them is no name of either.
			if a, ok := estate.NameAlias(h); ok && used[strings.ToLower(h)] == 1 {
				comp.Aliases = append(comp.Aliases, a)
			}
		}
		c.draft.Component(comp)
		for _, b := range f.backends {
			s := c.services[b.service]
			if s == nil {
				c.draft.Doubt("%s %s leads to the Service %s, which was not given to read", f.kind, f.key, b.service)
				continue
			}
			for _, to := range c.selected(b.service, s) {
				if c.steps++; c.steps > maxSteps {
					return
				}
				need := estate.Run
				if c.workloads[to].tells {
					need = estate.Telemetry
				}
				c.draft.Link(estate.Link{From: estate.End{ID: id}, To: estate.End{ID: c.id(to)}, Need: need,
					Evidence: []estate.Evidence{f.at.Evidence(estate.Declared, line(b.line), "backend -> "+b.service.String())}})
			}
		}
	}
}

// port reads a number of a port; 0 is for what is none.
func port(s string) uint16 {
	n, err := strconv.ParseUint(s, 10, 16)
	if err != nil {
		return 0
	}
	return uint16(n)
}

func line(n int) string { return "line " + strconv.Itoa(n) }
