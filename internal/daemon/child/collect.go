package child

import (
	"bufio"
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/url"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"sync"
	"syscall"
	"time"

	"strongroom/internal/collect"
	"strongroom/internal/confine"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/formats"
	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/command"
	"strongroom/internal/source/glance"
	"strongroom/internal/source/local"
	"strongroom/internal/source/sftp"
	"strongroom/internal/source/sshclient"
	"strongroom/internal/source/webapi"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/seal"
)

// folders of a run that a collector creates objects in.
var folders = []string{"packs", "parity", "root", "sketch"}

// Collect runs a source into the store, confined to what that takes.
func Collect(stdin io.Reader, stdout io.Writer) error {
	if err := confine.NoDump(); err != nil {
		return err
	}
	debug.SetGCPercent(collect.GCPercent)
	in := bufio.NewReader(stdin)
	var task CollectTask
	if err := readTask(in, &task); err != nil {
		return err
	}
	answers := &answerer{encoder: json.NewEncoder(stdout)}
	// The end of standard input ends everything, as a crash would: the parent
	// is gone, and nobody would commit a result.
	ctx, abort := context.WithCancelCause(context.Background())
	defer abort(nil)
	pull, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	go listen(in, stop, abort)

	if task.DryRun || task.Probe {
		return look(ctx, task, answers)
	}
	input, close, err := prepare(ctx, task)
	if err != nil {
		return answers.failed(err)
	}
	defer close()
	around := onlooker{place: task.place()}
	if task.API != nil {
		around.api = task.API.Format
	}
	input.From = around.watch(input.From)
	result, err := collect.Run(ctx, pull, input, func(e collect.Event) { answers.send(CollectAnswer{Event: &e}) })
	if err != nil {
		return answers.failed(err)
	}
	if err := answers.send(CollectAnswer{Result: &result, Finding: findingOf(result.Cause)}); err != nil {
		return err
	}
	// The result stands, whatever a reader makes of a hostile file.
	if task.API == nil {
		if err := confine.MostMemory(readersTake); err != nil {
			return err
		}
	}
	found := around.facts()
	return answers.send(CollectAnswer{Facts: &found})
}

// place returns where facts of the source are read. Its scope is what the safe
// calls the host that the source is on, "" for its own; or that of an API.
func (t CollectTask) place() facts.Place {
	p := facts.Place{Source: string(t.Source), Path: string(t.Source), Seen: t.Started.UTC().Truncate(time.Second)}
	switch {
	case t.SFTP != nil:
		p.Scope = t.SFTP.Host
	case t.Command != nil:
		p.Scope = t.Command.Host
	case t.Facts != nil:
		p.Scope = t.Facts.Host
	case t.API != nil:
		p.Scope = t.API.Scope
	}
	return p
}

// listen obeys what the parent says until it is gone.
func listen(in *bufio.Reader, stop, abort context.CancelCauseFunc) {
	for {
		line, err := readLine(in, 1024)
		if err != nil {
			abort(errors.New("the supervising process is gone"))
			return
		}
		if string(bytes.TrimSpace(line)) == stopWord {
			stop(collect.ErrStopped)
		}
	}
}

// prepare opens what the task needs and then gives up everything else. What
// comes from production is touched only afterwards.
func prepare(ctx context.Context, task CollectTask) (collect.Input, func(), error) {
	fail := func(err error) (collect.Input, func(), error) { return collect.Input{}, nil, err }
	memoryKey, err := seal.ReadMemoryIdentity(bytes.NewReader(task.MemoryKey))
	if err != nil {
		return fail(err)
	}
	if len(task.CutKey) != len(seal.CutKey{}) || len(task.TagKey) != len(seal.TagKey{}) {
		return fail(errors.New("the task's keys have the wrong length"))
	}
	rules := confine.Rules{
		Stage:                []string{filepath.Join(task.StorePath, "stage")},
		Work:                 []string{task.MemoryDir},
		AllowWithoutLandlock: task.WithoutLandlock,
	}
	from, kind, err := open(ctx, task, &rules)
	if err != nil {
		return fail(err)
	}
	into, err := openRun(ctx, task, &rules)
	if err != nil {
		return fail(err)
	}
	if _, err := confine.Apply(rules); err != nil {
		into.Close() // nothing was written
		return fail(fmt.Errorf("confining the collector: %w", err))
	}
	return collect.Input{
		Store: task.Store, Run: task.Run, Source: task.Source, Kind: kind, Started: task.Started,
		From: from, Into: into, Seal: task.Recipient.Seal, Cut: seal.CutKey(task.CutKey),
		MemoryDir: task.MemoryDir, Memory: memory.Keys{Seal: memoryKey, Tag: seal.TagKey(task.TagKey)},
		Complete: task.Complete, Unfinished: task.Unfinished, LastStarted: task.LastStarted, LastBytes: task.LastBytes,
		Options: task.Options,
	}, func() { into.Close() }, nil
}

// openRun opens the folders of the run, so that objects can be created there
// and nothing else.
func openRun(ctx context.Context, task CollectTask, rules *confine.Rules) (*dir.AddOnly, error) {
	store, err := dir.Open(task.StorePath)
	if err != nil {
		return nil, err
	}
	defer store.Close() // nothing was written
	var names []string
	for _, folder := range folders {
		name := layout.Run(task.Run) + "/" + folder
		names = append(names, name)
		rules.Create = append(rules.Create, filepath.Join(task.StorePath, filepath.FromSlash(name)))
	}
	return store.AddOnly(ctx, names...)
}

// open makes the source, and adds to the rules what it needs to reach.
func open(ctx context.Context, task CollectTask, rules *confine.Rules) (source.Source, string, error) {
	limits := source.Limits{Bytes: task.Limits.Bytes, Entries: task.Limits.Entries}
	switch {
	case task.SFTP != nil:
		addr, dial, err := reach(ctx, task.SFTP.Login, rules)
		if err != nil {
			return nil, "", err
		}
		s, err := sftp.New(sftp.Options{
			Addr: addr, User: task.SFTP.User, HostKeys: task.SFTP.HostKeys, Key: task.SFTP.Key,
			Include: task.SFTP.Include, Exclude: task.SFTP.Exclude,
			Limits: limits, Connections: task.SFTP.Connections, Dial: dial,
		})
		return s, "sftp", err
	case task.Command != nil:
		addr, dial, err := reach(ctx, task.Command.Login, rules)
		if err != nil {
			return nil, "", err
		}
		s, err := command.New(command.Options{
			SSH: sshclient.Options{
				Addr: addr, User: task.Command.User, HostKeys: task.Command.HostKeys, Key: task.Command.Key, Dial: dial,
			},
			Name: task.Command.Name, Command: task.Command.Command, EndsWith: task.Command.EndsWith,
			AllowEmpty: task.Command.AllowEmpty, Limits: limits, Stall: task.Command.Stall,
		})
		return s, "command", err
	case task.Facts != nil:
		addr, dial, err := reach(ctx, task.Facts.Login, rules)
		if err != nil {
			return nil, "", err
		}
		looks := task.Facts.Looks
		if task.DryRun {
			looks = 1 // nobody waits for more to see what there is
		}
		s, err := glance.New(glance.Options{
			SSH: sshclient.Options{
				Addr: addr, User: task.Facts.User, HostKeys: task.Facts.HostKeys, Key: task.Facts.Key, Dial: dial,
			},
			Once: slices.Concat(glance.Identity, glance.Told, task.Facts.Files), Often: glance.Sockets, Required: task.Facts.Files,
			Looks: looks, Pause: task.Facts.Pause,
		})
		return s, "facts", err
	case task.API != nil:
		s, err := openAPI(ctx, task, limits, rules)
		return s, "facts-api", err
	case task.Local != nil:
		s, err := local.New(local.Options{Include: task.Local.Include, Exclude: task.Local.Exclude, Limits: limits})
		if err != nil {
			return nil, "", err
		}
		s.LearnOwners() // like the names of hosts: /etc cannot be read afterwards
		var places []Place
		if task.StorePath != "" { // else nothing is written
			places = []Place{{task.StorePath, "the store"}, {task.MemoryDir, "what the safe remembers"}}
		}
		folders, files, err := Beside(task.Local.Include, places...)
		if err != nil {
			return nil, "", err
		}
		rules.Read = append(rules.Read, folders...)
		rules.ReadFile = append(rules.ReadFile, files...)
		return s, "local", nil
	default:
		return nil, "", errors.New("the task names no source")
	}
}

// openAPI makes a source that asks an API, with all that it takes to trust it:
// certificates cannot be read afterwards. From then on memory is bounded, since
// answers are read before they are known to be some.
func openAPI(ctx context.Context, task CollectTask, limits source.Limits, rules *confine.Rules) (source.Source, error) {
	at, err := url.Parse(task.API.URL)
	if err != nil {
		return nil, errors.New("the address of the API is none")
	}
	port := 443
	if at.Scheme == "http" {
		port = 80
	}
	if text := at.Port(); text != "" {
		if port, err = strconv.Atoi(text); err != nil {
			return nil, errors.New("the address of the API has no port")
		}
	}
	if limits.Bytes == 0 || limits.Bytes > maxShown {
		limits.Bytes = maxShown // of a part of it the map would be a wrong one
	}
	roots, err := rootsOf(task.API.Authority)
	if err != nil {
		return nil, err
	}
	if err := confine.MostMemory(readersTake); err != nil {
		return nil, err
	}
	_, dial, err := reach(ctx, Login{Host: at.Hostname(), Port: port}, rules)
	if err != nil {
		return nil, err
	}
	options := webapi.Options{
		Authorization: task.API.Authorization, Roots: roots, Limits: limits,
		Dial: func(ctx context.Context, _, addr string) (net.Conn, error) { return dial(ctx, addr) },
		Check: func(name string, answer []byte) error {
			_, err := formats.ReadAPI(task.place(), task.API.Format, []facts.File{{Path: name, Data: answer}})
			return err
		},
	}
	for _, q := range formats.Questions(task.API.Format, at) {
		options.Ask = append(options.Ask, webapi.Question{URL: q.URL, Name: q.Name})
	}
	return webapi.New(options)
}

// rootsOf returns the authorities that vouch for an API: those given, or else
// those of the system.
func rootsOf(authority []byte) (*x509.CertPool, error) {
	if len(authority) == 0 {
		roots, err := x509.SystemCertPool()
		if err != nil {
			return nil, fmt.Errorf("reading the system's certificates: %w", err)
		}
		return roots, nil
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority) {
		return nil, errors.New("the file of the authority holds no certificate in PEM")
	}
	return roots, nil
}

// A dialer connects to a host whose name was looked up before.
type dialer func(ctx context.Context, addr string) (net.Conn, error)

// reach adds to the rules what it takes to connect to a host. Names are
// resolved now: afterwards there is no reading of resolv.conf, and no reaching
// a DNS server by TCP.
func reach(ctx context.Context, to Login, rules *confine.Rules) (addr string, dial dialer, err error) {
	addrs, err := resolve(ctx, to.Host, to.Port)
	if err != nil {
		return "", nil, err
	}
	rules.Connect = append(rules.Connect, uint16(to.Port))
	dial = func(ctx context.Context, _ string) (net.Conn, error) { return dialAny(ctx, addrs) }
	return net.JoinHostPort(to.Host, strconv.Itoa(to.Port)), dial, nil
}

// resolve returns the addresses of a host.
func resolve(ctx context.Context, host string, port int) ([]string, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	ips, err := net.DefaultResolver.LookupHost(ctx, host)
	if err != nil {
		return nil, fmt.Errorf("looking up %s: %w", host, err)
	}
	var addrs []string
	for _, ip := range ips {
		addrs = append(addrs, net.JoinHostPort(ip, strconv.Itoa(port)))
	}
	return addrs, nil
}

// dialAny connects to the first address that answers. Multipath TCP is off
// because it passes by Landlock's rules.
func dialAny(ctx context.Context, addrs []string) (conn net.Conn, err error) {
	var dialer net.Dialer
	dialer.SetMultipathTCP(false)
	var errs []error
	for _, addr := range addrs {
		if conn, err = dialer.DialContext(ctx, "tcp", addr); err == nil {
			return conn, nil
		}
		errs = append(errs, err)
	}
	return nil, errors.Join(errs...)
}

// look reaches for the source, as confined as a collection and without the
// store.
func look(ctx context.Context, task CollectTask, answers *answerer) error {
	rules := confine.Rules{AllowWithoutLandlock: task.WithoutLandlock}
	from, _, err := open(ctx, task, &rules)
	if err != nil {
		return answers.failed(err)
	}
	if _, err := confine.Apply(rules); err != nil {
		return answers.failed(fmt.Errorf("confining the collector: %w", err))
	}
	result := collect.Result{Complete: true}
	if task.DryRun && task.Command == nil {
		return list(ctx, from, answers)
	}
	if task.DryRun { // a dump takes hours, and its host's strength: to look is to reach it
		result.Entries = 1
	}
	if p, ok := from.(interface{ Probe(context.Context) error }); ok {
		if err := p.Probe(ctx); err != nil {
			return answers.failed(err)
		}
	}
	return answers.send(CollectAnswer{Result: &result})
}

// list tells what would be pulled.
func list(ctx context.Context, from source.Source, answers *answerer) error {
	result := collect.Result{Complete: true}
	request := source.Request{
		Need: func(safe.Entry) bool { return false },
		Report: func(p source.Problem) {
			result.Warnings++
			answers.send(CollectAnswer{Event: &collect.Event{Problem: &collect.Problem{Kind: p.Kind, Path: []byte(p.Path), Text: p.Err.Error()}}})
		},
	}
	for item, err := range from.Pull(ctx, request) {
		if err != nil {
			return answers.failed(err)
		}
		result.Entries++
		if item.Type == safe.File {
			result.Bytes += item.Size
		}
	}
	result.Matches = from.Matches()
	return answers.send(CollectAnswer{Result: &result})
}

// findingOf returns what a person must look at, nil for ordinary trouble.
func findingOf(cause error) *Finding {
	var hostKey *sshclient.HostKeyError
	if errors.As(cause, &hostKey) {
		return &Finding{Kind: HostKeyRefused, Text: hostKey.Error()}
	}
	return nil
}

// An answerer writes answers, one at a time.
type answerer struct {
	mu      sync.Mutex
	encoder *json.Encoder
}

func (a *answerer) send(answer CollectAnswer) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.encoder.Encode(answer)
}

func (a *answerer) failed(err error) error {
	answer := CollectAnswer{Failed: err.Error(), Finding: findingOf(err)}
	if full := fullDisk(err); full != "" {
		answer.Failed, answer.NoSpace = full, true
	}
	return errors.Join(err, a.send(answer))
}

// fullDisk returns what to say of a disk that is full, "" of anything else.
// What was being written when that happened does not matter: the next write
// would have failed as well.
func fullDisk(err error) string {
	var at *fs.PathError
	switch {
	case !errors.Is(err, syscall.ENOSPC) && !errors.Is(err, syscall.EDQUOT):
		return ""
	case errors.As(err, &at):
		return fmt.Sprintf("no space left on device, in %s", filepath.Dir(at.Path))
	default:
		return "no space left on device"
	}
}
