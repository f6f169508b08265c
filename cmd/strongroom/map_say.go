package main

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"strconv"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/estate"
	"strongroom/internal/ui"
)

// A saying is what a person says of a dependency on the command line.
type saying struct {
	app    *app
	need   string
	reason string
}

// flags adds those that say what for and why.
func (s *saying) flags(cmd *cobra.Command, need string) {
	if need != "" {
		cmd.Flags().StringVar(&s.need, "kind", "", "`need` of "+needWords()+": "+need)
	}
	cmd.Flags().StringVar(&s.reason, "reason", "", "why, for the ledger and everybody who looks at the map")
}

func needWords() string {
	words := make([]string, len(estate.Needs))
	for i, n := range estate.Needs {
		words[i] = string(n)
	}
	return strings.Join(words, ", ")
}

// check reports what cannot be said so.
func (s *saying) check() error {
	if s.need != "" && !estate.Need(s.need).Valid() {
		return &ui.UsageError{Problem: fmt.Sprintf("--kind %q is no need", s.need), Remedy: "There are " + needWords() + "."}
	}
	if strings.TrimSpace(s.reason) == "" {
		return &ui.UsageError{Problem: "--reason is empty", Remedy: "Say why: others have to decide by it in the worst week of the year."}
	}
	if len(s.reason) > estate.MaxDetail {
		return &ui.UsageError{Problem: fmt.Sprintf("--reason has %d bytes, at most %d are possible", len(s.reason), estate.MaxDetail)}
	}
	return nil
}

func (a *app) mapConfirmCommand() *cobra.Command {
	s := &saying{app: a}
	cmd := &cobra.Command{
		Use:   "confirm A B --reason WHY",
		Short: "Say that A needs B indeed",
		Long: `Say that a dependency of the map is there indeed. It stays on the map although
nothing is seen of it any more. It is recorded in the ledger with the account of
this host; the configuration wins over it.`,
		Example: `  strongroom map confirm host/erp-app service/ldap --reason "seen at the drill"`,
		Args:    args(2, 2, "two components"),
		RunE: func(_ *cobra.Command, given []string) error {
			return s.say(estate.Confirmed, given, func(m *estate.Map, from, to estate.ID) (estate.Need, error) {
				if s.need != "" {
					return estate.Need(s.need), nil
				}
				found := m.Between(from, to)
				if len(found) != 1 {
					return "", &ui.UsageError{Problem: fmt.Sprintf("the map has %s of %s on %s", plural(int64(len(found)), "dependency", "dependencies"), from, to),
						Remedy: "Say which, or what is missing, with --kind."}
				}
				return found[0].Need, nil
			})
		},
	}
	s.flags(cmd, "what A needs B for (default: what the map has)")
	return cmd
}

func (a *app) mapRejectCommand() *cobra.Command {
	s := &saying{app: a}
	cmd := &cobra.Command{
		Use:   "reject A B --reason WHY",
		Short: "Say that A does not need B, though it looks so",
		Long: `Say that a dependency of the map is none. It is taken off the map, and stays off
whatever is discovered; what speaks for it is kept beside the reason. It is
recorded in the ledger with the account of this host; the configuration wins
over it.`,
		Example: `  strongroom map reject host/erp-app host/backup --reason "nothing waits"`,
		Args:    args(2, 2, "two components"),
		RunE: func(_ *cobra.Command, given []string) error {
			return s.say(estate.Rejected, given, func(m *estate.Map, from, to estate.ID) (estate.Need, error) {
				for _, d := range m.Between(from, to) {
					if s.need == "" || d.Need == estate.Need(s.need) {
						return estate.Need(s.need), nil
					}
				}
				return "", fmt.Errorf("the map does not say that %s needs %s: there is nothing to reject", from, to)
			})
		},
	}
	s.flags(cmd, "which of them there is not (default: none of them is)")
	return cmd
}

func (a *app) mapAddCommand() *cobra.Command {
	s := &saying{app: a}
	cmd := &cobra.Command{
		Use:   "add A B --reason WHY",
		Short: "Say that A needs B, which nothing shows",
		Long: `Say what A uses B for, all of it: dependencies of the two that were discovered
for another need are set aside, but for what runs on what. Components that are
not on the map yet come onto it. It is recorded in the ledger with the account
of this host; the configuration wins over it.`,
		Example: `  strongroom map add host/erp-app external/license.vendor.example \
      --kind start --reason "it asks for its licence"`,
		Args: args(2, 2, "two components"),
		RunE: func(_ *cobra.Command, given []string) error {
			return s.say(estate.Added, given, func(*estate.Map, estate.ID, estate.ID) (estate.Need, error) {
				if s.need == "" {
					return estate.Run, nil
				}
				return estate.Need(s.need), nil
			})
		},
	}
	s.flags(cmd, "what A needs B for (default: run)")
	return cmd
}

// say records a verdict on what two words mean. decide tells which need it is
// about, of two components as the map has them.
func (s *saying) say(verdict estate.Verdict, given []string, decide func(m *estate.Map, from, to estate.ID) (estate.Need, error)) error {
	if err := s.check(); err != nil {
		return err
	}
	return s.app.withMap(func(safe *daemon.Safe, m *estate.Map) error {
		find := func(word string) (estate.ID, error) {
			c, err := findComponent(m, word)
			if id, badID := estate.ParseID(word); err != nil && verdict == estate.Added && badID == nil {
				return id, nil // it comes onto the map
			}
			return c.ID, err
		}
		from, err := find(given[0])
		if err != nil {
			return err
		}
		to, err := find(given[1])
		if err != nil {
			return err
		}
		need, err := decide(m, from, to)
		if err != nil {
			return err
		}
		r := estate.Ruling{Verdict: verdict, From: from, To: to, Need: need, Evidence: estate.Evidence{Detail: s.reason}}
		if err := safe.Rule(s.app.ctx, r, account()); err != nil {
			if overruled := (*daemon.OverruledError)(nil); errors.As(err, &overruled) {
				err = ui.WithRemedy(err, "Change it there.")
			}
			return err
		}
		t := s.app.talk()
		t.Printf("%s", inWordsOfRuling(r))
		t.Emit("ruled", r)
		return nil
	})
}

func inWordsOfRuling(r estate.Ruling) string {
	need := ""
	if r.Need != "" {
		need = ", " + inWordsOf(estate.Dependency{Need: r.Need})
	}
	switch r.Verdict {
	case estate.Rejected:
		return fmt.Sprintf("%s does not need %s%s.", r.From, r.To, need)
	default:
		return fmt.Sprintf("%s needs %s%s.", r.From, r.To, need)
	}
}

func (a *app) mapUndoCommand() *cobra.Command {
	s := &saying{app: a}
	cmd := &cobra.Command{
		Use:   "undo A B --reason WHY",
		Short: "Take back what was said of whether A needs B",
		Long: `Take back what was said of whether A needs B with confirm, reject and add, or by
an officer on the map's pages: then the map has what is discovered, and what the
configuration says. That it was said, and that it was taken back, stays in the
ledger.`,
		Example: `  strongroom map undo host/erp-app host/backup --reason "it does wait for it"`,
		Args:    args(2, 2, "two components"),
		RunE: func(_ *cobra.Command, given []string) error {
			if err := s.check(); err != nil {
				return err
			}
			return a.withMap(func(safe *daemon.Safe, m *estate.Map) error {
				var ids [2]estate.ID
				for i, word := range given {
					c, err := findComponent(m, word)
					id, badID := estate.ParseID(word)
					switch {
					case err == nil:
						ids[i] = c.ID
					case badID == nil:
						ids[i] = id // it may be off the map by now
					default:
						return err
					}
				}
				taken, err := safe.WithdrawRulings(a.ctx, ids[0], ids[1], s.reason, account())
				if err != nil {
					return err
				}
				for _, r := range taken {
					a.talk().Printf("Taken back, entry %d: %s", r.Entry, inWordsOfRuling(r.Ruling))
					a.talk().Emit("withdrawn", map[string]any{"entry": r.Entry, "ruling": r.Ruling})
				}
				return nil
			})
		},
	}
	s.flags(cmd, "")
	return cmd
}

// account returns whose account of this host it is: the one that sudo was called
// from, if it was. It is no proof of anything.
func account() string {
	if name := os.Getenv("SUDO_USER"); name != "" {
		return name
	}
	if u, err := user.Current(); err == nil {
		return u.Username
	}
	return "uid " + strconv.Itoa(os.Getuid())
}
