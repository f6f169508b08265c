package daemon

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/mail"
	"strongroom/internal/daemon/state"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/safe/words"
)

// A glance is at the safe as it stood at one moment. What people are shown never
// depends on how long it took to gather it.
type glance struct {
	*Safe
	v   state.View
	sit situation
	now time.Time // in the zone of the safe's host, as mails have it
}

// look calls show with what was known at one moment.
func (s *Safe) look(ctx context.Context, show func(glance) error) error {
	return s.state.Look(ctx, func(v state.View) error {
		sit, err := s.situation(v)
		if err != nil {
			return err
		}
		return show(glance{Safe: s, v: v, sit: sit, now: sit.now.In(time.Local)})
	})
}

// LookOverview returns the safe at a glance.
func (s *Safe) LookOverview(ctx context.Context) (o report.Overview, err error) {
	cards, err := s.cards(ctx)
	if err != nil {
		return o, err
	}
	err = s.look(ctx, func(g glance) error {
		o, err = g.overview(cards)
		return err
	})
	return o, err
}

func (g glance) overview(cards []report.ApplicationCard) (o report.Overview, err error) {
	o = report.Overview{Safe: g.config.Safe, Store: g.id, Now: g.now, Applications: cards}
	if o.Sources, err = g.strips(); err != nil {
		return o, err
	}
	if o.LastScrub, err = g.lastScrub(); err != nil {
		return o, err
	}
	if o.Checkpoint, err = g.checkpoint(); err != nil {
		return o, err
	}
	pending, err := g.v.Pending()
	if err != nil {
		return o, err
	}
	for _, p := range pending {
		line, err := g.openingLine(p)
		if err != nil {
			return o, err
		}
		if p.State == opening.Open {
			o.Opening = &line
		} else {
			o.Requests = append(o.Requests, line)
		}
	}
	more, err := g.findings(o)
	if err != nil {
		return o, err
	}
	o.Verdict, o.Findings = report.Judge(o, more)
	return o, nil
}

// strips looks at every source, those of the configuration first.
func (g glance) strips() ([]report.SourceStrip, error) {
	known, err := g.v.Sources()
	if err != nil {
		return nil, err
	}
	nights, err := g.v.NightsSince(g.firstNight())
	if err != nil {
		return nil, err
	}
	byName := make(map[safe.SourceName]*state.Source, len(known))
	for i := range known {
		byName[known[i].Name] = &known[i]
	}
	var all []report.SourceStrip
	for i := range g.config.Sources {
		c := &g.config.Sources[i]
		all = append(all, g.strip(c.Name, c, byName[c.Name], nights[c.Name]))
		delete(byName, c.Name)
	}
	for _, name := range slices.Sorted(maps.Keys(byName)) {
		all = append(all, g.strip(name, nil, byName[name], nights[name]))
	}
	return all, nil
}

// firstNight is since when runs tell of the days of a strip: before its first
// day, as a collection before midnight serves the day that follows.
func (g glance) firstNight() time.Time { return report.FirstDay(g.now).Add(-report.Within) }

// strip makes the strip of a source: conf is nil if it is no longer configured,
// known if it was never collected.
func (g glance) strip(name safe.SourceName, conf *config.Source, known *state.Source, nights []state.Night) report.SourceStrip {
	s := report.SourceStrip{Name: name, Gone: conf == nil}
	if conf != nil {
		s.Kind = conf.Spec.Kind()
	}
	var runs []report.Collection
	if known != nil {
		s.Count = known.Snapshots
		last := g.collection(known.Last, true)
		s.Last = &last
		if known.Newest != nil {
			line := snapshotLine(*known.Newest)
			s.Newest, s.New = &line, line.New
		}
		if known.Complete != nil {
			line := snapshotLine(*known.Complete)
			s.Whole, s.Bytes = &line, line.Bytes
		}
		if len(nights) == 0 || known.First.Compare(nights[0].Run) < 0 {
			runs = append(runs, report.Collection{Begun: known.First.Time()})
		}
	}
	for i, n := range nights {
		newest := i == len(nights)-1
		runs = append(runs, report.Collection{Begun: n.Run.Time(), Outcome: g.outcome(n.Run, n.Outcome, n.Lost, newest)})
	}
	s.Days = report.Days(runs, g.now, s.Gone)
	return s
}

// outcome says what became of a run. One without an end may still run if it is
// the newest of its source, and not longer than a night has.
func (g glance) outcome(run safe.RunID, o state.Outcome, lost, newest bool) report.Outcome {
	switch {
	case lost:
		return report.Lost
	case o == state.Complete:
		return report.Complete
	case o == state.Partial:
		return report.Partial
	case o == state.Failed:
		return report.Failed
	case newest && g.now.Sub(run.Time()) <= report.Within:
		return report.Underway
	default:
		return report.Broken
	}
}

func (g glance) collection(r state.Run, newest bool) report.Collection {
	c := report.Collection{Run: r.ID, Begun: r.ID.Time(), Outcome: g.outcome(r.ID, r.Outcome, r.Lost(), newest), Reason: string(r.Reason)}
	if k := r.Kept; k != nil {
		c.Begun, c.Entries, c.Bytes, c.New, c.Warnings = k.Started, k.Entries, k.Bytes, k.NewBytes, k.Warnings
	}
	if !r.Ended.IsZero() {
		c.Took = max(0, r.Ended.Sub(c.Begun))
	}
	return c
}

// snapshotLine returns the line of a run that was kept, without figures if its
// description is lost.
func snapshotLine(r state.Run) report.SnapshotLine {
	line := report.SnapshotLine{Run: r.ID, Source: r.Source, Time: r.ID.Time(), Partial: r.Outcome == state.Partial}
	if k := r.Kept; k != nil {
		line.Time, line.Tier, line.KeepUntil = k.Started, k.Tier, k.KeepUntil
		line.Entries, line.Bytes, line.New, line.Warnings = k.Entries, k.Bytes, k.NewBytes, k.Warnings
	}
	line.Name = report.Name(line.Source, line.Time, time.Local)
	return line
}

func (g glance) lastScrub() (*report.Scrub, error) {
	done, at, ok, err := g.v.LastScrub()
	if err != nil || !ok {
		return nil, err
	}
	return &report.Scrub{Time: at, Objects: done.Objects, Bytes: done.Bytes, Damaged: done.Damaged, Left: done.Left}, nil
}

func (g glance) checkpoint() (c report.Checkpoint, err error) {
	if c.Bytes, err = g.v.Checkpoint(); err != nil {
		return c, err
	}
	signed, err := ledger.ParseCheckpoint(c.Bytes, g.sit.roster.LedgerKeys...)
	if err != nil {
		return c, err
	}
	newest, err := g.v.EntriesBefore(signed.Size, 1)
	if err != nil {
		return c, err
	}
	if len(newest) == 0 {
		return c, fmt.Errorf("the %s has no newest entry", signed)
	}
	c.Size, c.Root, c.Time, c.Words = signed.Size, signed.Root.String(), newest[0].Time, words.Of(safe.Digest(signed.Root))
	return c, nil
}

// findings are those that the state, the ledger and the roster give reason for,
// beside what the overview shows.
func (g glance) findings(o report.Overview) ([]report.Finding, error) {
	cursors, err := g.v.MailCursors()
	if err != nil {
		return nil, err
	}
	all, err := g.mailFindings(cursors)
	if err != nil {
		return nil, err
	}
	raised, err := g.raisedFindings()
	if err != nil {
		return nil, err
	}
	nags, err := g.rosterNags(g.v, g.sit)
	if err != nil {
		return nil, err
	}
	return append(append(all, raised...), nagFindings(append(nags, g.configNags(g.sit)...))...), nil
}

// nagFindings makes findings of what people should see to.
func nagFindings(nags []Nag) (all []report.Finding) {
	for _, n := range nags {
		all = append(all, report.Finding{Level: n.Level, What: n.Text, Do: n.Remedy, Entry: -1})
	}
	return all
}

const (
	// toldWithin is how long a mail may be on its way.
	toldWithin = time.Hour
	// mostUntold bounds the entries in which one is looked for that people were
	// not told of.
	mostUntold = 256
)

// mailFindings tells of people who are not told what happens.
func (g glance) mailFindings(cursors map[string]state.MailCursor) (all []report.Finding, err error) {
	if g.config.Mail == nil {
		return nil, nil // which is a nag
	}
	var untold, refused int
	next := int64(-1) // the first entry that somebody was not told of
	for _, recipient := range g.recipientsWith(g.sit.roster) {
		c, ok := cursors[recipient]
		switch {
		case !ok: // whoever delivers mails meets them
			continue
		case c.Refused > 0:
			refused++
		default:
			untold++
			if next < 0 || c.Next < next {
				next = c.Next
			}
		}
	}
	if refused > 0 {
		all = append(all, report.Finding{Level: report.Look, What: fmt.Sprintf("the mail server refuses what is sent to %s", report.Counted(refused, "person", "people")),
			Do: "See why, and correct the address: strongroom mail test", Entry: -1})
	}
	if untold == 0 {
		return all, nil
	}
	waiting, err := g.v.EntriesFrom(next, mostUntold)
	if err != nil {
		return nil, err
	}
	i := slices.IndexFunc(waiting, func(e state.Numbered) bool { return mail.Deserves(e.What) })
	if i >= 0 && g.now.Sub(waiting[i].Time) > toldWithin {
		all = append(all, report.Finding{Level: report.Look, What: "people were not told what happened: mails wait to be delivered",
			Do: "See whether the mail server can be reached: strongroom doctor", Since: waiting[i].Time, Entry: waiting[i].N})
	}
	return all, nil
}

// mostRaised is how many findings of the ledger are shown one by one, the newest.
const mostRaised = 50

// raisedFindings are those of the ledger that are open: neither mended nor
// acknowledged. What an application misses is one for each way in which it does.
func (g glance) raisedFindings() ([]report.Finding, error) {
	a, err := g.assessment(g.v, Coverage{})
	if err != nil {
		return nil, err
	}
	var all []report.Finding
	var missed []report.Missed
	for _, f := range slices.Backward(a.live) {
		if _, mended := a.mended(f); mended || !f.Open(g.now) || f.Kind == report.NobodyLeft { // a nag says the last as long as it is so
			continue
		}
		if coverage.IsMiss(f.Kind) {
			missed = append(missed, report.Missed{Entry: f.N, Kind: f.Kind, Subject: string(f.Subject), Text: string(f.Text), Since: f.First})
			continue
		}
		if len(all) == mostRaised {
			continue
		}
		told := report.Tell(ledger.Entry{Time: f.Seen, Who: ledger.Safe, What: ledger.FindingRaised{Finding: f.Kind, Subject: f.Subject, Text: f.Text}})
		all = append(all, report.Finding{Level: report.Look, What: told.What, Why: told.Detail,
			Do:    fmt.Sprintf("Read what was before it: strongroom ledger show --from %d; a false alarm is silenced with: strongroom findings ack %d", f.Last, f.N),
			Since: f.First, Entry: f.Last})
	}
	return append(report.JudgeMissed(missed), all...), nil
}
