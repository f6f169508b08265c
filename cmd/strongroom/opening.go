package main

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/catalog"
	"strongroom/internal/ui"
)

func (a *app) openingCommand() *cobra.Command {
	return group(&cobra.Command{Use: "opening COMMAND", Short: "Ask to read, release, refuse, close"},
		a.requestCommand(), a.openingListCommand(), a.openingShowCommand(), a.releaseCommand(),
		a.endingCommand(ending{
			use: "refuse", short: "Say no to a request, as a keykeeper", done: "refused", from: opening.Requested,
			long: `Refuse what an operator asks for. The reason goes to everybody.`,
			act: func(id safe.OpeningID, reason ledger.Text) access.Act {
				return access.Refuse{Opening: id, Reason: reason}
			},
			send: func(p *person, id safe.OpeningID, s ledger.Signed) error { return p.client.Refuse(p.stop, id, s) },
		}),
		a.endingCommand(ending{
			use: "withdraw", short: "Take back what you have asked for", done: "withdrawn", from: opening.Requested, optional: true,
			long: `Take a request back that is not yet released.`,
			act: func(id safe.OpeningID, reason ledger.Text) access.Act {
				return access.Withdraw{Opening: id, Reason: reason}
			},
			send: func(p *person, id safe.OpeningID, s ledger.Signed) error { return p.client.Withdraw(p.stop, id, s) },
		}),
		a.endingCommand(ending{
			use: "close", short: "Shut the gate of an opening, whatever is under way", done: "closed", from: opening.Open, optional: true,
			long: `Close an opening before its time. What is being read breaks off.`,
			act: func(id safe.OpeningID, reason ledger.Text) access.Act {
				return access.Close{Opening: id, Reason: reason}
			},
			send: func(p *person, id safe.OpeningID, s ledger.Signed) error { return p.client.CloseOpening(p.stop, id, s) },
		}))
}

// A requesting is one call of opening request.
type requesting struct {
	*app
	snapshots []string
	hours     int
	reason    string
	address   string
	waits     time.Duration
}

func (a *app) requestCommand() *cobra.Command {
	q := &requesting{app: a}
	cmd := &cobra.Command{
		Use:   "request --snapshot NAME --hours N --reason TEXT",
		Short: "Ask to read snapshots, as an operator",
		Long: `Ask the keykeepers to release snapshots for some hours, so that you can restore
them from this machine. Names of snapshots can be short, as for restore:
erp-files is the newest complete one of that source.

Everybody gets a mail. When a keykeeper has released it, restore with
"strongroom restore --from"; "strongroom opening show" tells the command.`,
		Example: `  strongroom opening request --snapshot erp-files --hours 4 \
      --reason "rehearsal of the fourth quarter"
  strongroom opening request --snapshot erp-db@2026-11-20 \
      --snapshot erp-files@2026-11-20 --hours 12 --reason "disk array lost"`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error { return q.run() },
	}
	f := cmd.Flags()
	f.StringArrayVar(&q.snapshots, "snapshot", nil, "`name` of a snapshot; may be given several times")
	f.IntVar(&q.hours, "hours", 0, fmt.Sprintf("how many hours the opening may last, at most %d", access.MaxHours))
	f.StringVar(&q.reason, "reason", "", "why, for everybody to read")
	f.StringVar(&q.address, "address", "", "`address` that you will come from (default: that of the profile, or your usual one)")
	f.DurationVar(&q.waits, "wait", 24*time.Hour, "how long the request is good, such as `8h`, at most seven days")
	return cmd
}

func (q *requesting) run() error {
	reason, err := reasonOf(q.reason)
	switch {
	case err != nil:
		return err
	case len(q.snapshots) == 0:
		return &ui.UsageError{Problem: "say what you want to read", Remedy: "Add --snapshot NAME. See what there is: strongroom snapshots"}
	case q.hours == 0:
		return &ui.UsageError{Problem: "say for how many hours", Remedy: fmt.Sprintf("Add --hours N, with 1 to %d.", access.MaxHours)}
	case q.hours < 1 || q.hours > access.MaxHours:
		return &ui.UsageError{Problem: fmt.Sprintf("an opening cannot be for %d hours", q.hours), Remedy: fmt.Sprintf("Add --hours N, with 1 to %d.", access.MaxHours)}
	}
	p, err := q.openPerson()
	if err != nil {
		return err
	}
	defer p.Close()
	everyone, roster, err := p.people(q.stop)
	if err != nil {
		return err
	}
	self, err := p.own(everyone, roster)
	if err != nil {
		return err
	}
	address, err := q.from(p, self)
	if err != nil {
		return err
	}
	chosen, names, err := q.choose(p)
	if err != nil {
		return err
	}
	known := recall(p.profile.Store)
	now := q.now().UTC().Truncate(time.Second)
	request := access.Request{Opening: safe.NewOpeningID(now), NotAfter: now.Add(q.waits).Truncate(time.Second), Snapshots: chosen, Hours: q.hours,
		Reason: reason, Address: address, Known: known.size()}
	if err := request.Check(now); err != nil {
		return &ui.UsageError{Problem: "the request cannot be: " + err.Error(), Remedy: "See: strongroom opening request --help"}
	}
	signed, err := p.sign(request)
	if err != nil {
		return err
	}
	if err := p.client.Request(q.stop, signed); err != nil {
		return explainSent(err)
	}
	t := q.talk()
	t.Printf("Opening %s is requested: %s for %s, from %s.", request.Opening, strings.Join(names, ", "), plural(int64(q.hours), "hour", "hours"), address)
	t.Note("A keykeeper releases it with: strongroom opening release\nSee how it stands: strongroom opening show")
	t.Emit("requested", map[string]any{"opening": request.Opening, "snapshots": chosen, "hours": q.hours, "address": address, "not_after": request.NotAfter})
	return nil
}

// from returns the address that the operator will come from.
func (q *requesting) from(p *person, self access.Person) (netip.Addr, error) {
	if !self.Has(access.Operator) {
		return netip.Addr{}, refusedError{fmt.Errorf("only operators ask to read, and %s is %s", self.Name, rolesOf(self.Roles))}
	}
	address, err := parseAddr("address", q.address)
	switch {
	case err != nil:
		return address, err
	case !address.IsValid() && self.ComesFrom(p.profile.From):
		return p.profile.From, nil
	case !address.IsValid():
		return self.Addresses[0], nil
	case !self.ComesFrom(address):
		return address, &ui.UsageError{Problem: fmt.Sprintf("%s is not an address of yours in the roster", address), Remedy: "There you come from " + addressesOf(self) + "."}
	}
	return address, nil
}

// choose finds the snapshots that are meant.
func (q *requesting) choose(p *person) (runs []safe.RunID, short []string, err error) {
	all, err := p.client.Snapshots(q.stop)
	if err != nil {
		return nil, nil, explainCall(err)
	}
	listed := listedOf(all)
	names := make(names)
	for _, l := range listed {
		names.add(l.Snapshot)
	}
	for _, name := range q.snapshots {
		l, err := choose(listed, name, time.Time{})
		if err != nil {
			return nil, nil, err
		}
		if l.Partial {
			q.talk().Warn("%s is partial: its collection was not complete", names.of(l.Snapshot))
		}
		runs, short = append(runs, l.Run), append(short, names.of(l.Snapshot))
	}
	slices.SortFunc(runs, safe.RunID.Compare)
	if len(slices.Compact(slices.Clone(runs))) != len(runs) {
		return nil, nil, &ui.UsageError{Problem: "a snapshot is named twice", Remedy: "Name each one once."}
	}
	return runs, short, nil
}

// listedOf makes of what the safe says it has what names are chosen from,
// oldest first.
func listedOf(all []api.Snapshot) []catalog.Listed {
	var listed []catalog.Listed
	for _, s := range all {
		listed = append(listed, catalog.Listed{Snapshot: safe.Snapshot{Run: s.Run, Source: s.Source, Started: s.Started, Finished: s.Finished,
			Entries: s.Entries, Bytes: s.Bytes, Partial: s.Partial, Tier: s.Tier, KeepUntil: s.KeepUntil}})
	}
	slices.SortFunc(listed, func(a, b catalog.Listed) int { return a.Run.Compare(b.Run) })
	return listed
}

func (a *app) openingListCommand() *cobra.Command {
	var all bool
	cmd := &cobra.Command{
		Use:   "list [--all]",
		Short: "List the requests and openings that are not over",
		Long: `List the requests that wait and the opening that is open; with --all also those
that are over, newest first.`,
		Example: `  strongroom opening list --all`,
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			openings, err := p.openings()
			if err != nil {
				return err
			}
			a.listOpenings(openings, all)
			return nil
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that are over")
	return cmd
}

// A seen is an opening with what its request says. The safe says so; only a
// release is checked.
type seen struct {
	api.Opening
	by      access.Statement
	request access.Request
}

func see(o api.Opening) (seen, error) {
	by, err := access.ParseStatement([]byte(o.Request.Statement))
	if err != nil {
		return seen{}, fmt.Errorf("opening %s: %w", o.ID, err)
	}
	request, ok := by.Act.(access.Request)
	if !ok || request.Opening != o.ID {
		return seen{}, fmt.Errorf("opening %s: its request is none", o.ID)
	}
	return seen{o, by, request}, nil
}

func (p *person) openings() ([]seen, error) {
	all, err := p.client.Openings(p.stop)
	if err != nil {
		return nil, explainCall(err)
	}
	var openings []seen
	for _, o := range all {
		s, err := see(o)
		if err != nil {
			return nil, err
		}
		openings = append(openings, s)
	}
	return openings, nil
}

func (a *app) listOpenings(openings []seen, all bool) {
	t := a.talk()
	table := ui.NewTable(ui.Column{Title: "OPENING"}, ui.Column{Title: "STATE"}, ui.Column{Title: "OPERATOR"}, ui.Column{Title: "ASKED"}, ui.Column{Title: "SOURCES"}, ui.Column{Title: "REASON", Cut: true})
	shown := 0
	for _, o := range openings {
		if o.State.Over() && !all {
			continue
		}
		shown++
		table.Row(o.ID, o.State, o.by.Person, ui.Ago(o.by.Time, a.now()), joined(slices.Compact(slices.Sorted(slices.Values(o.Sources)))), o.request.Reason)
		o.emit(t)
	}
	if shown == 0 {
		t.Note("Nothing is requested or open. Those that are over: strongroom opening list --all")
		return
	}
	t.Table(table)
}

func (o seen) emit(t *ui.Terminal) {
	fields := map[string]any{"opening": o.ID, "state": o.State, "operator": o.by.Person, "asked": o.by.Time, "not_after": o.request.NotAfter, "snapshots": o.request.Snapshots,
		"sources": o.Sources, "hours": o.request.Hours, "reason": o.request.Reason, "address": o.request.Address, "cause": o.Cause,
		"sessions": o.Sessions, "objects": o.Objects, "bytes": o.Bytes}
	if o.Gate.IsValid() {
		fields["gate"], fields["until"] = o.GateAddress(), o.Until
	}
	t.Emit("opening", fields)
}

// over says how an opening stands, and why if that is known.
func (o seen) over() string {
	s := fmt.Sprintf("is %s", o.State)
	if o.Cause != "" {
		s += ": " + o.Cause
	}
	return s
}

// chooseOpening finds the opening that a part of an id means, among those of
// which fits is true; "" if there is one only.
func chooseOpening(openings []seen, part string, fits func(seen) bool) (seen, error) {
	var found []seen
	var ids []string
	for _, o := range openings {
		if strings.Contains(o.ID.String(), strings.ToLower(part)) && (fits(o) || part == o.ID.String()) {
			found, ids = append(found, o), append(ids, o.ID.String())
		}
	}
	switch len(found) {
	case 1:
		return found[0], nil
	case 0:
		problem := "there is no opening that this could be for"
		if part != "" {
			problem = "there is no such opening: " + part
		} else if len(openings) > 0 { // the newest is the first
			problem += "; the last one " + openings[0].over()
		}
		return seen{}, &ui.UsageError{Problem: problem, Remedy: "See what there is: strongroom opening list --all"}
	}
	return seen{}, &ui.UsageError{Problem: fmt.Sprintf("%d openings could be meant", len(found)), Remedy: "Say which, by any part of its id: " + strings.Join(ids, " or ")}
}

func inState(states ...opening.State) func(seen) bool {
	return func(o seen) bool { return slices.Contains(states, o.State) }
}

func (a *app) openingShowCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "show [ID]",
		Short: "Show how an opening stands, and where its gate is",
		Long: `Show how an opening stands: the one that is requested or open, or the one whose
id is given, of which any part will do.`,
		Example: `  strongroom opening show
  strongroom opening show 7c57`,
		Args: args(0, 1, "at most one id"),
		RunE: func(_ *cobra.Command, given []string) error {
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			openings, err := p.openings()
			if err != nil {
				return err
			}
			part := ""
			fits := inState(opening.Requested, opening.Open)
			if len(given) > 0 {
				part, fits = given[0], func(seen) bool { return true }
			}
			chosen, err := chooseOpening(openings, part, fits)
			if err != nil {
				return err
			}
			p.showOpening(chosen)
			return nil
		},
	}
}

func (p *person) showOpening(o seen) {
	t := p.talk()
	t.Printf("Opening %s is %s\n  operator  %s, from %s\n  asked     %s, for %s\n  reason    %s", o.ID, o.State, o.by.Person, o.request.Address,
		ui.Age(o.by.Time.Local(), p.now()), plural(int64(o.request.Hours), "hour", "hours"), o.request.Reason)
	for _, name := range o.snapshots() {
		t.Printf("  snapshot  %s", name)
	}
	switch {
	case o.State == opening.Open:
		t.Printf("  until     %s\n  gate      sftp://%s", ui.Age(o.Until.Local(), p.now()), o.GateAddress())
	case o.State == opening.Requested:
		t.Printf("  good for  %s", ui.Age(o.request.NotAfter.Local(), p.now()))
	case o.Cause != "":
		t.Printf("  because   %s", o.Cause)
	}
	if o.Sessions > 0 || o.Bytes > 0 {
		t.Printf("  read      %s of %s in %s", ui.Size(o.Bytes), plural(o.Objects, "object", "objects"), plural(o.Sessions, "session", "sessions"))
	}
	if o.State == opening.Open && o.by.Person == p.profile.Person {
		for _, name := range o.restorable() {
			t.Printf("  restore   strongroom restore %s --from opening --to FOLDER", name)
		}
	}
	o.emit(t)
}

// snapshots returns the names of what was asked for. A run has its id when it
// starts.
func (o seen) snapshots() (shown []string) {
	var all []safe.Snapshot
	for i, run := range o.request.Snapshots {
		s := safe.Snapshot{Run: run, Source: "?", Started: run.Time()}
		if i < len(o.Sources) {
			s.Source = o.Sources[i]
		}
		all = append(all, s)
	}
	names := namesOf(all)
	for _, s := range all {
		shown = append(shown, names.of(s))
	}
	return shown
}

// restorable returns the names under which the operator restores what was
// released: at the gate nothing else is listed, so a source is enough unless
// several snapshots are of it.
func (o seen) restorable() (names []string) {
	times := make(map[safe.SourceName]int)
	for _, source := range o.Sources {
		times[source]++
	}
	for i, run := range o.request.Snapshots {
		if i < len(o.Sources) && times[o.Sources[i]] == 1 {
			names = append(names, string(o.Sources[i]))
		} else {
			names = append(names, run.String())
		}
	}
	return names
}

// An ending is what refuse, withdraw and close differ in.
type ending struct {
	use, short, long, done string
	from                   opening.State
	optional               bool // the reason
	act                    func(safe.OpeningID, ledger.Text) access.Act
	send                   func(*person, safe.OpeningID, ledger.Signed) error
}

func (a *app) endingCommand(e ending) *cobra.Command {
	var reason string
	c := &confirm{}
	cmd := &cobra.Command{
		Use:     e.use + " [ID] --reason TEXT",
		Short:   e.short,
		Long:    e.long + "\nWithout an id it is the only one there is; any part of an id will do.",
		Example: fmt.Sprintf("  strongroom opening %s --reason \"wrong day\"", e.use),
		Args:    args(0, 1, "at most one id"),
		RunE: func(_ *cobra.Command, given []string) error {
			var text ledger.Text
			if reason != "" || !e.optional {
				var err error
				if text, err = reasonOf(reason); err != nil {
					return err
				}
			}
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			openings, err := p.openings()
			if err != nil {
				return err
			}
			o, err := chooseOpening(openings, slices.Concat(given, []string{""})[0], inState(e.from))
			if err != nil {
				return err
			}
			if err := c.ask(a, fmt.Sprintf("%s%s the opening that %s asked for (%s)?", strings.ToUpper(e.use[:1]), e.use[1:], o.by.Person, o.request.Reason)); err != nil {
				return err
			}
			signed, err := p.sign(e.act(o.ID, text))
			if err == nil {
				err = explainSent(e.send(p, o.ID, signed))
			}
			if err != nil {
				return err
			}
			a.talk().Printf("Opening %s is %s.", o.ID, e.done)
			a.talk().Emit(e.done, map[string]any{"opening": o.ID})
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for everybody to read")
	c.register(cmd)
	if e.optional {
		cmd.Use = e.use + " [ID]"
	}
	return cmd
}
