package main

import (
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/internal/access"
	"strongroom/internal/ui"
	"strongroom/internal/web/assets"
	"strongroom/internal/web/export"
)

func (a *app) webCommand() *cobra.Command {
	return group(&cobra.Command{
		Use:   "web COMMAND",
		Short: "The release page on a host of your own",
	}, a.webExportCommand())
}

func (a *app) webExportCommand() *cobra.Command {
	var origin string
	cmd := &cobra.Command{
		Use:   "export FOLDER",
		Short: "Write the release page for another host than the safe's",
		Long: `Write the page on which keykeepers release, as files for any web server, so that
whoever has the safe's host cannot change it. Run this on a person's machine,
with a program that did not come from the safe: the page holds the safe to what
this machine has verified, its store, the domain of its passkeys and the version
of the roster that is in force. After each change of the roster write it anew,
into the same folder; nothing else may be in it.

Its README says where the files go, with examples for nginx and Caddy. Whoever
can change them there can get the outer keys of who releases: that should be
nobody who keeps the safe's host, and no operator. The same program on another
person's machine writes the same files, to compare.`,
		Example: `  strongroom web export release-page
  strongroom web export release-page --url https://safe.acme.example`,
		Args: args(1, 1, "one folder"),
		RunE: func(_ *cobra.Command, given []string) error { return a.webExport(given[0], origin) },
	}
	cmd.Flags().StringVar(&origin, "url", "", "`address` of the safe for browsers (default: that of the profile)")
	return cmd
}

func (a *app) webExport(dir, origin string) error {
	p, err := a.openPerson()
	if err != nil {
		return err
	}
	defer p.Close()
	everyone, roster, err := p.people(a.stop)
	if err != nil {
		return err
	}
	if !roster.Founded() {
		return refusedError{ui.WithRemedy(errors.New("the safe is not founded, so there is no roster that a page could hold it to"), "Found it: strongroom people add")}
	}
	self, err := p.own(everyone, roster)
	if err != nil {
		return err
	}
	if origin == "" {
		origin = p.profile.URL
	}
	site := export.Site{Safe: p.profile.Safe, Origin: strings.TrimSuffix(origin, "/"), Roster: roster, First: p.profile.Pin.Digest, Version: version}
	files, err := site.Files()
	switch {
	case errors.Is(err, export.ErrNoPasskeys):
		return refusedError{ui.WithRemedy(err, "Invite a keykeeper (strongroom people invite), who enrols with the link in a browser.")}
	case errors.Is(err, export.ErrOrigin):
		return &ui.UsageError{Problem: err.Error(), Remedy: fmt.Sprintf("Name the safe as browsers do, at %s or below it: --url https://NAME:PORT", roster.Domain)}
	case err != nil:
		return err
	}
	var foreign *export.ForeignError
	if err := export.Write(dir, files); errors.As(err, &foreign) {
		return refusedError{ui.WithRemedy(err, "Name a new folder, or move that away.")}
	} else if err != nil {
		return fmt.Errorf("writing the release page: %w", err)
	}
	t := a.talk()
	t.Printf("The release page of safe %s is in %s: %s, for %s and version %d of the roster.", site.Safe, dir, plural(int64(len(files)), "file", "files"), site.Origin, roster.Number)
	t.Printf("  all files   SHA-256 of SHA256SUMS  %s", export.Digest(files))
	t.Printf("  scripts     as mails of a safe of the same version have it\n              %s", assets.Digest())
	t.Note("Its README says where the files go.")
	if self.Has(access.Operator) {
		t.Warn("you are an operator: whoever can change this page can get the keykeepers' outer keys. Have a keykeeper write it, or compare SHA256SUMS, and put it where no operator can write.")
	}
	t.Emit("release-page", map[string]any{"folder": dir, "files": len(files), "sums": export.Digest(files), "scripts": assets.Digest(), "safe": site.Origin, "roster": roster.Number})
	return nil
}
