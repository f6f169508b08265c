package main

import (
	"fmt"
	"slices"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/estate"
	"strongroom/internal/ui"
)

func (a *app) mapAnswerCommand() *cobra.Command {
	s := &saying{app: a}
	cmd := &cobra.Command{
		Use:   "answer QUESTION yes|no --reason WHY",
		Short: "Answer whether A may start without B, to open a knot",
		Long: `Answer a question of "map order": whether a component may start without another
that it needs, for as long as the knot takes. After yes the order does not wait
for it; after no it looks for another way. It is recorded in the ledger with the
account of this host, and stands until it is answered anew.`,
		Example: `  strongroom map answer cut-1f0c5a9b2d3e no --reason "it has no local accounts"`,
		Args:    args(2, 2, "a question and yes or no"),
		RunE: func(_ *cobra.Command, given []string) error {
			if given[1] != "yes" && given[1] != "no" {
				return &ui.UsageError{Problem: fmt.Sprintf("%q is no answer", given[1]), Remedy: "Answer yes or no."}
			}
			if err := s.check(); err != nil {
				return err
			}
			return a.withMap(func(safe *daemon.Safe, m *estate.Map) error {
				return a.answer(safe, m, given[0], given[1] == "yes", s.reason)
			})
		},
	}
	s.flags(cmd, "")
	return cmd
}

func (a *app) answer(s *daemon.Safe, m *estate.Map, question string, may bool, reason string) error {
	o, err := s.Order(a.stop, m)
	if err != nil {
		return err
	}
	all, err := s.Questions(a.stop, m, o)
	if err != nil {
		return err
	}
	at := slices.IndexFunc(all, func(q daemon.Question) bool { return q.Name == question })
	if at < 0 {
		return ui.WithRemedy(fmt.Errorf("the order has no question %q", question), "All of them: strongroom map order")
	}
	q := all[at]
	if err := s.Answer(a.ctx, q.Pair, may, reason, account()); err != nil {
		return err
	}
	t := a.talk()
	if may {
		t.Printf("%s may start without %s.", q.From, q.To)
	} else {
		t.Printf("%s may not start without %s.", q.From, q.To)
	}
	t.Emit("answered", map[string]any{"question": question, "from": q.From, "to": q.To, "may": may})
	return nil
}
