package main

import (
	"errors"

	"strongroom/internal/access/profile"
	"strongroom/internal/daemon"
	"strongroom/internal/ledger"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
)

// The exit codes, which scripts may rely on.
const (
	exitDone    = 0
	exitFailed  = 1
	exitUsage   = 2
	exitLosses  = 3
	exitRefused = 4
)

// errSaid goes with an error that the command has told already.
var errSaid = errors.New("")

// errLosses says that the command is done, and has named what was lost.
var errLosses = errors.Join(errSaid, errors.New("done with losses"))

// A refusedError is a refusal by decision, not for lack of something.
type refusedError struct{ error }

func (e refusedError) Unwrap() error { return e.error }

// A noConfigError says that there is no configuration file.
type noConfigError struct{ error }

func (e noConfigError) Unwrap() error { return e.error }

// exitCode is where errors become exit codes.
func exitCode(err error) int {
	var (
		usage   *ui.UsageError
		mistake config.Errors
		missing noConfigError
		find    *profile.FindError
		refused refusedError
		label   *seal.LabelError
		altered *ledger.AlteredError
		short   *ledger.ShortError
		fork    *ledger.ForkError
		apart   *daemon.ContradictionError
	)
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &usage), errors.As(err, &mistake), errors.As(err, &missing), errors.As(err, &find):
		return exitUsage
	case errors.Is(err, errLosses):
		return exitLosses
	case errors.As(err, &refused), errors.Is(err, daemon.ErrBusy), errors.Is(err, seal.ErrWrongKey), errors.As(err, &label),
		errors.As(err, &altered), errors.As(err, &short), errors.As(err, &fork),
		errors.As(err, &apart):
		return exitRefused
	default:
		return exitFailed
	}
}
