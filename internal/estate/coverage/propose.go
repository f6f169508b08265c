package coverage

import (
	"fmt"
	"path"
	"slices"
	"strings"

	"strongroom/internal/estate"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// A Reach is how the safe gets into a host already, as the configuration writes
// it.
type Reach struct {
	Host     string   // user@name
	HostKeys []string // such as ssh-ed25519 AAAA...
	Key      string   // where the private key is: file:/...
}

// A Proposal is what closes a miss.
type Proposal struct {
	For  Item   `json:"for"`
	Says string `json:"says"` // what it comes to
	// Source and Component are YAML: an entry to put below sources: in the
	// configuration, and one below components:, or into the component that is
	// there. They are empty if the configuration need not change.
	Source    string `json:"source,omitempty"`
	Component string `json:"component,omitempty"`
	// OnHost are commands for root on the component's host, OnSafe for who keeps
	// the safe.
	OnHost []string `json:"on_host,omitempty"`
	OnSafe []string `json:"on_safe,omitempty"`
	// Open is what a person has to fill in first: the YAML has comments in these
	// places.
	Open []string `json:"open,omitempty"`
}

// Propose returns what closes each miss of a report, in its order. reach tells
// how the safe gets into the host of a component, if it does already.
func Propose(in Input, r Report, reach func(estate.ID) (Reach, bool)) []Proposal {
	taken := make(map[safe.SourceName]bool)
	for name := range in.Sources {
		taken[name] = true
	}
	var all []Proposal
	for _, item := range r.Items {
		switch {
		case item.State == Missing && item.Source == "":
			all = append(all, in.proposeSource(item, reach, taken))
		case item.State == Missing || item.State == Stale:
			all = append(all, Proposal{For: item, Says: "Collect it, and see why that was not done: does the timer run?",
				OnSafe: []string{fmt.Sprintf("strongroom collect %s", item.Source), "systemctl list-timers 'strongroom*'"}})
		case item.State == Unproven && !in.scrubbed(item.Source):
			all = append(all, Proposal{For: item, Says: "Read the store for damage.", OnSafe: []string{"strongroom scrub --repair"}})
		case item.State == Unproven:
			all = append(all, Proposal{For: item, Says: "Restore it, and see whether it is right: ask for an opening.",
				OnSafe: []string{fmt.Sprintf("strongroom opening request --snapshot %s --reason 'rehearsal of %s'", item.Source, r.Application.Name())}})
		}
	}
	return all
}

func (in Input) scrubbed(name safe.SourceName) bool {
	return slices.ContainsFunc(in.Sources[name].Snapshots, func(s Snapshot) bool { return s.Finished.Before(in.Scrubbed) })
}

// A recipe is what would be pulled of a component.
type recipe struct {
	suffix  string
	matter  config.Matter
	include []string // paths; or else
	dump    string   // the command that the host runs
	entry   string   // what its output is called
	ends    string   // how that ends
}

// recipeOf chooses what would be pulled, by what the component does for others.
func (in Input) recipeOf(c estate.Component) recipe {
	ports := make(map[uint16]bool)
	for _, p := range c.Listens {
		ports[p.Number] = true
	}
	for _, d := range in.Map.NeededBy(c.ID) {
		for _, p := range d.Ports {
			ports[p.Number] = true
		}
	}
	name := c.ID.Name()
	switch {
	case ports[5432] || strings.Contains(name, "postgres"):
		return recipe{suffix: "db", matter: config.Data, dump: "pg_dumpall --no-role-passwords --no-password", entry: "postgresql.sql", ends: "-- PostgreSQL database cluster dump complete"}
	case ports[3306] || strings.Contains(name, "mariadb") || strings.Contains(name, "mysql"):
		return recipe{suffix: "db", matter: config.Data, dump: "mariadb-dump --all-databases --single-transaction --routines --events", entry: "mariadb.sql", ends: "-- Dump completed"}
	case slices.Contains(c.Roles, estate.Directory):
		return recipe{suffix: "directory", matter: config.Data, dump: "slapcat", entry: "directory.ldif"}
	case slices.Contains(c.Roles, estate.DNS):
		return recipe{suffix: "zones", matter: config.Data, include: []string{"/etc/bind", "/var/lib/bind"}}
	case c.ID.Kind() == estate.Host:
		return recipe{suffix: "conf", matter: config.Configuration, include: []string{"/etc", "/usr/local"}}
	}
	if folder, ok := projectOf(c); ok {
		return recipe{suffix: "files", matter: config.Configuration, include: []string{folder}}
	}
	return recipe{suffix: "files", matter: config.Data}
}

// projectOf returns the folder in which the file lies that declares a component.
func projectOf(c estate.Component) (string, bool) {
	for _, e := range c.Evidence {
		file, _, _ := strings.Cut(e.Place, ": ")
		if e.Basis == estate.Declared && (strings.HasSuffix(file, ".yaml") || strings.HasSuffix(file, ".yml")) {
			return path.Dir(path.Join("/", file)), true
		}
	}
	return "", false
}

// proposeSource proposes to collect what nothing is collected of.
func (in Input) proposeSource(item Item, reach func(estate.ID) (Reach, bool), taken map[safe.SourceName]bool) Proposal {
	c, _ := in.Map.Component(item.Component)
	r := in.recipeOf(c)
	if item.Matter != "" {
		r.matter = item.Matter
		r.suffix = string(item.Matter)
		if item.Matter != config.Data && item.Matter != config.Configuration {
			r.include, r.dump = nil, ""
		}
	}
	p := Proposal{For: item}
	name := nameFor(item.Component, r.suffix, taken)
	taken[name] = true
	into, known := reach(item.Component)
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n", name)
	kind := "sftp"
	if r.dump != "" {
		kind = "command"
	}
	fmt.Fprintf(&b, "    kind: %s\n", kind)
	if known {
		fmt.Fprintf(&b, "    host: %s\n    host_key: [ %s ]\n    key: %s\n", quote(into.Host), quoteAll(into.HostKeys), quote(into.Key))
	} else {
		p.Open = append(p.Open, "host, host_key, key")
		fmt.Fprintf(&b, "    host: # strongroom@%s\n    host_key: # the line of its /etc/ssh/ssh_host_ed25519_key.pub\n    key: # file: with the path of the key to log in with\n", hostOf(c))
	}
	switch {
	case r.dump != "":
		fmt.Fprintf(&b, "    name: %s\n", r.entry)
		if r.ends != "" {
			fmt.Fprintf(&b, "    ends_with: %s\n", quote(r.ends))
		}
	case len(r.include) > 0:
		fmt.Fprintf(&b, "    include: [ %s ]\n", quoteAll(r.include))
	default:
		p.Open = append(p.Open, "include")
		b.WriteString("    include: # the paths of what it keeps\n")
	}
	p.Source = b.String()
	p.Component = in.holding(item, r.matter, name)
	p.Says = fmt.Sprintf("Collect the %s of %s as source %s.", r.matter, item.Component, name)
	if r.dump != "" {
		p.OnHost = []string{
			fmt.Sprintf("printf '#!/bin/sh\\nexec %s\\n' >/usr/local/sbin/strongroom-%s", r.dump, r.suffix),
			fmt.Sprintf("chmod 0755 /usr/local/sbin/strongroom-%s", r.suffix),
			fmt.Sprintf("# in /etc/ssh/strongroom.keys, before a key of its own: restrict,from=\"ADDRESS OF THE SAFE\",command=\"/usr/local/sbin/strongroom-%s\"", r.suffix),
		}
		if known { // one key runs one command
			p.Source = strings.Replace(p.Source, "    key: "+quote(into.Key), fmt.Sprintf("    key: file:/etc/strongroom/secrets/%s.key", name), 1)
		}
	} else {
		for _, folder := range r.include {
			p.OnHost = append(p.OnHost, fmt.Sprintf("setfacl -R -m u:strongroom:rX -m d:u:strongroom:rX %s", shellQuote(folder)))
		}
	}
	if !known || r.dump != "" {
		p.OnSafe = append(p.OnSafe, fmt.Sprintf("ssh-keygen -t ed25519 -N '' -C strongroom -f /etc/strongroom/secrets/%s.key", name))
	}
	p.OnSafe = append(p.OnSafe, fmt.Sprintf("strongroom collect %s", name))
	return p
}

// holding writes what the safe must hold for a component, with the new source.
func (in Input) holding(item Item, matter config.Matter, name safe.SourceName) string {
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n    must_hold:\n", quote(string(item.Component)))
	added := false
	for _, h := range in.Said[item.Component].MustHold {
		var words []string
		for _, s := range h.Sources {
			words = append(words, string(s))
		}
		words = append(words, h.People...)
		if h.Matter == matter {
			words, added = append(words, string(name)), true
		}
		if len(words) == 0 {
			fmt.Fprintf(&b, "      %s: missing\n", h.Matter)
			continue
		}
		fmt.Fprintf(&b, "      %s: [ %s ]\n", h.Matter, quoteAll(words))
	}
	if !added {
		fmt.Fprintf(&b, "      %s: [ %s ]\n", matter, name)
	}
	return b.String()
}

// nameFor returns a name of a source that is not taken.
func nameFor(id estate.ID, suffix string, taken map[safe.SourceName]bool) safe.SourceName {
	word := strings.Map(func(r rune) rune {
		if 'a' <= r && r <= 'z' || '0' <= r && r <= '9' {
			return r
		}
		return '-'
	}, strings.ToLower(id.Name()))
	word = strings.Trim(word, "-")
	if len(word) > 40 {
		word = strings.Trim(word[len(word)-40:], "-")
	}
	if word == "" {
		word = "component"
	}
	name := safe.SourceName(word + "-" + suffix)
	for n := 2; taken[name]; n++ {
		name = safe.SourceName(fmt.Sprintf("%s-%s-%d", word, suffix, n))
	}
	return name
}

// hostOf returns a name by which the host of a component may be reached.
func hostOf(c estate.Component) string {
	for _, a := range c.Aliases {
		if host, _ := a.Host(); !strings.HasPrefix(string(host), "machine:") {
			return string(host)
		}
	}
	return path.Base(c.ID.Name())
}

// quote writes a word of YAML, which JSON's quotation marks keep whole.
func quote(s string) string { return fmt.Sprintf("%q", s) }

func quoteAll(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = quote(w)
	}
	return strings.Join(quoted, ", ")
}

func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
