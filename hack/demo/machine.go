package main

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"syscall"
	"time"
)

// path returns a path below ./demo.
func (d *demo) path(elements ...string) string {
	return filepath.Join(append([]string{d.home}, elements...)...)
}

// environment is what commands on a machine get to see: our program and stock
// age first, the machine's own home, and nothing of who plays the demo.
func (d *demo) environment(machine string) []string {
	home := d.path(machine)
	bin := filepath.Join(filepath.Dir(d.home), "bin")
	inherited := slices.DeleteFunc(os.Environ(), func(s string) bool {
		return strings.HasPrefix(s, "STRONGROOM_") || strings.HasPrefix(s, "SSH_")
	})
	return append(inherited,
		"PATH="+bin+string(filepath.ListSeparator)+os.Getenv("PATH"),
		"HOME="+home,
		"XDG_CONFIG_HOME="+filepath.Join(home, "config"),
		"XDG_STATE_HOME="+filepath.Join(home, "remembered"),
		"NO_COLOR=1")
}

// prepared makes what the shell would do of a line on a machine, in a group of
// its own, so that an interrupt reaches all that it started, and once only: a
// second one would be an order to break off.
func (d *demo) prepared(ctx context.Context, machine, line string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "sh", "-c", line)
	cmd.Dir = d.path(machine)
	cmd.Env = d.environment(machine)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGINT) }
	cmd.WaitDelay = 10 * time.Second
	return cmd
}

// shell runs a line as the shell would on a machine, and shows its output as it
// comes. The exit status must be want.
func (d *demo) shell(machine, line string, want int) (output string, err error) {
	d.command(machine, line)
	return d.call(machine, line, want, true)
}

// quietly is shell without showing it.
func (d *demo) quietly(machine, line string, want int) (string, error) {
	return d.call(machine, line, want, false)
}

func (d *demo) call(machine, line string, want int, show bool) (string, error) {
	cmd := d.prepared(d.ctx, machine, line)
	var collected strings.Builder
	out := d.output(&collected, show)
	cmd.Stdout, cmd.Stderr = out, out
	err := cmd.Run()
	out.finish()
	status := cmd.ProcessState
	if status == nil || status.ExitCode() < 0 {
		return "", fmt.Errorf("$ %s\n%s%w", line, collected.String(), err)
	}
	if got := status.ExitCode(); got != want {
		return "", fmt.Errorf("$ %s\n%sexit status %d, where %d was promised", line, collected.String(), got, want)
	}
	if show && want != 0 {
		d.item("(exit status %d)", want)
	}
	return collected.String(), nil
}

// says runs what must end with that status and say each of these.
func (d *demo) says(machine, line string, status int, each ...string) error {
	out, err := d.shell(machine, line, status)
	if err != nil {
		return err
	}
	for _, s := range each {
		if !strings.Contains(out, s) {
			return fmt.Errorf("$ %s\nwas to say %q, and said:\n%s", line, s, out)
		}
	}
	return nil
}

// A background is a command that goes on while the demo does.
type background struct {
	cmd  *exec.Cmd
	log  string        // the file with its output
	done chan struct{} // closed when it has ended, and err is set
	err  error
}

// start starts a line on a machine and shows it; its output goes to a file
// there.
func (d *demo) start(machine, line, log string) (*background, error) {
	d.command(machine, line+" > "+log+" 2>&1 &")
	f, err := os.Create(d.path(machine, log))
	if err != nil {
		return nil, err
	}
	// The shell gives way, so that signals reach the command itself. An
	// interrupt does not: whoever starts it stops it, in the right order.
	b := &background{cmd: d.prepared(context.WithoutCancel(d.ctx), machine, "exec "+line), log: f.Name(), done: make(chan struct{})}
	b.cmd.Stdout, b.cmd.Stderr = f, f
	// It shall end also when the demo is killed. The kernel tells by the end of
	// the thread that has started it, so that thread stays.
	b.cmd.SysProcAttr.Pdeathsig = syscall.SIGTERM
	started := make(chan error)
	go func() {
		runtime.LockOSThread()
		err := b.cmd.Start()
		started <- err
		if err == nil {
			b.err = b.cmd.Wait()
		}
		f.Close() // the command has written it, not we
		close(b.done)
	}()
	if err := <-started; err != nil {
		return nil, err
	}
	return b, nil
}

// output returns what it has written until now.
func (b *background) output() (string, error) {
	text, err := os.ReadFile(b.log)
	return string(text), err
}

// patience is how long the demo waits for what happens within a moment.
const patience = 15 * time.Second

// stop asks it to end and waits for it. One that was never started, or has
// ended, is stopped, too.
func (b *background) stop() {
	if b == nil {
		return
	}
	b.cmd.Process.Signal(syscall.SIGTERM) // it may have ended
	select {
	case <-b.done:
	case <-time.After(patience):
		syscall.Kill(-b.cmd.Process.Pid, syscall.SIGKILL) // nothing more can be done
		<-b.done
	}
}

// wait waits until something is so.
func (d *demo) wait(what string, so func() (bool, error)) error {
	deadline := time.Now().Add(patience)
	for {
		if ok, err := so(); ok || err != nil {
			return err
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s: not within %s", what, patience)
		}
		select {
		case <-d.ctx.Done():
			return d.ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// The addresses of the three machines.
const (
	addressOfSafe = "127.0.0.1"
	addressOfOtto = "127.0.0.2"
	addressOfKim  = "127.0.0.3"
)

// A door is where people reach the safe.
type door struct{ api, gate string } // host:port

// findDoor finds two free ports. It looks below those that the kernel gives to
// connections, since nothing holds them until the safe needs them.
func findDoor() (d door, err error) {
	first := 20_000 + rand.IntN(10_000)
	for n := range 1000 {
		l, err := net.Listen("tcp", fmt.Sprintf("%s:%d", addressOfSafe, first+n))
		if err != nil {
			continue // somebody uses it
		}
		l.Close() // nothing was accepted
		if d.api != "" {
			d.gate = l.Addr().String()
			return d, nil
		}
		d.api = l.Addr().String()
	}
	return d, fmt.Errorf("no two ports of %s are free above %d", addressOfSafe, first)
}

// answers tells whether something listens at an address.
func answers(address string) bool {
	conn, err := net.DialTimeout("tcp", address, time.Second)
	if err != nil {
		return false
	}
	conn.Close() // nothing was sent
	return true
}

// shut finds a door that is open and should not be.
func shut(addresses ...string) error {
	var errs []error
	for _, address := range addresses {
		if answers(address) {
			errs = append(errs, fmt.Errorf("something still listens on %s", address))
		}
	}
	return errors.Join(errs...)
}

// port returns the port of host:port.
func port(address string) string { return address[strings.LastIndexByte(address, ':')+1:] }
