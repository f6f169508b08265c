package daemon

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"strongroom/internal/daemon/child"
	"strongroom/internal/daemon/state"
	"strongroom/internal/estate/coverage"
	"strongroom/internal/ledger"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

const (
	// assessEvery is how often a safe that serves looks whether something has
	// become too old, though nothing has happened.
	assessEvery = 6 * time.Hour
	// mostMissed is how many findings about components there may be of an
	// application at a time: nobody reads more, and a host that invents
	// components each night must not fill the ledger.
	mostMissed = 50
	// mostLive is how many findings are looked at, the oldest.
	mostLive = 10_000
	// LongestAck is for how long a finding can be acknowledged at most.
	LongestAck = 366 * 24 * time.Hour
)

// Assess decides how it stands with each application, and records what came up
// since it was last decided and what is mended, each once; also what is mended
// of other findings, and those whose acknowledgement is over. It is to be called
// after collections, scrubs and whatever else changes the map, and now and then,
// as things become stale by themselves.
//
// The map is drawn, and all that follows from it decided, before the transaction
// that records it. So a crash loses nothing and doubles nothing: what was not
// recorded, the next call finds again. Of two calls at a time, the one that has
// looked later is right.
func (s *Safe) Assess(ctx context.Context) error {
	c, err := s.assessed(ctx)
	if err != nil {
		return err
	}
	changed := false
	err = s.state.Update(ctx, func(tx *state.Tx) error {
		a, err := s.assessment(tx.View(), c)
		if err != nil {
			return err
		}
		events := a.events()
		changed = len(events) > 0
		now := s.opts.Now()
		for _, e := range events {
			if err := tx.Append(now, ledger.Safe, e); err != nil {
				return err
			}
		}
		if a.late {
			return nil
		}
		return keepStandings(tx, c)
	})
	if err != nil {
		return fmt.Errorf("recording what applications miss: %w", err)
	}
	if !changed {
		return nil
	}
	s.step("assessed")
	return s.Publish(ctx)
}

// assessed is Coverage, but that no map is drawn where nobody asks for one.
func (s *Safe) assessed(ctx context.Context) (Coverage, error) {
	if len(s.config.Applications) == 0 {
		return Coverage{}, nil
	}
	return s.Coverage(ctx)
}

// An assessment compares how things are with what people were told.
type assessment struct {
	situation
	config  *config.Config
	reports []coverage.Report
	live    []state.Finding
	sources map[safe.SourceName]state.Source
	cursors map[string]state.MailCursor
	mailed  []string // who is told what happens
	late    bool     // somebody has looked at coverage later than this
	blind   bool     // a source of facts has not told any yet, as after a rebuild
}

// overlap is how long two processes may look at coverage at the same time. What
// lies further ahead was recorded by a clock that was wrong.
const overlap = time.Hour

func (s *Safe) assessment(v state.View, c Coverage) (a assessment, err error) {
	a = assessment{config: s.config, reports: c.Reports, sources: make(map[safe.SourceName]state.Source)}
	if a.situation, err = s.situation(v); err != nil {
		return a, err
	}
	if a.live, err = v.LiveFindings(mostLive); err != nil {
		return a, err
	}
	known, err := v.Sources()
	if err != nil {
		return a, err
	}
	for _, src := range known {
		a.sources[src.Name] = src
	}
	if a.cursors, err = v.MailCursors(); err != nil {
		return a, err
	}
	a.mailed = s.recipientsWith(a.roster)
	told, err := v.HaveTold()
	if err != nil {
		return a, err
	}
	for _, src := range s.config.Sources {
		switch src.Spec.(type) {
		case config.Facts, config.FactsAPI:
			a.blind = a.blind || !told[string(src.Name)]
		}
	}
	taken, err := v.NewestStanding()
	ahead := taken.Sub(c.in.Now.Truncate(time.Second))
	a.late = len(c.Reports) > 0 && ahead > 0 && ahead < overlap
	return a, err
}

// events returns what is to be recorded: what came up, then what is mended.
func (a assessment) events() (events []ledger.Event) {
	var cleared []ledger.Event
	about := make(map[string][]state.Finding) // what is live of misses, by application
	for _, f := range a.live {
		if coverage.IsMiss(f.Kind) {
			app, _ := coverage.About(string(f.Subject))
			about[app] = append(about[app], f)
			continue
		}
		if why, mended := a.mended(f); mended {
			cleared = append(cleared, clearing(f, why))
		} else if again := a.again(f); again != nil {
			events = append(events, again)
		}
	}
	if a.late {
		return append(events, cleared...)
	}
	for _, r := range a.reports {
		name := r.Application.Name()
		up, gone := a.compare(r, about[name])
		events, cleared = append(events, up...), append(cleared, gone...)
		delete(about, name)
	}
	for _, f := range a.live {
		app, _ := coverage.About(string(f.Subject))
		if _, left := about[app]; left && coverage.IsMiss(f.Kind) {
			cleared = append(cleared, clearing(f, app+" is no application of the configuration any more"))
		}
	}
	return append(events, cleared...)
}

func clearing(f state.Finding, why string) ledger.FindingCleared {
	return ledger.FindingCleared{Entry: f.N, Finding: f.Kind, Subject: f.Subject, Reason: ledger.TextOf(why)}
}

// compare compares what an application misses with what is live of that.
func (a assessment) compare(r coverage.Report, live []state.Finding) (up, gone []ledger.Event) {
	app := r.Application.Name()
	find := func(kind string, subject ledger.Text) int {
		return slices.IndexFunc(live, func(f state.Finding) bool { return f.Kind == kind && f.Subject == subject })
	}
	named := 0 // findings about components
	for _, f := range live {
		if _, component := coverage.About(string(f.Subject)); component != "" {
			named++
		}
	}
	missed := make([]bool, len(live))
	more := false
	raise := func(m coverage.Miss) {
		subject := ledger.TextOf(m.Subject)
		i := find(m.Kind, subject)
		if i >= 0 {
			missed[i] = true
		}
		if i >= 0 && !a.news(live[i], m) {
			return
		}
		if _, component := coverage.About(m.Subject); i < 0 && component != "" {
			if named == mostMissed {
				more = true
				return
			}
			named++
		}
		up = append(up, ledger.FindingRaised{Finding: m.Kind, Subject: subject, Text: ledger.TextOf(m.Text)})
	}
	for _, m := range coverage.Misses(r) {
		raise(m)
	}
	if more {
		raise(coverage.Miss{Kind: coverage.KindMore, Subject: app, Text: fmt.Sprintf("more is missed than the %d components that are told one by one", mostMissed)})
	}
	for i, f := range live {
		if missed[i] {
			continue
		}
		why := coverage.Gone(r, f.Kind, string(f.Subject))
		if a.blind && why == coverage.NotNeeded(r) {
			continue // nobody knows yet what it needs
		}
		gone = append(gone, clearing(f, why))
	}
	return up, gone
}

// news reports whether people are told again of a miss: that an acknowledgement
// is over, or what they were not told yet.
func (a assessment) news(f state.Finding, m coverage.Miss) bool {
	if f.Ack != nil && !f.Silent(a.now) {
		return true
	}
	if f.Text == ledger.TextOf(m.Text) {
		return false
	}
	told := strings.Split(string(f.Text), "; ")
	return slices.ContainsFunc(m.Terms, func(term string) bool { return !slices.Contains(told, string(ledger.TextOf(term))) })
}

// mended says why a finding that is not about coverage is none any more, if
// that is known.
func (a assessment) mended(f state.Finding) (why string, mended bool) {
	subject := string(f.Subject)
	switch f.Kind {
	case child.HostKeyRefused:
		if !slices.ContainsFunc(a.config.Sources, func(src config.Source) bool { return string(src.Name) == subject }) {
			return "the source is not configured any more", true
		}
		whole := a.sources[safe.SourceName(subject)].Complete
		return "the source was collected since", whole != nil && whole.Kept != nil && whole.Kept.Started.After(f.Seen)
	case refusedMail:
		if !slices.Contains(a.mailed, subject) {
			return "nobody is told anything there any more", true
		}
		cursor, known := a.cursors[subject]
		return "the server takes mails for it again", known && cursor.Refused == 0
	case report.NobodyLeft:
		for _, r := range roleKeys {
			if string(r.role) == subject {
				able, _ := a.able(r)
				return "somebody can act again", len(able) > 0
			}
		}
	}
	return "", false
}

// again returns what is recorded when an acknowledgement is over of a finding
// that nothing has mended: that it is open again, or that it is cleared, if it
// was an event that has not come up again.
func (a assessment) again(f state.Finding) ledger.Event {
	if f.Ack == nil || f.Silent(a.now) {
		return nil
	}
	if happened(f.Kind) && f.Last < f.Acked {
		return clearing(f, "it has not come up again since it was acknowledged")
	}
	return ledger.FindingRaised{Finding: f.Kind, Subject: f.Subject, Text: f.Text}
}

// happened reports whether findings of that kind are events: each collection or
// restore tells of those that it sees. The others are states, which last until
// they are mended.
func happened(kind string) bool {
	return kind == contentChanged || kind == collectorLied || kind == wrongRestore
}

// keepStandings keeps how it stands with each application today.
func keepStandings(tx *state.Tx, c Coverage) error {
	for _, r := range c.Reports {
		b, err := standingOf(r)
		if err != nil {
			return err
		}
		if err := tx.KeepStanding(state.Standing{Application: r.Application.Name(), Taken: c.in.Now, Bytes: b}, mostDays); err != nil {
			return err
		}
	}
	return nil
}

// Findings returns what people must look at, oldest first: what nothing has
// cleared yet.
func (s *Safe) Findings(ctx context.Context) ([]state.Finding, error) {
	var all []state.Finding
	err := s.state.Look(ctx, func(v state.View) error {
		a, err := s.assessment(v, Coverage{})
		all = slices.DeleteFunc(a.live, func(f state.Finding) bool {
			_, mended := a.mended(f) // and the next Assess records it
			return mended
		})
		return err
	})
	return all, err
}

// mostCleared is how many findings are shown that were cleared.
const mostCleared = 100

// ClearedFindings returns what was cleared, the newest first.
func (s *Safe) ClearedFindings(ctx context.Context) ([]state.Finding, error) {
	return s.state.View(ctx).ClearedFindings(mostCleared)
}

// ErrNoFinding says that an entry raises no finding, or one that was cleared.
var ErrNoFinding = errors.New("it raises no finding, or one that was cleared since")

// Acknowledge records that somebody takes a finding on themselves, until a time,
// and returns the finding. The entry is one that has raised it.
func (s *Safe) Acknowledge(ctx context.Context, entry int64, until time.Time, reason, account string) (state.Finding, error) {
	now := s.opts.Now()
	if !until.After(now) || until.Sub(now) > LongestAck {
		return state.Finding{}, fmt.Errorf("until %s: a finding is acknowledged for a time, of a year at most", until.Local().Format(time.DateOnly))
	}
	var f state.Finding
	err := s.state.Update(ctx, func(tx *state.Tx) error {
		raised, err := tx.View().EntriesFrom(entry, 1)
		if err != nil {
			return err
		}
		what := ledger.FindingRaised{}
		ok := len(raised) == 1 && raised[0].N == entry
		if ok {
			what, ok = raised[0].What.(ledger.FindingRaised)
		}
		if ok {
			f, ok, err = tx.View().LiveFinding(what.Finding, what.Subject)
		}
		if err != nil {
			return err
		}
		if !ok || f.N > entry { // it is another one, that began later
			return ErrNoFinding
		}
		ack := ledger.FindingAcknowledged{Entry: f.N, Finding: f.Kind, Subject: f.Subject, Until: until.UTC(), Reason: ledger.TextOf(reason), Account: ledger.TextOf(account)}
		return tx.Append(now, ledger.Safe, ack)
	})
	if err != nil {
		return f, err
	}
	return f, s.Publish(ctx)
}
