package main

import (
	"fmt"
	"slices"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/api"
	"strongroom/internal/access/opening"
	"strongroom/internal/access/profile"
	"strongroom/internal/access/review"
	"strongroom/internal/ledger"
	"strongroom/internal/ui"
)

func (a *app) releaseCommand() *cobra.Command {
	c := &confirm{}
	phrase := &passphrase{}
	cmd := &cobra.Command{
		Use:   "release [ID]",
		Short: "Release what an operator asks for, as a keykeeper",
		Long: `Release what an operator asks for. This machine checks everything that the safe
says: the operator's signature, the roster, that the ledger is the one that it
remembers and vouches for each snapshot. It shows who asks, why, from where,
until when, and what is disclosed: all that was new in each collection named. If
you say yes, it opens the outer seals, which leaves the inner ones, and signs.

An opening that is open lasts longer if it is released again, by its id.

Your keys and the outer role key do not leave this machine; the safe gets files
that only operators can open, for the time of the opening.`,
		Example: `  strongroom opening release
  strongroom opening release 7c57`,
		Args: args(0, 1, "at most one id"),
		RunE: func(_ *cobra.Command, given []string) error {
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			return p.releaseOpening(slices.Concat(given, []string{""})[0], c, phrase)
		},
	}
	c.register(cmd)
	phrase.register(cmd)
	return cmd
}

func (p *person) releaseOpening(part string, c *confirm, phrase *passphrase) error {
	everyone, roster, err := p.people(p.stop)
	if err != nil {
		return err
	}
	self, err := p.own(everyone, roster)
	if err != nil {
		return err
	}
	if !self.Has(access.Keykeeper) {
		return refusedError{fmt.Errorf("only keykeepers release, and %s is %s", self.Name, rolesOf(self.Roles))}
	}
	openings, err := p.openings()
	if err != nil {
		return err
	}
	fits := inState(opening.Requested)
	if part != "" {
		fits = inState(opening.Requested, opening.Open) // nobody prolongs an opening by mistake
	}
	chosen, err := chooseOpening(openings, part, fits)
	if err != nil {
		return err
	}
	var earlier *opening.Release
	if chosen.State == opening.Open {
		open, err := p.client.Opening(p.stop, chosen.ID)
		if err != nil {
			return explainCall(err)
		}
		earlier = open.Release
	}
	known := recall(p.profile.Store)
	granted, err := p.client.Grant(p.stop, chosen.ID, known.size())
	if err != nil {
		return explainCall(err)
	}
	r, err := review.Check(chosen.ID, granted, earlier, roster, known.newest(), p.now())
	if err != nil {
		return refusedError{ui.WithRemedy(fmt.Errorf("do not release this: %w", err), "Tell the other people: the safe shows something that does not hold.")}
	}
	if err := known.keep(r.Checkpoint, roster.LedgerKeys, granted.Head.Checkpoint); err != nil {
		p.talk().Note("The newest checkpoint could not be remembered: %v", err)
	}
	if earlier != nil {
		p.talk().Note("This opening is open, and will last longer.")
	}
	p.showReview(r, openings)
	if err := c.ask(p.app, fmt.Sprintf("Release this to %s?", r.Operator.Name)); err != nil {
		return err
	}
	inner, err := p.openOuter(r, roster, phrase)
	if err != nil {
		return err
	}
	release, err := opening.Sign(p.profile.Person, granted.Nonce, granted.Grant, granted.Request, p.signer)
	if err != nil {
		return err
	}
	if err := p.client.Release(p.stop, r.Grant.Opening, release, inner); err != nil {
		return explainSent(err)
	}
	p.talk().Printf("Opening %s is released to %s until %s.", r.Grant.Opening, r.Operator.Name, r.Grant.Until.Local().Format("2006-01-02 15:04"))
	p.talk().Note("It ends before with: strongroom opening close")
	p.talk().Emit("released", map[string]any{"opening": r.Grant.Opening, "operator": r.Operator.Name, "runs": len(inner), "until": r.Grant.Until})
	return nil
}

// openOuter opens the outer seal of each run, with the copies that this person
// has.
func (p *person) openOuter(r *review.Review, roster access.Roster, phrase *passphrase) ([]api.Inner, error) {
	personal, err := p.unlock(p.profile, phrase)
	if err != nil {
		return nil, err
	}
	keys, err := profile.OuterKeys(roster, p.profile.Person, personal)
	if err != nil {
		p.talk().Warn("%v", err)
	}
	progress := p.talk().Progress("opening outer seals", "of "+ui.Count(int64(len(r.Grant.Runs))))
	defer progress.Done()
	inner, err := r.Open(p.client.Envelopes(p.stop, r.Grant.Opening), keys, func(size int64) { progress.Add(1, size) })
	return inner, explainCall(err)
}

// showReview shows what the keykeeper decides on.
func (p *person) showReview(r *review.Review, openings []seen) {
	t, g := p.talk(), r.Grant
	who := string(r.Operator.Name)
	if r.Operator.FullName != "" {
		who += fmt.Sprintf(" (%s)", r.Operator.FullName)
	}
	t.Printf("%s asks to read\n  why       %s\n  from      %s, with the SSH key %s\n  until     %s, %s\n  asked     %s\n  opening   %s", who, g.Reason, g.Address, r.Key.Fingerprint(),
		g.Until.Local().Format("2006-01-02 15:04"), plural(int64(g.Until.Sub(g.From)/time.Hour), "hour", "hours"), ui.Age(r.Asked.Local(), p.now()), g.Opening)
	names := namesOf(r.Descriptions)
	for _, d := range r.Descriptions {
		t.Printf("  snapshot  %s, with %s", names.of(d), ui.Size(d.Bytes))
	}
	for _, d := range r.Disclosed {
		t.Printf("  opens     %s of %s, %s", plural(int64(d.Collections), "collection", "collections"), d.Source, span(d.From.Local(), d.To.Local()))
		t.Emit("discloses", map[string]any{"opening": g.Opening, "source": d.Source, "collections": d.Collections, "from": d.From, "to": d.To})
	}
	p.showEarlier(openings, r)
}

// earlier is how many openings before this one are shown.
const earlier = 3

func (p *person) showEarlier(openings []seen, r *review.Review) {
	shown := 0
	for _, o := range openings {
		if o.ID == r.Grant.Opening || shown == earlier {
			continue
		}
		shown++
		p.talk().Printf("  earlier   %s, %s by %s: %s", ui.Age(o.by.Time.Local(), p.now()), o.State, o.by.Person, o.request.Reason)
	}
}

// span writes from when to when, in days.
func span(from, to time.Time) string {
	a, b := from.Format("2 Jan 2006"), to.Format("2 Jan 2006")
	switch {
	case a == b:
		return a
	case from.Year() == to.Year():
		return from.Format("2 Jan") + " to " + b
	}
	return a + " to " + b
}

// size returns how large the newest checkpoint is that is remembered, 0 if
// there is none.
func (r *remembered) size() int64 { return r.newest().Size }

// newest returns the newest checkpoint that is remembered, the zero one if
// there is none.
func (r *remembered) newest() ledger.Checkpoint {
	if len(r.kept) == 0 {
		return ledger.Checkpoint{}
	}
	return r.kept[0]
}
