package main

import (
	"context"
	"errors"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/daemon"
	"strongroom/internal/daemon/mail"
	"strongroom/internal/ui"
)

func (a *app) mailCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "mail COMMAND",
		Short: "Try the mails with which the safe tells people what happens",
		Long: `Try the mails with which the safe tells people what happens: what was kept, what
failed, who asks to read. Who is told, and through which mail server, is in the
section mail of the configuration; the people of the roster are told, too. What
could not be sent is sent later.`,
	}, a.mailTestCommand())
}

func (a *app) mailTestCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "test [ADDRESS...]",
		Short: "Send a test mail now, and say what failed",
		Long: `Send a test mail now, to the addresses given or else to everyone who is told
what happens, and say what failed.`,
		Example: `  strongroom mail test karl@acme.example`,
		RunE: func(_ *cobra.Command, to []string) error {
			s, err := a.openSafe()
			if err != nil {
				return err
			}
			defer s.Close() // nothing was written
			if len(to) == 0 {
				to = s.Recipients()
			}
			return a.testMails(s, to)
		},
	}
}

func (a *app) testMails(s *daemon.Safe, to []string) error {
	if s.Config().Mail == nil {
		return &ui.UsageError{Problem: daemon.ErrNoMail.Error(), Remedy: "Add a section mail to the configuration; see strongroom config example"}
	}
	if len(to) == 0 {
		return errNobodyIsTold
	}
	t := a.talk()
	var failed []error
	for _, address := range to {
		err := s.SendTestMail(a.stop, address)
		if a.stop.Err() != nil {
			return a.stop.Err()
		}
		if err != nil {
			t.Error(err)
			failed = append(failed, err)
			continue
		}
		t.Printf("The mail server %s has taken a test mail to %s.", s.Config().Mail.Server.Addr(), address)
		t.Emit("mail_sent", map[string]string{"to": address})
	}
	return verdictOn(failed, false)
}

var errNobodyIsTold = ui.WithRemedy(errors.New("nobody is told what happens: neither `to` in the configuration nor the roster has an address"),
	"Add addresses to mail: { to: [...] } in the configuration.")

// longestPost is how long a command waits for the mail server.
const longestPost = time.Minute

// deliverMails sends what waits, as far as that is quick: what a command has
// done does not depend on it, and the next one sends what is left.
func (a *app) deliverMails(s *daemon.Safe) {
	ctx, cancel := context.WithTimeout(a.ctx, longestPost)
	defer cancel()
	_, _, err := s.DeliverMails(ctx)
	for _, err := range parts(err) {
		a.talk().Warn("%v; it is sent later", err)
	}
}

// parts returns the errors that err was joined from.
func parts(err error) []error {
	if err == nil {
		return nil
	}
	if joined, ok := err.(interface{ Unwrap() []error }); ok {
		return joined.Unwrap()
	}
	return []error{err}
}

// mail tries the mail server, which the name of the check names.
func (d *doctor) mail() error {
	err := daemon.ProbeMail(d.app.stop, d.cfg)
	var server *mail.ServerError
	if errors.As(err, &server) {
		return server.Err
	}
	if err != nil {
		return err
	}
	if d.safe != nil && len(d.safe.Recipients()) == 0 {
		return errNobodyIsTold
	}
	return nil
}
