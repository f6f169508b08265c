package main

import (
	"fmt"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/access/compose"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/ui"
)

func (a *app) peopleObjectCommand() *cobra.Command {
	var reason string
	c := &confirm{}
	cmd := &cobra.Command{
		Use:   "object [DIGEST] --reason TEXT",
		Short: "Stop a proposed version of the roster",
		Long: `Stop a version of the roster that is proposed or waits for its time. What was
agreed on it counts no more; a keykeeper and an operator without you can agree
anew.`,
		Example: `  strongroom people object --reason "nobody has told me of this"`,
		Args:    args(0, 1, "at most one digest"),
		RunE: func(_ *cobra.Command, given []string) error {
			text, err := reasonOf(reason)
			if err != nil {
				return err
			}
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			everyone, roster, err := p.people(a.stop)
			if err != nil {
				return err
			}
			_, next, err := chooseProposal(everyone, slices.Concat(given, []string{""})[0])
			if err != nil {
				return err
			}
			for _, line := range compose.Changes(roster, next) {
				a.talk().Printf("  - %s", line)
			}
			if err := c.ask(a, fmt.Sprintf("Object to version %d?", next.Number)); err != nil {
				return err
			}
			signed, err := p.sign(access.Object{Number: next.Number, Digest: next.Digest(), Reason: text})
			if err == nil {
				err = explainSent(p.client.Object(a.stop, signed))
			}
			if err != nil {
				return err
			}
			a.talk().Printf("You have objected to version %d, %.8s.", next.Number, next.Digest())
			a.talk().Emit("objected", map[string]any{"n": next.Number, "digest": next.Digest()})
			return nil
		},
	}
	cmd.Flags().StringVar(&reason, "reason", "", "why, for everybody to read")
	c.register(cmd)
	return cmd
}

func (a *app) peopleSuspendCommand() *cobra.Command {
	var reason string
	var fingerprints []string
	c := &confirm{}
	cmd := &cobra.Command{
		Use:   "suspend NAME --reason TEXT",
		Short: "Stop somebody, or one of their keys, at once",
		Long: `Stop somebody at once, or some of their keys: a lost laptop, somebody who has
left. Their openings close, and their agreements count no more. Any person of
the roster may do it. It lasts until a version of the roster lifts it.`,
		Example: `  strongroom people suspend otto --reason "laptop lost"
  strongroom people suspend otto --key SHA256:Yx5w --reason "key lost"`,
		Args: args(1, 1, "one name"),
		RunE: func(_ *cobra.Command, given []string) error {
			text, err := reasonOf(reason)
			if err != nil {
				return err
			}
			p, err := a.openPerson()
			if err != nil {
				return err
			}
			defer p.Close()
			_, roster, err := p.people(a.stop)
			if err != nil {
				return err
			}
			acts, err := suspensions(roster, given[0], fingerprints, text)
			if err != nil {
				return err
			}
			if err := c.ask(a, fmt.Sprintf("Suspend %s?", whom(acts))); err != nil {
				return err
			}
			for _, act := range acts {
				signed, err := p.sign(act)
				if err == nil {
					err = explainSent(p.client.Suspend(a.stop, signed))
				}
				if err != nil {
					return err
				}
				a.talk().Printf("%s", suspended(act))
				m := map[string]any{"person": act.Person}
				if !act.Key.IsZero() {
					m["key"] = act.Key.Fingerprint()
				}
				a.talk().Emit("suspended", m)
			}
			a.talk().Note("What this should have stopped, see: strongroom opening list. It ends with: strongroom people lift %s", given[0])
			return nil
		},
	}
	f := cmd.Flags()
	f.StringVar(&reason, "reason", "", "why, for everybody to read")
	f.StringArrayVar(&fingerprints, "key", nil, "`fingerprint` of the one SSH key or passkey that is meant, or its beginning; may be given several times")
	c.register(cmd)
	return cmd
}

// suspended says what an act has suspended.
func suspended(act access.Suspend) string {
	if act.Key.IsZero() {
		return fmt.Sprintf("%s is suspended, with all keys.", act.Person)
	}
	return fmt.Sprintf("The key %s of %s is suspended.", act.Key.Fingerprint(), act.Person)
}

// whom says what acts about one person are to suspend.
func whom(acts []access.Suspend) string {
	if acts[0].Key.IsZero() {
		return string(acts[0].Person)
	}
	var keys []string
	for _, act := range acts {
		keys = append(keys, act.Key.Fingerprint())
	}
	return fmt.Sprintf("the key %s of %s", strings.Join(keys, " and the key "), acts[0].Person)
}

// suspensions finds who, and which keys, are meant.
func suspensions(roster access.Roster, name string, fingerprints []string, reason ledger.Text) ([]access.Suspend, error) {
	person, ok := roster.Person(safe.PersonName(name))
	if !ok {
		return nil, &ui.UsageError{Problem: fmt.Sprintf("there is no %q in the roster", name), Remedy: "See who is: strongroom people list"}
	}
	if len(fingerprints) == 0 {
		return []access.Suspend{{Person: person.Name, Reason: reason}}, nil
	}
	var acts []access.Suspend
	for _, fingerprint := range fingerprints {
		act, err := keySuspension(person, fingerprint, reason)
		if err != nil {
			return nil, err
		}
		if !slices.Contains(acts, act) {
			acts = append(acts, act)
		}
	}
	return acts, nil
}

// keySuspension finds the one key of a person that begins like that.
func keySuspension(person access.Person, fingerprint string, reason ledger.Text) (access.Suspend, error) {
	act, remedy := access.Suspend{Person: person.Name, Reason: reason}, "There is "+keysOf(person)
	for _, key := range person.Keys() {
		if strings.HasPrefix(key.Fingerprint(), fingerprint) || strings.HasPrefix(strings.TrimPrefix(key.Fingerprint(), "SHA256:"), fingerprint) {
			if !act.Key.IsZero() {
				return act, &ui.UsageError{Problem: fmt.Sprintf("several keys of %s begin with %q", person.Name, fingerprint), Remedy: remedy}
			}
			act.Key = key
		}
	}
	if act.Key.IsZero() {
		return act, &ui.UsageError{Problem: fmt.Sprintf("%s has no key that begins with %q", person.Name, fingerprint), Remedy: remedy}
	}
	return act, nil
}

// reasonOf checks the text that everybody will read in ledger and mails.
func reasonOf(s string) (ledger.Text, error) {
	var t ledger.Text
	if s == "" {
		return t, &ui.UsageError{Problem: "the reason is missing", Remedy: "Add --reason TEXT: it stands in the ledger, and in mails to everybody."}
	}
	if err := t.UnmarshalText([]byte(s)); err != nil {
		return t, &ui.UsageError{Problem: "--reason: " + err.Error(), Remedy: "Write it on one line."}
	}
	return t, nil
}
