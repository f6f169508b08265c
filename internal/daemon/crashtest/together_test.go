package crashtest

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"strongroom/internal/source/sftp/sshdtest"
)

// slow is for a source that takes several seconds to collect.
const slow = "    checkpoint: 1s\n    limits: { rate: 40MB/s }\n"

// A going is a program under way.
type going struct {
	t      *testing.T
	cmd    *exec.Cmd
	log    *bufio.Scanner // of standard error
	stdout strings.Builder
	said   strings.Builder // what was read of the log
}

// start starts the program.
func (s *site) start(args ...string) *going {
	s.t.Helper()
	g := &going{t: s.t, cmd: s.command(args...)}
	g.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	g.cmd.Stdout = &g.stdout
	stderr, err := g.cmd.StderrPipe()
	if err != nil {
		s.t.Fatal(err)
	}
	if err := g.cmd.Start(); err != nil {
		s.t.Fatal(err)
	}
	g.log = bufio.NewScanner(stderr)
	return g
}

// await reads the log until the program has come to the step so often.
func (g *going) await(at step, nth int) { g.awaitMoment(blow{step: at, nth: nth}) }

func (g *going) awaitMoment(b blow) { await(g.log, &g.said, b) }

// wait waits for the program's end.
func (g *going) wait() result {
	for g.log.Scan() {
		fmt.Fprintln(&g.said, g.log.Text())
	}
	g.cmd.Wait() // how it ended is in the state
	return result{g.cmd.Args[1:], g.cmd.ProcessState.ExitCode(), g.stdout.String(), g.said.String()}
}

// kill ends the program without giving it time for anything.
func (g *going) kill() {
	g.t.Helper()
	if err := g.cmd.Process.Kill(); err != nil {
		g.t.Fatal(err)
	}
	g.wait()
}

func (g *going) signal(signal syscall.Signal) {
	g.t.Helper()
	if err := g.cmd.Process.Signal(signal); err != nil {
		g.t.Fatal(err)
	}
}

func TestSourcesAtOnce(t *testing.T) {
	random := newRandom(t)
	trees := map[string]*tree{"a": newTree(t, random), "b": newTree(t, random), "c": newTree(t, random)}
	var sources string
	for _, name := range sortedKeys(trees) {
		sources += localSource(name, trees[name].root, "")
	}
	s := newSite(t, t.TempDir(), sources)
	kept := make(map[string]print)
	for range 3 {
		all := make(map[string]*going)
		for _, name := range sortedKeys(trees) {
			trees[name].change()
			all[name] = s.start("--json", "collect", name)
		}
		for _, name := range sortedKeys(all) {
			r := all[name].wait()
			if r.code != 0 {
				t.Fatalf("while others were collected: %v", r)
			}
			kept[keptRun(t, r)] = trees[name].print()
		}
	}
	if besides := s.sound(kept); len(besides) > 0 {
		t.Errorf("there are %v besides what was kept", besides)
	}
	for _, run := range sortedKeys(kept) {
		s.restores(run, kept[run])
	}
	s.references(sortedKeys(kept)...)
	s.must("scrub")
}

func TestOneSourceTwiceAtOnce(t *testing.T) {
	tr := newTree(t, newRandom(t))
	tr.grow(12, 4<<20)
	s := newSite(t, t.TempDir(), localSource("files", tr.root, slow))
	first := s.start("-v", "--json", "collect", "files")
	first.await("packs", 1)
	second := s.exits(4, "collect", "files")
	if !strings.Contains(second.stderr, "files") || !strings.Contains(second.stderr, "is being collected already") {
		t.Errorf("not a clear refusal: %v", second)
	}
	r := first.wait()
	if r.code != 0 {
		t.Fatalf("the first collection was disturbed: %v", r)
	}
	s.restores(keptRun(t, r), tr.print())
}

// A signal ends the pulling, and what was collected until then is kept.
func TestSignal(t *testing.T) {
	for _, signal := range []syscall.Signal{syscall.SIGINT, syscall.SIGTERM} {
		t.Run(signal.String(), func(t *testing.T) {
			tr := newTree(t, newRandom(t))
			tr.grow(20, 4<<20)
			s := newSite(t, t.TempDir(), localSource("files", tr.root, "    limits: { rate: 40MB/s }\n"))
			g := s.start("-v", "--json", "collect", "files")
			g.await("packs", 4) // told five times a second
			began := time.Now()
			g.signal(signal)
			r := g.wait()
			if took := time.Since(began); took > 2*time.Second {
				t.Errorf("it took %v to stop", took)
			}
			if r.code != 3 || !strings.Contains(r.stdout, "stopped by request") {
				t.Fatalf("want status 3 and the reason, of %v", r)
			}
			snapshot := kept(t, r)
			run := snapshot["run"].(string)
			if snapshot["partial"] != true || snapshot["entries"].(float64) == 0 {
				t.Errorf("kept %v", snapshot)
			}
			if listed := s.snapshots()[run]; !listed.proven || !listed.partial {
				t.Errorf("it is listed as %+v", listed)
			}
			s.verify(run)
			s.restoresPart(run, tr.print())

			// What was kept in part is not stored again.
			next := kept(t, s.must("--json", "collect", "files"))
			if whole, part := next["bytes"].(float64), snapshot["bytes"].(float64); next["new_bytes"].(float64) > whole-part {
				t.Errorf("of %.0f bytes %.0f had been kept, and then %.0f were stored", whole, part, next["new_bytes"])
			}
			s.restores(next["run"].(string), tr.print())
		})
	}
}

// restoresPart restores a partial snapshot: each file of it is whole.
func (s *site) restoresPart(run string, was print) {
	s.t.Helper()
	to := filepath.Join(s.home, "part")
	s.must(append([]string{"restore", run, "--to", to}, s.keys()...)...)
	whole := make(map[string]bool)
	for line := range strings.Lines(was.Lines) {
		whole[line] = true
	}
	files := 0
	for line := range strings.Lines(printOf(s.t, filepath.Join(to, was.Root), was.Root).Lines) {
		if strings.Contains(line, " d") {
			continue // a folder may be restored before its time is known
		}
		if files++; !whole[line] {
			s.t.Errorf("a partial snapshot has what was not there: %s", line)
		}
	}
	if files == 0 {
		s.t.Error("nothing was restored of a partial snapshot")
	}
}

// A second signal ends everything at once, as a crash would.
func TestSecondSignal(t *testing.T) {
	tr := newTree(t, newRandom(t))
	tr.grow(20, 4<<20)
	s := newSite(t, t.TempDir(), localSource("files", tr.root, "    limits: { rate: 40MB/s }\n"))
	g := s.start("-v", "collect", "files")
	g.await("packs", 3)
	children := childrenOf(g.cmd.Process.Pid)
	// Stopped, the child cannot answer the first signal.
	for _, child := range children {
		if err := syscall.Kill(child, syscall.SIGSTOP); err != nil {
			t.Fatal(err)
		}
	}
	g.signal(syscall.SIGINT)
	time.Sleep(50 * time.Millisecond)
	began := time.Now()
	g.signal(syscall.SIGINT)
	r := g.wait()
	if took := time.Since(began); took > time.Second {
		t.Errorf("it took %v to end", took)
	}
	if r.code != 1 || !strings.Contains(r.stderr, "was broken off") {
		t.Errorf("want status 1 and what it means, of %v", r)
	}
	gone(t, children)
	s.sound(nil)
	s.restores(s.collect("files"), tr.print())
}

// A first pull that breaks again and again goes on where it was: what was
// checkpointed is neither pulled nor stored again.
func TestBrokenPullGoesOn(t *testing.T) {
	server := sshdtest.ForTest(t, sshdtest.Options{})
	line := newLine(t, server.Addr)
	tr := newTree(t, newRandom(t))
	tr.grow(24, 4<<20)
	tr.wholeSeconds() // SFTP tells no more
	host, port, err := net.SplitHostPort(line.addr)
	if err != nil {
		t.Fatal(err)
	}
	s := newSite(t, t.TempDir(), fmt.Sprintf("  files:\n    kind: sftp\n    host: %s@%s:%s\n    host_key: %s\n    key: file:%s\n    include: [ %s ]\n%s",
		server.User, host, port, server.HostKey, server.KeyFile, tr.root, slow))

	g := s.start("-v", "collect", "files")
	g.await("checkpoint", 1)
	g.kill()
	// A pack holds 32 MiB, but for its table and padding.
	const checkpointed = 30_000_000
	first := line.passed.Swap(0)

	// The host cannot be reached, and then the next attempt is killed early:
	// neither makes what was checkpointed count less.
	line.cut.Store(true)
	if r := s.run("collect", "files"); r.code != 1 {
		t.Errorf("without the host: %v", r)
	}
	line.cut.Store(false)
	g = s.start("-v", "collect", "files")
	g.await("packs", 1)
	g.kill()
	line.passed.Store(0)

	snapshot := kept(t, s.must("--json", "collect", "files"))
	whole, stored, pulled := snapshot["bytes"].(float64), snapshot["new_bytes"].(float64), float64(line.passed.Load())
	if most := whole - checkpointed; stored > most {
		t.Errorf("of %.0f bytes at least %d had been checkpointed, and %.0f were stored again", whole, checkpointed, stored)
	} else if pulled > most*1.05 { // with what SSH adds
		t.Errorf("of %.0f bytes at least %d had been checkpointed, and %.0f were pulled again", whole, checkpointed, pulled)
	}
	s.restores(snapshot["run"].(string), tr.print())
	s.must("scrub")
	t.Logf("of %.0f bytes, %d were pulled before the first break; then %.0f were pulled and %.0f stored", whole, first, pulled, stored)
}

// A line passes bytes on to a server, counts them, and can be cut.
type line struct {
	addr   string
	passed atomic.Int64 // from the server
	cut    atomic.Bool  // nobody is let through
}

func newLine(t *testing.T, server string) *line {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	l := &line{addr: listener.Addr().String()}
	var wait sync.WaitGroup
	wait.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return // it was closed
			}
			if l.cut.Load() {
				client.Close()
				continue
			}
			wait.Go(func() { l.pass(client, server) })
		}
	})
	t.Cleanup(func() { listener.Close(); wait.Wait() })
	return l
}

// pass passes bytes both ways until one side has ended.
func (l *line) pass(client net.Conn, server string) {
	defer client.Close() // what matters is counted
	conn, err := net.Dial("tcp", server)
	if err != nil {
		return // the client sees it
	}
	defer conn.Close()
	var wait sync.WaitGroup
	wait.Go(func() {
		io.Copy(conn, client) // its end is the end of the line
		conn.Close()
	})
	io.Copy(io.MultiWriter(client, counter{&l.passed}), conn)
	client.Close()
	wait.Wait()
}

type counter struct{ n *atomic.Int64 }

func (c counter) Write(p []byte) (int, error) {
	c.n.Add(int64(len(p)))
	return len(p), nil
}
