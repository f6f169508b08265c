// Package glance looks at a host over SFTP: at a few small files that say what
// it is and what it is told to talk to, and, several times, at those in which
// the kernel says whom it talks to.
//
// The account on the host needs nothing for that but to read what everybody may
// read: no command is run. Each file is one entry, read whole before it is
// yielded, since most of them have no size and are another at each look. A file
// that is looked at several times has one look after the other in its entry.
//
// It does not see what happens between two looks, and of the files it shows only
// those that are named: a host's configuration is for a source that pulls it.
package glance

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"path"
	"slices"
	"time"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/sftp/wire"
	"strongroom/internal/source/sshclient"
)

// Options says which host to look at, and how often.
type Options struct {
	SSH sshclient.Options

	// Once are files that are read once, Often those that are read at each look:
	// absolute paths. What does not exist is left out.
	Once, Often []string
	// Required are files of Once that must be there.
	Required []string

	Looks int           // at the files of Often; at least 1
	Pause time.Duration // between two looks

	// Stall is how long the host may be silent when it owes an answer; 0 means
	// a minute.
	Stall time.Duration
	// Now tells the time; nil means time.Now.
	Now func() time.Time
}

// Most bounds in bytes what is read of one file, in all looks, and MostOfAll what
// is read of all of them, which is held in memory. A host with ten thousand
// connections shows 1.5 MB at a look.
const (
	Most      = 16 << 20
	MostOfAll = 4 * Most
)

// Source is a source.Source of what one glance shows.
type Source struct {
	options Options
	host    *sshclient.Host
}

var _ source.Source = (*Source)(nil)

// New checks options. No error of it holds anything of the private key.
func New(options Options) (*Source, error) {
	host, err := sshclient.New(options.SSH)
	if err != nil {
		return nil, err
	}
	for _, file := range slices.Concat(options.Once, options.Often) {
		if !path.IsAbs(file) || path.Clean(file) != file || safe.CheckPath(file[1:]) != nil {
			return nil, fmt.Errorf("%.80q cannot be looked at: expected the absolute path of a file", file)
		}
	}
	options.Once = distinct(options.Once, options.Often)
	if options.Looks < 1 {
		options.Looks = 1
	}
	if options.Stall == 0 {
		options.Stall = time.Minute
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	return &Source{options, host}, nil
}

// distinct returns the files that are there once, and not among the others.
func distinct(files, others []string) []string {
	var all []string
	for _, f := range files {
		if !slices.Contains(all, f) && !slices.Contains(others, f) {
			all = append(all, f)
		}
	}
	return all
}

// Matches implements source.Source: there are no lines to match.
func (s *Source) Matches() []source.Match { return []source.Match{} }

// Probe tries whether the host can be looked at.
func (s *Source) Probe(ctx context.Context) error {
	h, err := s.connect(ctx)
	if err != nil {
		return err
	}
	h.close()
	return nil
}

// Pull implements source.Source.
func (s *Source) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	report := request.Report
	if report == nil {
		report = func(source.Problem) {}
	}
	return func(yield func(source.Item, error) bool) {
		began := s.options.Now().UTC()
		files, problems, err := s.look(ctx)
		if err != nil {
			yield(source.Item{}, err)
			return
		}
		for _, p := range problems {
			report(p)
		}
		for _, e := range entries(files, began) {
			item := source.Item{Entry: e}
			if e.Type == safe.File && (request.Need == nil || request.Need(e)) {
				item.Content = io.NopCloser(bytes.NewReader(files[e.Path]))
			}
			if !yield(item, nil) {
				return
			}
		}
	}
}

// entries returns those of the files, and of the folders that they are in.
func entries(files map[string][]byte, at time.Time) []safe.Entry {
	folders := make(map[string]bool)
	var all []safe.Entry
	for name, content := range files {
		all = append(all, safe.Entry{Path: name, Type: safe.File, Mode: 0o600, MTime: at, Size: int64(len(content))})
		for dir := path.Dir(name); dir != "." && !folders[dir]; dir = path.Dir(dir) {
			folders[dir] = true
			all = append(all, safe.Entry{Path: dir, Type: safe.Dir, Mode: 0o700, MTime: at})
		}
	}
	slices.SortFunc(all, func(a, b safe.Entry) int { return safe.ComparePaths(a.Path, b.Path) })
	return all
}

// look returns what the files hold that are there, by path.
func (s *Source) look(ctx context.Context) (map[string][]byte, []source.Problem, error) {
	h, err := s.connect(ctx)
	if err != nil {
		return nil, nil, err
	}
	defer h.close()
	defer context.AfterFunc(ctx, h.conn.Interrupt)()
	files := make(map[string][]byte)
	var problems []source.Problem
	all := 0
	read := func(file string) error {
		name := file[1:]
		content, err := h.read(file, min(Most-len(files[name]), MostOfAll-all))
		all += len(content)
		var status *wire.StatusError
		switch {
		case err == nil:
			files[name] = append(files[name], content...)
		case errors.Is(err, fs.ErrNotExist):
			if slices.Contains(s.options.Required, file) {
				problems = append(problems, source.Problem{Kind: source.Missing, Path: name, Err: err})
			}
		case errors.As(err, &status), errors.Is(err, errTooMuch):
			kind := source.Unseen
			if slices.Contains(s.options.Required, file) {
				kind = source.Unreadable
			}
			if !slices.ContainsFunc(problems, func(p source.Problem) bool { return p.Path == name }) {
				problems = append(problems, source.Problem{Kind: kind, Path: name, Err: err})
			}
		default:
			return fmt.Errorf("reading %s of %s: %w", file, s.host.Addr(), cause(ctx, err))
		}
		return nil
	}
	for _, file := range s.options.Once {
		if err := read(file); err != nil {
			return nil, nil, err
		}
	}
	for i := range s.options.Looks {
		if i > 0 {
			if err := sleep(ctx, s.options.Pause); err != nil {
				return nil, nil, err
			}
		}
		for _, file := range s.options.Often {
			if err := read(file); err != nil {
				return nil, nil, err
			}
		}
	}
	return files, problems, nil
}

// cause says why something ended, if that was wanted.
func cause(ctx context.Context, err error) error {
	if why := context.Cause(ctx); why != nil {
		return why
	}
	return sshclient.Plain(err)
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// A host is one that is being looked at.
type host struct {
	conn   *sshclient.Conn
	client *wire.Client
}

func (s *Source) connect(ctx context.Context) (*host, error) {
	var h host
	conn, err := s.host.Connect(ctx, func(conn *sshclient.Conn) error {
		channel, requests, err := conn.Session()
		if err != nil {
			return fmt.Errorf("asking %s for a session: %w", s.host.Addr(), sshclient.Plain(err))
		}
		if err := conn.Subsystem(channel, requests, "sftp"); err != nil {
			return fmt.Errorf("asking %s for SFTP: %w", s.host.Addr(), sshclient.Plain(err))
		}
		h.client, err = wire.NewClient(channel, conn.Interrupt, s.options.Stall)
		return err
	})
	if err != nil {
		return nil, err
	}
	h.conn = conn
	return &h, nil
}

func (h *host) close() {
	h.conn.Interrupt()
	h.conn.Close()
	h.client.Close()
}

// errTooMuch means that a file has more than is looked at.
var errTooMuch = errors.New("it has more than is looked at")

// read returns what a file holds, which says nothing beforehand of how much that
// is.
func (h *host) read(file string, most int) ([]byte, error) {
	handle, err := h.client.Open(file)
	if err != nil {
		return nil, err
	}
	defer handle.Close()
	var content []byte
	part := make([]byte, h.client.ReadSize())
	for {
		n, err := handle.Data(handle.Read(int64(len(content)), part))
		if err == io.EOF {
			return content, nil
		}
		if err != nil {
			return nil, err
		}
		if len(content)+n > most {
			return nil, errTooMuch
		}
		content = append(content, part[:n]...)
	}
}

// Identity are files that say what a host is.
var Identity = []string{
	"/etc/hostname", "/etc/machine-id", "/etc/os-release", "/etc/hosts",
	"/proc/net/fib_trie", "/proc/net/route", "/proc/net/if_inet6", // its addresses
}

// Told are files that say whom a host is told to talk to.
var Told = []string{
	"/etc/resolv.conf", "/etc/nsswitch.conf", "/etc/krb5.conf", "/etc/sssd/sssd.conf", "/etc/nslcd.conf", "/etc/ldap.conf", "/etc/ldap/ldap.conf",
	"/etc/openldap/ldap.conf", "/etc/fstab", "/etc/chrony/chrony.conf", "/etc/chrony.conf", "/etc/ntp.conf", "/etc/systemd/timesyncd.conf",
	"/etc/apt/sources.list", "/etc/docker/daemon.json", "/etc/samba/smb.conf", "/etc/environment", "/etc/puppet/puppet.conf", "/etc/rsyslog.conf",
}

// Sockets are files in which the kernel says whom a host talks to now.
var Sockets = []string{"/proc/net/tcp", "/proc/net/tcp6", "/proc/net/udp", "/proc/net/udp6"}
