package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"

	"github.com/spf13/cobra"

	"strongroom/internal/confine"
	"strongroom/internal/daemon"
	"strongroom/internal/safe/config"
	"strongroom/internal/ui"
	"strongroom/internal/web"
	"strongroom/internal/web/certificate"
)

func (a *app) serveCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "serve",
		Short: "Answer people: openings, changes of the roster, mails",
		Long: `Answer people over HTTPS as the configuration says under serve, open and shut
the gate of an opening, and send mails, until it is stopped (SIGTERM, Ctrl-C).
Then what is under way may end within some seconds, an opening is closed, and
the ledger tells so. It runs on the safe's host, one process for a safe;
collections go on beside it.

What happens is logged to standard error, a JSON object on each line. As a
service of systemd it is of Type=notify.`,
		Example: `  strongroom serve`,
		Args:    noArgs,
		RunE:    func(*cobra.Command, []string) error { return a.serve() },
	}
}

// serveStanza is what a configuration without a door lacks.
const serveStanza = `Add to the configuration:
  serve:
    listen: 0.0.0.0:8443
    name: safe.example.com
    gate: { listen: "0.0.0.0:2222" }`

func (a *app) serve() error {
	// It starts children and needs state, keys and store, so there is little
	// that it could do without. But nobody shall find its memory in a file.
	if err := confine.NoDump(); err != nil {
		return fmt.Errorf("keeping the memory of this process out of files: %w", err)
	}
	log := a.serviceLogger()
	s, err := a.openSafeLogging(log)
	if err != nil {
		return err
	}
	defer s.Close() // everything was committed
	cfg := s.Config()
	if cfg.Serve == nil {
		return &ui.UsageError{Problem: "the configuration does not say where people reach the safe", Remedy: serveStanza}
	}
	if err := passkeysFit(s); err != nil {
		return err
	}
	show, fingerprint, err := a.certificate(cfg, log)
	if err != nil {
		return err
	}
	// Before the ledger says that the safe serves; who connects waits for that.
	l, err := listen(a.stop, cfg.Serve.Listen)
	if err != nil {
		return err
	}
	defer l.Close() // Serve has closed it, if it came to that
	pages := web.Pages{Origins: cfg.Serve.Origins(), ReleasePages: cfg.Serve.Passkeys.ReleasePages, Safe: cfg.Safe, Version: version}
	server := web.New(s, web.Options{Logger: log, Now: a.now, TLS: certificate.Server(show), Pages: pages})
	err = s.Serve(a.stop, func(ctx context.Context) error {
		a.showServing(cfg, l.Addr(), fingerprint)
		if err := notify("READY=1"); err != nil {
			log.Warn("systemd could not be told", "err", err)
		}
		return server.Serve(ctx, l)
	})
	if errors.Is(err, daemon.ErrServed) {
		return refusedError{ui.WithRemedy(err, "Leave it to its work, or stop it first.")}
	}
	if err == nil {
		a.talk().Note("Stopped.")
	}
	return err
}

// passkeysFit sees that the passkeys of the roster are good on the pages that the
// configuration tells of. What they are bound to does not change with it.
func passkeysFit(s *daemon.Safe) error {
	bound, pages := s.Roster().Domain, s.Config().Serve.Passkeys.Domain
	switch {
	case !s.Roster().HasPasskeys() || bound == pages:
		return nil
	case pages == "":
		pages = "has addresses only"
	default:
		pages = "says " + pages
	}
	return &ui.UsageError{
		Problem: fmt.Sprintf("the roster's passkeys are bound to %s, and the configuration %s", bound, pages),
		Remedy: fmt.Sprintf("Write under serve: passkeys: { domain: %[1]s }, and among its names %[1]s or one that ends in .%[1]s: "+
			"passkeys are good nowhere else.", bound),
	}
}

func (a *app) showServing(cfg *config.Config, at net.Addr, fingerprint string) {
	t := a.talk()
	t.Printf("Safe %s answers people on %s, as %s.", cfg.Safe, at, strings.Join(cfg.Serve.Names, ", "))
	if fingerprint != "" {
		t.Printf("  its certificate authority  SHA-256 %s", fingerprint)
	}
	origins := cfg.Serve.Origins()
	for _, origin := range origins {
		t.Printf("  its pages, for browsers    %s", origin)
	}
	t.Emit("serving", map[string]any{"listen": at.String(), "names": cfg.Serve.Names, "ca": fingerprint, "pages": origins})
}

// certificate returns what shows the safe's certificate, and the fingerprint of
// its own authority; none if the certificate is another's.
func (a *app) certificate(cfg *config.Config, log *slog.Logger) (show func(*tls.ClientHelloInfo) (*tls.Certificate, error), fingerprint string, err error) {
	if t := cfg.Serve.TLS; !t.IsAuto() {
		files, err := certificate.OpenFiles(t.Cert, t.Key, log)
		if err != nil {
			return nil, "", ui.WithRemedy(err, "Look at serve.tls in the configuration: both files are in PEM, and for this user to read.")
		}
		return files.GetCertificate, "", nil
	}
	auto, err := certificate.Open(authorityFolder(cfg), cfg.Serve.Names, a.now)
	if err != nil {
		return nil, "", err
	}
	return auto.GetCertificate, auto.Fingerprint().String(), nil
}

// authorityFolder is where the safe's own certificate authority is.
func authorityFolder(cfg *config.Config) string { return filepath.Join(cfg.Dir, "tls") }

// listen opens the port of the people's API. Multipath TCP would pass by the
// rules of a firewall that knows only TCP.
func listen(ctx context.Context, at netip.AddrPort) (net.Listener, error) {
	var c net.ListenConfig
	c.SetMultipathTCP(false)
	network := "tcp"
	if at.Addr().Is4() { // of which "tcp" would have 0.0.0.0 mean all addresses of IPv6, too
		network = "tcp4"
	}
	l, err := c.Listen(ctx, network, at.String())
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		err = ui.WithRemedy(fmt.Errorf("listening on %s: something else listens there", at), "Does another strongroom serve run? Stop it, or write another address as serve.listen in the configuration.")
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		err = ui.WithRemedy(fmt.Errorf("listening on %s: this host does not have that address", at), "Write one of its own as serve.listen in the configuration, or 0.0.0.0 for all.")
	case errors.Is(err, syscall.EACCES):
		err = ui.WithRemedy(fmt.Errorf("listening on %s: ports below 1024 are for root", at), "Write another port as serve.listen in the configuration.")
	}
	return l, err
}

// notify tells systemd, if it has started this process and waits to hear.
func notify(state string) error {
	path := os.Getenv("NOTIFY_SOCKET")
	if path == "" {
		return nil
	}
	conn, err := net.DialUnix("unixgram", nil, &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		return err
	}
	_, err = conn.Write([]byte(state))
	return errors.Join(err, conn.Close())
}

// serviceLogger logs what a service tells those who run it.
func (a *app) serviceLogger() *slog.Logger {
	level := slog.LevelInfo
	if a.verbose {
		level = slog.LevelDebug
	}
	return slog.New(slog.NewJSONHandler(a.stderr, &slog.HandlerOptions{Level: level}))
}
