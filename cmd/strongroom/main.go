// Strongroom keeps the data that a company needs to rise from ruins: it pulls
// what was specified, seals it so that its own host cannot read it back, and
// restores it for two people together.
//
// Here commands are parsed and concrete things wired together; what commands
// do is in the packages beneath internal.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/safe/config"
	"strongroom/internal/source/pattern"
	"strongroom/internal/ui"
)

// version is set by the linker.
var version = "development"

func main() {
	os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
}

// run is the program without its process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	return runAt(ctx, time.Now, args, stdin, stdout, stderr)
}

// runAt is run with the time from elsewhere, for tests of what waits for days.
func runAt(ctx context.Context, now func() time.Time, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	ctx, stop, release := onSignals(ctx)
	defer release()
	app := &app{ctx: ctx, stop: stop, now: now, stdin: stdin, stdout: stdout, stderr: stderr}
	root := app.command()
	app.json = slices.Contains(args, "--json") // for mistakes that end the parsing before it
	root.SetArgs(args)
	root.SetIn(stdin)
	root.SetOut(stdout)
	root.SetErr(stderr)
	err := root.ExecuteContext(ctx)
	if err == nil && app.terminal != nil {
		err = app.terminal.Err()
	}
	if errors.Is(err, context.Canceled) && stop.Err() != nil {
		err = interrupted(err)
	}
	if err != nil && !errors.Is(err, errSaid) {
		app.talk().Error(err)
	}
	return exitCode(err)
}

// interrupted replaces what became of the work by what the user did to it. What
// is left to do stays.
func interrupted(err error) error {
	remedy := ui.Remedy(err)
	if err = errors.New("interrupted"); remedy != "" {
		err = ui.WithRemedy(err, remedy)
	}
	return err
}

// onSignals returns two contexts. The first interrupt or termination ends
// stop, which asks for an orderly end; the second one ends ctx.
func onSignals(parent context.Context) (ctx, stop context.Context, release func()) {
	ctx, cancel := context.WithCancel(parent)
	stop, cancelStop := context.WithCancel(ctx)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			select {
			case <-ctx.Done():
				return
			case <-signals:
				if stop.Err() != nil {
					cancel()
				}
				cancelStop()
			}
		}
	})
	return ctx, stop, func() {
		signal.Stop(signals)
		cancelStop()
		cancel()
		wait.Wait()
	}
}

// An app is one call of the program.
type app struct {
	ctx, stop      context.Context // kept because cobra has room for one context only
	now            func() time.Time
	stdin          io.Reader
	stdout, stderr io.Writer

	configFile string
	profileDir string
	json       bool
	quiet      bool
	verbose    bool

	terminal *ui.Terminal
}

// talk returns the terminal, made with the flags as they were given.
func (a *app) talk() *ui.Terminal {
	if a.terminal == nil {
		a.terminal = ui.New(a.stdin, a.stdout, a.stderr, ui.Options{JSON: a.json, Quiet: a.quiet, NoColor: os.Getenv("NO_COLOR") != ""})
	}
	return a.terminal
}

// logger returns where operators are told what happens inside.
func (a *app) logger() *slog.Logger {
	if !a.verbose {
		return slog.New(slog.DiscardHandler)
	}
	return slog.New(slog.NewJSONHandler(a.stderr, &slog.HandlerOptions{Level: slog.LevelDebug}))
}

// defaultConfig is looked for when no file is named.
const defaultConfig = "/etc/strongroom/strongroom.yaml"

// config loads the configuration: the file that was named, or else
// strongroom.yaml here, or else the one in /etc.
func (a *app) config() (*config.Config, error) {
	file := a.configFile
	if file == "" {
		file = defaultConfig
		if _, err := os.Stat(filepath.Base(defaultConfig)); err == nil {
			file = filepath.Base(defaultConfig)
		}
	}
	cfg, err := config.Load(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, ui.WithRemedy(noConfigError{err}, "Name the configuration with --config FILE, or begin one: strongroom config example > strongroom.yaml")
	}
	if err != nil {
		return nil, err
	}
	return cfg, checkSources(file, cfg)
}

// checkSources looks at what the configuration leaves to the sources, so that
// a mistake is found at the desk and not at night.
func checkSources(file string, cfg *config.Config) error {
	for _, src := range cfg.Sources {
		var paths config.Paths
		switch spec := src.Spec.(type) {
		case config.SFTP:
			paths = spec.Paths
		case config.Local:
			paths = spec.Paths
		default:
			continue
		}
		if _, err := pattern.Compile(paths.Include, paths.Exclude); err != nil {
			return &ui.UsageError{Problem: fmt.Sprintf("%s: source %s: %v", file, src.Name, err),
				Remedy: "Write absolute paths, in which a component may have * ? and [a-z] or be **."}
		}
		if err := daemon.CheckPlaces(cfg, src); err != nil {
			return &ui.UsageError{Problem: fmt.Sprintf("%s: source %s: %v", file, src.Name, err),
				Remedy: "What a source reads must hold neither the folder of `store` nor that of `dir`; an exclude line does not help."}
		}
	}
	return nil
}

func (a *app) command() *cobra.Command {
	cobra.EnableCommandSorting = false // the order of work says more than the alphabet
	root := group(&cobra.Command{
		Use:   "strongroom COMMAND",
		Short: "A safe for the data that a company needs to rise from ruins",
		Long: `Strongroom pulls what was specified from production, seals it so that its own
host cannot read it back, and restores it for two people together.

Exit status: 0 done, 1 failed, 2 not called as it can be, 3 done with losses
that were named, 4 refused.`,
		Example: `  strongroom keys new-role outer            on the keykeepers' machine
  strongroom keys new-role inner            on the operators' machine
  strongroom config example > strongroom.yaml
  strongroom init --outer outer.key.pub --inner inner.key.pub
  strongroom collect --all
  strongroom snapshots
  strongroom help restore`,
		Version:       longVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	})
	root.Flags().Bool("version", false, "show the version")
	root.SetVersionTemplate("strongroom {{.Version}}\n")
	flags := root.PersistentFlags()
	flags.StringVarP(&a.configFile, "config", "c", "", "configuration `file` (default strongroom.yaml here, or "+defaultConfig+")")
	flags.StringVar(&a.profileDir, "profile", "", "`folder` of a person's profile (default: the only one of this user)")
	flags.BoolVar(&a.json, "json", false, "messages for scripts, one a line, instead of text")
	flags.BoolVarP(&a.quiet, "quiet", "q", false, "no notes and no progress")
	flags.BoolVarP(&a.verbose, "verbose", "v", false, "log what happens inside to standard error")
	root.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error {
		return &ui.UsageError{Problem: err.Error(), Remedy: seeHelp(cmd)}
	})
	root.SetUsageTemplate(usage)
	root.SetHelpCommand(helpCommand(root))
	root.SetHelpCommandGroupID("other")
	root.CompletionOptions.HiddenDefaultCmd = true
	for _, g := range []struct {
		id, title string
		commands  []*cobra.Command
	}{
		{"make", "Make a safe:", []*cobra.Command{a.keysCommand(), a.configCommand(), a.initCommand(), a.doctorCommand()}},
		{"people", "People:", []*cobra.Command{a.peopleCommand(), a.enrolCommand(), a.openingCommand(), a.webCommand(), a.stickCommand()}},
		{"keep", "Keep:", []*cobra.Command{a.collectCommand(), a.serveCommand(), a.statusCommand(), a.scrubCommand(), a.rebuildCommand(), a.forgetCommand(), a.mailCommand()}},
		{"know", "Know:", []*cobra.Command{a.mapCommand(), a.coverageCommand(), a.levelsCommand(), a.findingsCommand()}},
		{"back", "Bring back:", []*cobra.Command{a.snapshotsCommand(), a.lsCommand(), a.catCommand(), a.findCommand(), a.diffCommand(), a.restoreCommand(), a.recordCommand()}},
		{"prove", "Prove:", []*cobra.Command{a.ledgerCommand()}},
		{"other", "Other:", []*cobra.Command{a.versionCommand()}},
	} {
		root.AddGroup(&cobra.Group{ID: g.id, Title: g.title})
		for _, cmd := range g.commands {
			cmd.GroupID = g.id
			root.AddCommand(cmd)
		}
	}
	root.AddCommand(a.childCommand())
	return root
}
