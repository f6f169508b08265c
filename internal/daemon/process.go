package daemon

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/collect"
	"strongroom/internal/daemon/child"
	"strongroom/internal/estate"
	"strongroom/internal/safe/config"
	"strongroom/internal/source"
	"strongroom/internal/store/pack"
	"strongroom/internal/store/refresh"
	"strongroom/internal/store/seal"
)

// memoryKeyText returns the memory's key as the child reads it.
func memoryKeyText(key seal.MemoryIdentity, now time.Time) ([]byte, error) {
	var b bytes.Buffer
	err := key.Write(&b, now)
	return b.Bytes(), err
}

// specify fills in what a source pulls.
func specify(task *child.CollectTask, spec config.Spec) error {
	switch spec := spec.(type) {
	case config.SFTP:
		login, err := loginOf(spec.Login)
		if err != nil {
			return err
		}
		task.SFTP = &child.SFTPTask{Login: login, Include: spec.Include, Exclude: spec.Exclude, Connections: spec.Connections}
	case config.Command:
		login, err := loginOf(spec.Login)
		if err != nil {
			return err
		}
		task.Command = &child.CommandTask{
			Login: login, Name: spec.Name, Command: spec.Text, EndsWith: spec.EndsWith, AllowEmpty: spec.AllowEmpty, Stall: spec.Stall,
		}
	case config.Facts:
		login, err := loginOf(spec.Login)
		if err != nil {
			return err
		}
		task.Facts = &child.FactsTask{Login: login, Files: spec.Files, Looks: spec.Looks, Pause: spec.Pause}
	case config.FactsAPI:
		api, err := askOf(spec)
		if err != nil {
			return err
		}
		task.API = &api
	case config.Local:
		task.Local = &child.LocalTask{Include: spec.Include, Exclude: spec.Exclude}
	default:
		return fmt.Errorf("sources of kind %s are not known to the collector", spec.Kind())
	}
	return nil
}

// maxAuthority bounds the certificates that vouch for an API.
const maxAuthority = 1 << 20

// askOf reads what an API asks for, and who vouches for it.
func askOf(spec config.FactsAPI) (child.APITask, error) {
	task := child.APITask{URL: spec.URL.String(), Format: spec.Format, Scope: spec.Scope}
	if !spec.Token.IsZero() {
		token, err := spec.Token.Read()
		if err != nil {
			return task, fmt.Errorf("reading the token of the source: %w", err)
		}
		task.Authorization = spec.Scheme + " " + strings.TrimSpace(string(token))
	}
	if spec.CA == "" {
		return task, nil
	}
	f, err := os.Open(spec.CA)
	if err != nil {
		return task, fmt.Errorf("reading who vouches for the API: %w", err)
	}
	defer f.Close() // nothing was written
	if task.Authority, err = io.ReadAll(io.LimitReader(f, maxAuthority+1)); err != nil {
		return task, fmt.Errorf("reading who vouches for the API: %w", err)
	}
	if n := len(task.Authority); n == 0 || n > maxAuthority {
		return task, fmt.Errorf("%s has %d bytes: expected certificates in PEM", spec.CA, n)
	}
	return task, nil
}

// loginOf reads the key that a source logs in with.
func loginOf(login config.Login) (child.Login, error) {
	key, err := login.Key.Read()
	if err != nil {
		return child.Login{}, fmt.Errorf("reading the key of the source: %w", err)
	}
	var hostKeys []string
	for _, k := range login.HostKeys {
		hostKeys = append(hostKeys, authorizedKey(k))
	}
	return child.Login{Host: login.Host.Name, Port: login.Host.Port, User: login.Host.User, HostKeys: hostKeys, Key: key}, nil
}

func optionsOf(src config.Source) collect.Options {
	levels := map[config.Compression]pack.Level{config.Fastest: pack.Fastest, config.Balanced: pack.Balanced, config.Better: pack.Better}
	return collect.Options{
		Rules:           refresh.Rules{Reread: src.Reread, Refresh: src.Refresh},
		Level:           levels[src.Compression],
		NoParity:        !src.Parity,
		AllowUnreadable: src.AllowUnreadable,
		Limits:          collect.Limits{Duration: src.Limits.Duration, Rate: src.Limits.Rate},
		CheckpointEvery: src.Checkpoint,
	}
}

// pipesAfterEnd is how long after the end of a child, or of its context, its
// pipes are read to their end. A child that was taken over cannot execute
// anything, but it can fork, and what it leaves behind may hold them open.
const pipesAfterEnd = 3 * time.Second

// command returns a child that is not started. It gets no environment, and
// its own process group, so that a Ctrl-C at the terminal is for the parent
// to pass on.
func command(ctx context.Context, program []string, name string) *exec.Cmd {
	args := append(slices.Clone(program[1:]), name)
	cmd := exec.CommandContext(ctx, program[0], args...)
	cmd.Env = []string{}
	cmd.Dir = "/"
	cmd.WaitDelay = pipesAfterEnd
	apart(cmd)
	return cmd
}

// ask runs a child that gives one answer to one task.
func (s *Safe) ask(ctx context.Context, name string, task, answer any) error {
	cmd := command(ctx, s.opts.Program, name)
	var in, out bytes.Buffer
	tail := new(tail)
	if err := child.WriteTask(&in, task); err != nil {
		return err
	}
	cmd.Stdin, cmd.Stdout, cmd.Stderr = &in, &out, tail
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("the child %s: %w: %s", name, err, tail)
	}
	return child.ReadAnswer(bufio.NewReader(&out), answer)
}

// collect runs the collecting child and returns its last answer.
func (r *run) collect(ctx, stop context.Context, task child.CollectTask) (child.CollectAnswer, error) {
	answer, err := runCollector(ctx, stop, r.safe.opts, task, r.note)
	if err == nil {
		r.safe.step("result", "run", r.id)
	}
	return answer, err
}

// completing is what it may take to complete a partial snapshot: the last packs
// have to reach the disk, and the manifest of millions of files to be stored.
const completing = 10 * time.Minute

// runCollector runs a collecting child to its end. An error means that the
// child could not be started or that ctx has ended; what the child could not
// do stands in its answer.
func runCollector(ctx, stop context.Context, opts Options, task child.CollectTask, note func(collect.Event)) (child.CollectAnswer, error) {
	cmd := command(ctx, opts.Program, "collect")
	tail := new(tail)
	cmd.Stderr = tail
	stdin, err := cmd.StdinPipe()
	if err != nil {
		return child.CollectAnswer{}, err
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		return child.CollectAnswer{}, err
	}
	if err := cmd.Start(); err != nil {
		return child.CollectAnswer{}, fmt.Errorf("starting the collector: %w", err)
	}
	defer stdin.Close() // the child may be gone already
	writeErr := child.WriteTask(stdin, task)
	stopping := context.AfterFunc(stop, func() {
		child.Stop(stdin) // if the child is gone, there is nothing to stop
	})
	defer stopping()
	// The child keeps the time itself, and then completes what it has; one that
	// was taken over may not.
	if d := task.Options.Limits.Duration; d > 0 {
		overdue := time.AfterFunc(d+completing+opts.Grace, func() { cmd.Process.Kill() })
		defer overdue.Stop()
	}
	out := bufio.NewReader(stdout)
	answer, readErr := follow(out, note)
	if readErr != nil {
		cmd.Process.Kill() // it may wait for somebody to read on
	}
	lingering := time.AfterFunc(opts.Grace, func() { cmd.Process.Kill() })
	defer lingering.Stop()
	if answer.Result != nil {
		lingering.Reset(factsTake * opts.Grace)
		answer.Facts = hear(out)
		lingering.Reset(opts.Grace)
	}
	waitErr := cmd.Wait()
	if ctx.Err() != nil {
		return child.CollectAnswer{}, ctx.Err()
	}
	if answer.Result == nil && answer.Failed == "" {
		answer.Failed = fmt.Sprintf("the collector ended without a result (%v)", errors.Join(writeErr, waitErr, readErr))
		// Its last words may hold names from inside the source, and what failed
		// goes into the ledger: so they are for whoever is watching.
		if said := tail.String(); said != "" {
			note(collect.Event{Problem: &collect.Problem{Kind: LastWords, Text: said}})
		}
	}
	return answer, nil
}

// factsTake is how many times the grace of a child it may take to read what a
// source tells of the estate, when all of it is stored.
const factsTake = 6

// hear returns what the child tells of the estate after its result: nil if it
// did not come to that, or cannot be understood. The snapshot does not hang on
// it.
func hear(stdout *bufio.Reader) *estate.Facts {
	var answer child.CollectAnswer
	if err := child.ReadAnswer(stdout, &answer); err != nil {
		return nil
	}
	return answer.Facts
}

// follow passes on what the child tells, until its final answer or its end.
func follow(stdout *bufio.Reader, note func(collect.Event)) (child.CollectAnswer, error) {
	for {
		var answer child.CollectAnswer
		if err := child.ReadAnswer(stdout, &answer); err != nil {
			if err == io.EOF {
				err = nil
			}
			return child.CollectAnswer{}, err
		}
		switch {
		case answer.Result != nil, answer.Failed != "":
			return answer, nil
		case answer.Event != nil:
			note(*answer.Event)
		}
	}
}

func (r *run) note(e collect.Event) {
	switch {
	case e.Problem != nil && e.Problem.Kind == collect.Poisoned:
		r.poisoned++
	case e.Checkpoint != nil:
		r.safe.step("checkpoint", "run", r.id, "packs", e.Checkpoint.Packs)
	case e.Progress != nil:
		r.safe.step("packs", "run", r.id, "bytes", e.Progress.NewBytes)
	}
	r.events(e)
}

// LastWords is the kind of problem that tells what a collector wrote to
// standard error before it ended without a result.
const LastWords source.Kind = "last words of the collector"

// A tail keeps the end of what a child says on standard error.
type tail struct{ b []byte }

const tailSize = 2048

func (t *tail) Write(p []byte) (int, error) {
	t.b = append(t.b, p...)
	if len(t.b) > tailSize {
		t.b = append([]byte(nil), t.b[len(t.b)-tailSize:]...)
	}
	return len(p), nil
}

func (t *tail) String() string { return strings.TrimSpace(string(t.b)) }

// authorizedKey returns a public key as it stands in a file of known hosts.
func authorizedKey(k ssh.PublicKey) string {
	return strings.TrimSpace(string(ssh.MarshalAuthorizedKey(k)))
}
