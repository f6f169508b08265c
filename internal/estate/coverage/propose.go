package coverage

import (
	"cmp"
	"fmt"
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
	Reads    []Reading
}

// A Reading is a source that pulls files of a host already, all of them below the
// paths that it includes.
type Reading struct {
	Source  safe.SourceName
	Include []string
}

// A Proposal is what closes a miss.
type Proposal struct {
	For  Item   `json:"for"`
	Says string `json:"says"` // what it comes to
	// Source and Component are YAML: entries to put below sources: in the
	// configuration, and one to put below what Below says, or into what is there of
	// it. They are empty if that need not change.
	Source    string `json:"source,omitempty"`
	Component string `json:"component,omitempty"`
	Below     string `json:"below,omitempty"` // components or applications
	// First are commands for who keeps the safe; then OnHost those for root on the
	// component's host, which need what the first ones show; and OnSafe, once the
	// configuration has changed.
	First  []string `json:"first,omitempty"`
	OnHost []string `json:"on_host,omitempty"`
	OnSafe []string `json:"on_safe,omitempty"`
	// Open is what a person has to fill in: keys that have only a comment in the
	// YAML, and words in capitals in the commands.
	Open []string `json:"open,omitempty"`
}

// Propose returns what closes each miss of a report, in its order. reach tells
// how the safe gets into the host of a component and reads files there, if it
// does already.
//
// Nothing proposed gives the safe more of a host than it needs for that: what
// only root may read is not opened to it, and an account for a dump can do
// nothing else. Names on the map are others' words: whatever they are, the YAML
// and the commands mean the same.
func Propose(in Input, r Report, reach func(estate.ID) (Reach, bool)) []Proposal {
	taken := make(map[safe.SourceName]bool)
	for name := range in.Sources {
		taken[name] = true
	}
	var all []Proposal
	for _, item := range r.Items {
		switch {
		case item.State == Missing && item.Source == "":
			all = append(all, in.proposeSources(item, reach, taken))
		case item.State == Missing || item.State == Stale:
			all = append(all, Proposal{For: item, Says: "Collect it. If only a part is kept, the warnings say what lacks; if it was not collected at all: does the timer run?",
				OnSafe: []string{fmt.Sprintf("strongroom collect %s", item.Source), "systemctl list-timers 'strongroom*'"}})
		case item.State == Unproven && !in.scrubbed(item.Source):
			all = append(all, Proposal{For: item, Says: "Read the store for damage.", OnSafe: []string{"strongroom scrub --repair"}})
		case item.State == Unproven:
			all = append(all, Proposal{For: item, Says: "Restore it, see whether it is right, and say so with a record: ask for an opening.",
				OnSafe: []string{fmt.Sprintf("strongroom opening request --snapshot %s --reason %s", item.Source, shellQuote("rehearsal of "+r.Application.Name()))}})
		}
	}
	return all
}

func (in Input) scrubbed(name safe.SourceName) bool {
	return slices.ContainsFunc(in.Sources[name].Snapshots, func(s Snapshot) bool { return s.Finished.Before(in.Scrubbed) })
}

// proposeSources proposes to collect what nothing is collected of, or to say in
// which source it is already.
func (in Input) proposeSources(item Item, reach func(estate.ID) (Reach, bool), taken map[safe.SourceName]bool) Proposal {
	c, _ := in.Map.Component(item.Component)
	p := Proposal{For: item}
	into, known := reach(item.Component)
	declared, inFile := declarationOf(c)
	held := make(map[config.Matter][]safe.SourceName)
	var files safe.SourceName // the first that logs in to read files
	for _, r := range in.recipesFor(item, c) {
		if r.matter == config.Configuration && inFile && in.Sources[declared.source].Files {
			held[r.matter] = append(held[r.matter], declared.source)
			p.say("The file that declares it is in source %s already.", declared.source)
			continue
		}
		if r.dump == nil && len(r.include) > 0 {
			var by []safe.SourceName
			if r.include, by = into.unread(r.include); len(by) > 0 {
				held[r.matter] = append(held[r.matter], by...)
				p.say("Source %s has the %s of it already.", listOf(by), r.matter)
				if !slices.ContainsFunc(r.include, isSure) { // a source of nothing but what is not there keeps nothing
					for _, line := range r.include {
						p.say("If there is anything at %s, include that there, too.", strings.TrimSuffix(line, anything))
					}
					continue
				}
			}
		}
		s := draft{name: nameFor(item.Component, r.suffix, taken), recipe: r, into: into, known: known, near: hostOf(c)}
		taken[s.name], s.keyOf = true, s.name
		if r.dump == nil {
			files = cmp.Or(files, s.name)
			s.keyOf = files
		}
		held[r.matter] = append(held[r.matter], s.name)
		p.say("Collect the %s of %s as source %s.", r.matter, item.Component, s.name)
		for _, note := range r.notes {
			p.say("%s", note)
		}
		s.write(&p)
	}
	p.Below, p.Component = in.holding(item, held)
	return p
}

// anything ends a line of include that matches nothing where there is nothing.
const anything = "/**"

// isSure reports whether what a line of include names is on all such hosts.
func isSure(line string) bool { return !strings.HasSuffix(line, anything) }

// unread returns which of the paths no source reads yet, and which sources read
// the others.
func (r Reach) unread(paths []string) (left []string, by []safe.SourceName) {
	for _, p := range paths {
		i := slices.IndexFunc(r.Reads, func(one Reading) bool {
			return slices.ContainsFunc(one.Include, func(line string) bool { return isBelow(p, line) })
		})
		switch {
		case i < 0:
			left = append(left, p)
		case !slices.Contains(by, r.Reads[i].Source):
			by = append(by, r.Reads[i].Source)
		}
	}
	return left, by
}

// isBelow reports whether a line of include pulls all that is at a path: it is
// that path, or a folder above it. What has wildcards is not looked into.
func isBelow(path, line string) bool {
	if strings.ContainsAny(line, `*?[\`) {
		return path == line
	}
	return strings.HasPrefix(path+"/", strings.TrimSuffix(line, "/")+"/")
}

func listOf(names []safe.SourceName) string {
	words := make([]string, len(names))
	for i, n := range names {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

func (p *Proposal) say(format string, args ...any) {
	if p.Says != "" {
		p.Says += " "
	}
	p.Says += fmt.Sprintf(format, args...)
}

// open adds what a person has to fill in.
func (p *Proposal) open(words ...string) {
	for _, word := range words {
		if !slices.Contains(p.Open, word) {
			p.Open = append(p.Open, word)
		}
	}
}

// holding writes what the safe must hold for a component, with the sources that
// have it.
func (in Input) holding(item Item, held map[config.Matter][]safe.SourceName) (below, yaml string) {
	below, name := "components", string(item.Component)
	if item.Component.Kind() == estate.Application {
		below, name = "applications", item.Component.Name()
	}
	var b strings.Builder
	fmt.Fprintf(&b, "  %s:\n    must_hold:\n", quote(name))
	said := in.Said[item.Component].MustHold
	for _, m := range config.Matters {
		var words []string
		named := len(held[m]) > 0
		for _, h := range said {
			if h.Matter == m {
				named = true
				for _, s := range h.Sources {
					words = append(words, string(s))
				}
				words = append(words, h.People...)
			}
		}
		for _, s := range held[m] {
			words = append(words, string(s))
		}
		switch {
		case len(words) > 0:
			fmt.Fprintf(&b, "      %s: [ %s ]\n", m, quoteAll(words))
		case named:
			fmt.Fprintf(&b, "      %s: missing\n", m)
		}
	}
	return below, b.String()
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
	if name := c.ID.Name(); c.ID.Kind() == estate.Host && estate.IsHostName(name) {
		return name
	}
	return "its-host"
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
