package main

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/estate"
	"strongroom/internal/estate/export"
	"strongroom/internal/estate/order"
	"strongroom/internal/ui"
)

func (a *app) mapCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "map COMMAND",
		Short: "Show what depends on what, and why the safe thinks so",
		Long: `The map has the components of the estate and what each of them needs. It is
drawn of what passes by when sources are collected (configuration, sockets,
projects of compose), of what APIs know, and of what people say: in components:
and applications: of the configuration, which win, or with commands, which are
recorded in the ledger.`,
	}, a.mapShowCommand(), a.mapDiscoverCommand(), a.mapOrderCommand(), a.mapForestCommand(), a.mapExplainCommand(), a.mapDiffCommand(), a.mapExportCommand(),
		a.mapConfirmCommand(), a.mapRejectCommand(), a.mapAddCommand(), a.mapUndoCommand(), a.mapAnswerCommand())
}

// withMap opens the safe and draws its map.
func (a *app) withMap(do func(*daemon.Safe, *estate.Map) error) error {
	s, err := a.openSafe()
	if err != nil {
		return err
	}
	defer s.Close() // nothing was written
	m, err := s.Map(a.stop)
	if err != nil {
		return err
	}
	return do(s, m)
}

func (a *app) mapShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [COMPONENT]",
		Short: "Show the components, or all that is known of one",
		Long: `Show the components of the map, or all that is known of one: what it is known
by, what it needs, what needs it, and the evidence for each.`,
		Example: `  strongroom map show
  strongroom map show host/erp-app
  strongroom map show 10.0.0.4`,
		Args: args(0, 1, "one component"),
		RunE: func(_ *cobra.Command, given []string) error {
			return a.withMap(func(_ *daemon.Safe, m *estate.Map) error {
				if len(given) == 0 {
					return a.showMap(m)
				}
				c, err := findComponent(m, given[0])
				if err != nil {
					return err
				}
				return a.showComponent(m, c)
			})
		},
	}
}

// findComponent returns the one that a person means.
func findComponent(m *estate.Map, word string) (estate.Component, error) {
	found := m.Find(word)
	switch len(found) {
	case 0:
		return estate.Component{}, ui.WithRemedy(fmt.Errorf("the map has no component %q", word), "All of them: strongroom map show")
	case 1:
		c, _ := m.Component(found[0])
		return c, nil
	}
	return estate.Component{}, &ui.UsageError{Problem: fmt.Sprintf("%q may be %s", word, listOf(found)), Remedy: "Name one of them."}
}

func listOf(ids []estate.ID) string {
	words := make([]string, len(ids))
	for i, id := range ids {
		words[i] = string(id)
	}
	return strings.Join(words, ", ")
}

var errEmptyMap = ui.WithRemedy(errors.New("the map is empty: no source has told anything of the estate yet, and the configuration says nothing of it"),
	"Collect hosts with their /etc, or look at them with a source of kind facts, or write components: in the configuration.")

func (a *app) showMap(m *estate.Map) error {
	if len(m.Components) == 0 {
		return errEmptyMap
	}
	t := a.talk()
	table := ui.NewTable(ui.Column{Title: "COMPONENT"}, ui.Column{Title: "NEEDS", Right: true}, ui.Column{Title: "NEEDED BY", Right: true}, ui.Column{Title: "KNOWN"}, ui.Column{Title: "ALSO KNOWN AS"})
	for _, c := range m.Components {
		table.Row(string(c.ID), ui.Count(int64(len(m.Needs(c.ID)))), ui.Count(int64(len(m.NeededBy(c.ID)))), basesOf(c.Evidence), aliasesOf(c, 3))
		t.Emit("component", c)
	}
	t.Table(table)
	for _, d := range m.Dependencies {
		t.Emit("dependency", d)
	}
	t.Printf("%s, %s.", plural(int64(len(m.Components)), "component", "components"), plural(int64(len(m.Dependencies)), "dependency", "dependencies"))
	if n := len(m.Undescribed); n > 0 {
		t.Note("note: nobody has described %s: strongroom map discover", plural(int64(n), "component", "components"))
	}
	return nil
}

// basesOf says in which ways something is known, what is worth most first.
func basesOf(all []estate.Evidence) string {
	var words []string
	for _, e := range all {
		if word := string(e.Basis); !slices.Contains(words, word) {
			words = append(words, word)
		}
	}
	return strings.Join(words, ", ")
}

func aliasesOf(c estate.Component, most int) string {
	var words []string
	for i, alias := range c.Aliases {
		if i == most {
			return strings.Join(words, ", ") + fmt.Sprintf(" and %d more", len(c.Aliases)-most)
		}
		words = append(words, string(alias))
	}
	return strings.Join(words, ", ")
}

func (a *app) showComponent(m *estate.Map, c estate.Component) error {
	t := a.talk()
	t.Emit("component", c)
	t.Printf("%s", c.ID)
	say := func(what, text string) {
		if text != "" {
			t.Printf("  %-10s %s", what, ui.Clean(text))
		}
	}
	say("called", c.Label)
	say("owner", c.Owner)
	say("known as", aliasesOf(c, len(c.Aliases)))
	var ports, roles []string
	for _, p := range c.Listens {
		ports = append(ports, p.String())
	}
	for _, r := range c.Roles {
		roles = append(roles, string(r))
	}
	say("listens", strings.Join(ports, ", "))
	say("roles", strings.Join(roles, ", "))
	say("runs", string(c.Software))
	a.showEvidence(c.Evidence, "  ")
	for _, merge := range m.Merges {
		if merge.Into == c.ID {
			say("was", string(merge.Was))
			t.Emit("merge", merge)
		}
	}
	a.showDependencies("needs", m.Needs(c.ID), func(d estate.Dependency) estate.ID { return d.To })
	a.showDependencies("is needed by", m.NeededBy(c.ID), func(d estate.Dependency) estate.ID { return d.From })
	for _, o := range m.Overruled {
		if o.From == c.ID {
			t.Printf("  does not need %s, as people say", o.To)
			a.showEvidence(o.By, "      ")
			t.Emit("overruled", o)
		}
	}
	return nil
}

func (a *app) showDependencies(what string, all []estate.Dependency, other func(estate.Dependency) estate.ID) {
	t := a.talk()
	for _, d := range all {
		t.Printf("  %s %s, %s", what, other(d), inWordsOf(d))
		a.showEvidence(d.Evidence, "      ")
		t.Emit("dependency", d)
	}
}

// inWordsOf says what a dependency is for.
func inWordsOf(d estate.Dependency) string {
	words := map[estate.Need]string{
		estate.Start: "to start", estate.Run: "to serve", estate.Hosting: "to run on", estate.Soft: "to serve well", estate.Telemetry: "for telemetry", estate.Admin: "to be managed",
	}
	text := words[d.Need]
	for i, p := range d.Ports {
		if i == 0 {
			text += ", port "
		} else {
			text += ", "
		}
		text += p.String()
	}
	return text
}

func (a *app) showEvidence(all []estate.Evidence, indent string) {
	t := a.talk()
	for _, e := range all {
		line := fmt.Sprintf("%s%s by %s", indent, e.Basis, e.Source)
		if e.Place != "" {
			line += ", " + e.Place
		}
		if e.Detail != "" {
			line += ": " + e.Detail
		}
		if e.Basis == estate.Observed {
			line += fmt.Sprintf(" (%s, last %s)", plural(max(e.Count, 1), "time", "times"), e.Last.Local().Format(time.DateOnly))
		}
		t.Printf("%s", ui.Clean(line))
	}
}

func (a *app) mapDiscoverCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "discover",
		Short: "Show what was discovered and not understood",
		Long: `Show what discovery found and people should look at: components that something
needs and nobody described, names that were merged, and doubts about what was
read.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			return a.withMap(func(_ *daemon.Safe, m *estate.Map) error { return a.discover(m) })
		},
	}
}

func (a *app) discover(m *estate.Map) error {
	if len(m.Components) == 0 {
		return errEmptyMap
	}
	t := a.talk()
	for _, id := range m.Undescribed {
		needs, neededBy := m.Needs(id), m.NeededBy(id)
		if len(needs)+len(neededBy) == 0 {
			t.Printf("Nobody has described %s, and nothing needs it.", id)
		} else {
			t.Printf("Nobody has described %s:", id)
		}
		a.showDependencies("needs", needs, func(d estate.Dependency) estate.ID { return d.To })
		a.showDependencies("is needed by", neededBy, func(d estate.Dependency) estate.ID { return d.From })
		t.Emit("undescribed", map[string]any{"component": id})
	}
	for _, merge := range m.Merges {
		by := make([]string, len(merge.By))
		for i, alias := range merge.By {
			by[i] = string(alias)
		}
		if len(by) == 0 {
			t.Printf("%s is %s: people say so.", merge.Was, merge.Into)
		} else {
			t.Printf("%s is %s: both are %s.", merge.Was, merge.Into, strings.Join(by, ", "))
		}
		t.Emit("merge", merge)
	}
	for _, doubt := range m.Doubts {
		t.Warn("%s", doubt)
		t.Emit("doubt", map[string]any{"text": doubt})
	}
	t.Printf("%s that nobody described, %s, %s.", plural(int64(len(m.Undescribed)), "component", "components"),
		plural(int64(len(m.Merges)), "merged name", "merged names"), plural(int64(len(m.Doubts)), "doubt", "doubts"))
	return nil
}

func (a *app) mapExplainCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "explain A B",
		Short: "Show why A needs B, with the evidence",
		Long: `Show the shortest ways on which one component comes to need another, and the
evidence for each step.`,
		Example: `  strongroom map explain application/erp host/dns1`,
		Args:    args(2, 2, "two components"),
		RunE: func(_ *cobra.Command, given []string) error {
			return a.withMap(func(_ *daemon.Safe, m *estate.Map) error { return a.explain(m, given[0], given[1]) })
		},
	}
}

// maxWays is how many ways from one component to another are shown.
const maxWays = 5

func (a *app) explain(m *estate.Map, first, second string) error {
	from, err := findComponent(m, first)
	if err != nil {
		return err
	}
	to, err := findComponent(m, second)
	if err != nil {
		return err
	}
	t := a.talk()
	ways := m.Paths(from.ID, to.ID, func(estate.Dependency) bool { return true }, maxWays)
	if len(ways) == 0 {
		t.Printf("%s does not need %s, as far as the map knows.", from.ID, to.ID)
	}
	for i, way := range ways {
		if i > 0 {
			t.Printf("or")
		}
		for _, d := range way {
			t.Printf("%s needs %s, %s", d.From, d.To, inWordsOf(d))
			a.showEvidence(d.Evidence, "    ")
		}
		t.Emit("way", map[string]any{"dependencies": way})
	}
	for _, o := range m.Overruled {
		if o.From == from.ID && o.To == to.ID {
			t.Printf("People say that %s does not need %s:", o.From, o.To)
			a.showEvidence(o.By, "    ")
			t.Printf("  against")
			a.showEvidence(o.Found, "    ")
			t.Emit("overruled", o)
		}
	}
	return nil
}

func (a *app) mapOrderCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "order [APPLICATION]",
		Short: "Show in which order the estate, or an application, can be rebuilt",
		Long: `Show the layers in which the estate can be rebuilt: everything in one may be
rebuilt at once. Where components need each other, it says how the knot is
opened: by a rule (how one of them starts without the other, what proves that
and what undoes it), or by a question to a person.

With an application, or another component, it is the part of that: what it
needs, and nothing else.`,
		Example: `  strongroom map order
  strongroom map order erp`,
		Args:              args(0, 1, "one application"),
		ValidArgsFunction: a.completeApplication,
		RunE: func(_ *cobra.Command, given []string) error {
			return a.withMap(func(s *daemon.Safe, m *estate.Map) error {
				if len(m.Components) == 0 {
					return errEmptyMap
				}
				o, err := s.Order(a.stop, m)
				if err != nil {
					return err
				}
				if len(given) > 0 {
					id, err := findApplication(m, given[0])
					if err != nil {
						return err
					}
					o = o.Only(m.Closure(id, estate.Ordering))
				}
				return a.showOrder(o)
			})
		},
	}
}

// findApplication returns the application of that name, or else the component
// that a person means.
func findApplication(m *estate.Map, word string) (estate.ID, error) {
	if id, ok := m.Known(estate.NewID(estate.Application, word)); ok {
		return id, nil
	}
	c, err := findComponent(m, word)
	return c.ID, err
}

func (a *app) showOrder(o order.Order) error {
	t := a.talk()
	t.Emit("order", o)
	for i, layer := range o.Layers {
		t.Printf("Layer %d", i+1)
		for _, step := range layer {
			phases := make([]string, len(step.Phases))
			for i, p := range step.Phases {
				phases[i] = string(p)
			}
			t.Printf("  %-40s %s", step.Component, strings.Join(phases, ", "))
			how := "without"
			if !slices.Contains(step.Phases, order.Bootstrap) {
				how = "now with"
			}
			for _, mode := range step.Modes {
				t.Printf("      %s %s: %s", how, mode.Without, mode.How)
				if mode.Check != "" {
					t.Printf("      proven by: %s", mode.Check)
				}
			}
		}
	}
	for _, knot := range o.Knots {
		t.Printf("Knot of %s: %s", plural(int64(len(knot.Components)), "component", "components"), listOf(knot.Components))
		t.Printf("  %s", knot.Why)
		for _, opening := range knot.Opened {
			t.Printf("  %s starts without %s: %s", opening.From, opening.To, opening.Why)
			if opening.Question != "" {
				t.Warn("%s: may %s start without %s? Say so: strongroom map answer %s yes|no --reason WHY", opening.Question, opening.From, opening.To, opening.Question)
			}
		}
	}
	for _, u := range o.Unfit {
		t.Note("the answer on %s without %s is of no use now: %s", u.From, u.To, u.Because)
	}
	for _, f := range o.Foundations {
		t.Printf("Foundation: %s, needed by %d", listOf(f.Components), f.Needed)
	}
	for _, d := range o.Doubtful {
		t.Note("doubtful: %s: %s", d.Component, d.Why)
	}
	return nil
}

func (a *app) mapExportCommand() *cobra.Command {
	format := export.JSON
	words := make([]string, len(export.Formats))
	for i, f := range export.Formats {
		words[i] = string(f)
	}
	cmd := &cobra.Command{
		Use:   "export",
		Short: "Write the map for other programs",
		Long: `Write the map to standard output: as JSON with all evidence, for Graphviz (dot),
as a bill of materials (cyclonedx), or as a table of dependencies (csv), which
the safe takes back as facts.`,
		Example: `  strongroom map export --format dot | dot -Tsvg >map.svg`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			if !slices.Contains(export.Formats, format) {
				return &ui.UsageError{Problem: fmt.Sprintf("%q is no form of a map", string(format)), Remedy: "There are " + strings.Join(words, ", ") + "."}
			}
			return a.withMap(func(_ *daemon.Safe, m *estate.Map) error { return export.Write(a.stdout, m, format) })
		},
	}
	cmd.Flags().StringVar((*string)(&format), "format", string(format), "`form` of the map: "+strings.Join(words, ", "))
	return cmd
}
