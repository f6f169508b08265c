package main

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
	"strongroom/internal/web/assets"
)

// openSafe opens the safe of the configuration.
func (a *app) openSafe() (*daemon.Safe, error) { return a.openSafeLogging(a.logger()) }

func (a *app) openSafeLogging(log *slog.Logger) (*daemon.Safe, error) {
	cfg, err := a.config()
	if err != nil {
		return nil, err
	}
	opts := daemon.Options{Logger: log, Now: a.now}
	if cfg.Serve != nil && len(cfg.Serve.Origins()) > 0 {
		opts.Pages = assets.Digest()
	}
	s, err := daemon.Open(a.ctx, cfg, opts)
	var not *daemon.NotInitialisedError
	var lost *daemon.StateLostError
	switch {
	case errors.As(err, &lost):
		err = ui.WithRemedy(err, rebuildIt)
	case errors.As(err, &not):
		err = ui.WithRemedy(err, "Make it once: strongroom init --outer FILE --inner FILE")
	case errors.Is(err, fs.ErrPermission):
		err = ui.WithRemedy(err, "Run it as the user whom the safe belongs to, which is root as a rule.")
	default:
		err = explainStore(err)
	}
	return s, err
}

const rebuildIt = "Make it anew from the store: strongroom rebuild --checkpoint NEWEST-MAIL"

// explainStore adds to an error of opening a store what most likely is wrong.
func explainStore(err error) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, catalog.ErrNoStore) {
		return ui.WithRemedy(err, "Is the folder right, and is its filesystem mounted?")
	}
	return err
}

// sourceOf returns the source of that name.
func sourceOf(cfg *config.Config, name string) (config.Source, error) {
	var names []string
	for _, src := range cfg.Sources {
		if string(src.Name) == name {
			return src, nil
		}
		names = append(names, string(src.Name))
	}
	remedy := "It has " + strings.Join(names, ", ") + "."
	switch near, ok := config.Nearest(name, names); {
	case ok:
		remedy = fmt.Sprintf("Did you mean %s? %s", near, remedy)
	case len(names) == 0:
		remedy = "It has none yet; for what one looks like see: strongroom config example"
	}
	return config.Source{}, &ui.UsageError{Problem: fmt.Sprintf("there is no source %q in the configuration", name), Remedy: remedy}
}

func (a *app) initCommand() *cobra.Command {
	var outerFile, innerFile string
	cmd := &cobra.Command{
		Use:   "init --outer FILE --inner FILE",
		Short: "Make the safe that the configuration describes",
		Long: `Make the safe that the configuration describes: its store, its own keys, its
ledger. Every run will be sealed to two role keys, the keykeepers' (outer) and
the operators' (inner), whose public halves are given here, each in a file or as
the text that begins with age1pq1. Make them with "strongroom keys new-role",
each on its holder's own machine; their private halves never come to the safe.

It shows the ledger's key, which tells a genuine store from a forged one: keep
it with the role keys.`,
		Example: `  strongroom init --outer outer.key.pub --inner inner.key.pub`,
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			outer, err := readRecipient(outerFile, "--outer", seal.ParseOuterRecipient)
			if err != nil {
				return err
			}
			inner, err := readRecipient(innerFile, "--inner", seal.ParseInnerRecipient)
			if err != nil {
				return err
			}
			var lost *daemon.StateLostError
			s, err := daemon.Init(a.ctx, cfg, outer, inner, daemon.Options{Logger: a.logger(), Now: a.now})
			switch {
			case errors.Is(err, daemon.ErrSameKey):
				return &ui.UsageError{Problem: err.Error(), Remedy: "Give --outer the keykeepers' key and --inner the operators'."}
			case errors.Is(err, daemon.ErrExists):
				return refusedError{err}
			case errors.As(err, &lost):
				return refusedError{ui.WithRemedy(err, rebuildIt)}
			case errors.Is(err, dir.ErrNotEmpty):
				return refusedError{ui.WithRemedy(err, "Name an empty folder, or one that does not exist yet, as `store` in the configuration.")}
			case err != nil:
				return err
			}
			defer s.Close() // everything was committed
			if err := a.rememberOwn(s); err != nil {
				return err
			}
			return a.showInit(s)
		},
	}
	cmd.Flags().StringVar(&outerFile, "outer", "", "public half of the keykeepers' role key: `file` or text")
	cmd.Flags().StringVar(&innerFile, "inner", "", "public half of the operators' role key: `file` or text")
	return cmd
}

func (a *app) showInit(s *daemon.Safe) error {
	t, cfg := a.talk(), s.Config()
	key := s.LedgerKeys()[0].String()
	t.Printf("Safe %s is ready.\n  store       %s (%s)\n  keys, state %s\n  ledger key  %s\n", cfg.Safe, cfg.Store, s.ID(), cfg.Dir, key)
	t.Note("Keep the ledger key with the role keys: it tells a genuine store from a forged one.")
	switch {
	case len(cfg.Sources) == 0:
		t.Note("Next: describe a source in the configuration; see strongroom config example")
	case cfg.Serve != nil:
		t.Note("Next: strongroom doctor, then strongroom serve and strongroom people invite. Collect when the people are in the roster: from the first snapshot on each change of them waits for a day.")
	default:
		t.Note("Next: strongroom doctor, then strongroom collect --all")
	}
	t.Emit("safe", map[string]any{"name": cfg.Safe, "store": s.ID(), "ledger_key": key})
	return nil
}

func (a *app) forgetCommand() *cobra.Command {
	var yes bool
	var reason string
	cmd := &cobra.Command{
		Use:   "forget SOURCE",
		Short: "Forget a source, so that everything of it is stored again",
		Long: `Drop what the safe remembers of a source's newest snapshot. Snapshots stay as
they are; the next collection reads and stores everything again. It is for after
an incident, when what production told may have been a lie. It is recorded in
the ledger, with the reason.`,
		Example: `  strongroom forget erp-files --reason "restored after the break-in"`,
		Args:    args(1, 1, "one source"),
		RunE: func(cmd *cobra.Command, given []string) error {
			s, err := a.openSafe()
			if err != nil {
				return err
			}
			defer s.Close() // everything was committed
			src, err := sourceOf(s.Config(), given[0])
			if err != nil {
				return err
			}
			if !yes {
				question := fmt.Sprintf("Forget %s? The next collection reads and stores all of it again.", src.Name)
				ok, err := a.talk().Ask(cmd.Context(), question, "Add --yes to go on without being asked.")
				if err != nil {
					return err
				}
				if !ok {
					a.talk().Note("Nothing was forgotten.")
					return nil
				}
			}
			if err := s.Forget(a.ctx, src.Name, reason); err != nil {
				return err
			}
			a.talk().Printf("%s is forgotten: its next collection stores everything again.", src.Name)
			a.talk().Emit("forgotten", map[string]safe.SourceName{"source": src.Name})
			return nil
		},
	}
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.Flags().StringVar(&reason, "reason", "by hand", "why, for the ledger")
	return cmd
}

// readRecipient takes a public key as text, or from a file.
func readRecipient[R any](value, flag string, parse func(string) (R, error)) (R, error) {
	var none R
	if value == "" {
		return none, &ui.UsageError{Problem: flag + " is missing", Remedy: `Make a role key with "strongroom keys new-role" and give its public half.`}
	}
	if r, err := parse(value); err == nil {
		return r, nil
	}
	b, err := os.ReadFile(value)
	if err != nil {
		return none, fmt.Errorf("%s is neither a public key nor a file with one: %w", flag, err)
	}
	if bytes.Contains(b, []byte("AGE-SECRET-KEY-")) {
		return none, &ui.UsageError{Problem: fmt.Sprintf("%s %s holds the private half of a key, which must never come to the safe", flag, value),
			Remedy: "Give the public half, which is in the file that ends in .pub, and remove the private one from this machine."}
	}
	role, other := strings.TrimPrefix(flag, "--"), "inner"
	if role == other {
		other = "outer"
	}
	if bytes.Contains(b, []byte(publicComment(other))) {
		return none, &ui.UsageError{Problem: fmt.Sprintf("%s %s holds the %s key", flag, value, other),
			Remedy: "The keys are exchanged: --outer takes the keykeepers' public half, --inner the operators'."}
	}
	text, err := publicLine(b)
	if err != nil {
		return none, fmt.Errorf("%s %s: %w", flag, value, err)
	}
	r, err := parse(text)
	if err != nil {
		return none, fmt.Errorf("%s %s: %w", flag, value, err)
	}
	return r, nil
}
