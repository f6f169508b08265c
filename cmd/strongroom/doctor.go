package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"strongroom/internal/confine"
	"strongroom/internal/daemon"
	"strongroom/internal/report"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/ui"
)

func (a *app) doctorCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "doctor",
		Short: "Try everything that the safe needs, and explain what is wrong",
		Long: `Try everything that the safe needs: its host, its keys, its store, its ledger,
each of its sources and its mail server; whether there is room for the next
collection, and what became of the last. Nothing is pulled, sent or changed.
Each line begins with ok or BAD; if any is bad, the exit status is 3. Lines that
begin with note tell what people should see to before it goes wrong, and what
the store could not give back.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			cfg, err := a.config()
			if err != nil {
				return err
			}
			d := &doctor{app: a, cfg: cfg}
			defer d.close()
			for _, c := range d.checks() {
				err := c.try()
				if a.stop.Err() != nil {
					return a.stop.Err() // it says nothing of what was tried
				}
				d.tell(c.name, err)
			}
			if err := d.rooms(); err != nil {
				return err
			}
			if d.safe != nil {
				if err := d.collections(); err != nil {
					return err
				}
				if err := d.nag(); err != nil {
					return err
				}
			}
			if cfg.Mail == nil {
				a.talk().Note("No mail is configured: nobody is told what happens. See the section mail in: strongroom config example")
			}
			if d.bad > 0 {
				return errLosses
			}
			return nil
		},
	}
}

// A doctor tries one thing after the other and counts what is wrong.
type doctor struct {
	app  *app
	cfg  *config.Config
	safe *daemon.Safe // nil if it cannot be opened
	bad  int
}

func (d *doctor) close() {
	if d.safe != nil {
		d.safe.Close() // nothing was written
	}
}

// A check returns nil if all is well, or what is wrong and what to do.
type check struct {
	name string
	try  func() error
}

func (d *doctor) checks() []check {
	checks := []check{
		{"kernel confines the collector", confines},
		{"memory is not swapped to disk", notSwapped},
		{"processes are not dumped to disk", notDumped},
		{"safe, keys, store and ledger", d.openSafe},
		{"clock", d.clock},
	}
	for _, src := range d.cfg.Sources {
		checks = append(checks, check{"source " + string(src.Name), func() error {
			return daemon.Probe(d.app.stop, src, daemon.Options{})
		}})
	}
	if d.cfg.Serve != nil {
		checks = append(checks, check{"passkeys are good on the pages", d.passkeys})
	}
	if d.cfg.Mail != nil {
		checks = append(checks, check{"mail server " + d.cfg.Mail.Server.Addr(), d.mail})
	}
	return checks
}

func (d *doctor) tell(name string, err error) {
	t := d.app.talk()
	message := map[string]any{"check": name, "ok": err == nil}
	if err == nil {
		t.Printf("ok    %s", name)
	} else {
		d.bad++
		t.Printf("BAD   %s: %v", name, err)
		message["problem"] = err.Error()
		if remedy := ui.Remedy(err); remedy != "" {
			t.Printf("      %s", remedy)
			message["remedy"] = remedy
		}
	}
	t.Emit("check", message)
}

// rooms tells what is free where the safe writes.
func (d *doctor) rooms() error {
	var snapshots []safe.Snapshot
	if d.safe != nil {
		var err error
		if snapshots, err = d.safe.State().Snapshots(d.app.stop, ""); err != nil {
			return err
		}
	}
	rooms, err := daemon.Rooms(d.cfg, snapshots)
	if err != nil {
		return err
	}
	for _, r := range rooms {
		d.tell(fmt.Sprintf("room for %s, %s free", r.What, ui.Size(r.Free)), enough(r))
	}
	return nil
}

// makeRoom is what to do about a full disk.
const makeRoom = "Make room there, or move it to a larger filesystem, then collect again. What the store has stays good."

func enough(r daemon.Room) error {
	if r.Free >= r.Need {
		return nil
	}
	return ui.WithRemedy(fmt.Errorf("the next collection may need %s in the filesystem of %s", ui.Size(r.Need), r.Path), makeRoom)
}

// collections tells what became of the last collection of each source.
func (d *doctor) collections() error {
	sums, err := d.app.sumUpAll(d.safe)
	if err != nil {
		return err
	}
	for _, sum := range sums {
		if sum.Last.ID.IsZero() {
			continue // there was none
		}
		d.tell("last collection of "+string(sum.Name), sum.bad())
	}
	return nil
}

// nag tells what people should see to before it goes wrong.
func (d *doctor) nag() error {
	nags, err := d.safe.Nags(d.app.stop)
	if err != nil {
		return err
	}
	for _, n := range nags {
		if n.Level == report.Alarm {
			d.tell("people", ui.WithRemedy(errors.New(n.Text), n.Remedy))
		}
	}
	nags = slices.DeleteFunc(nags, func(n daemon.Nag) bool { return n.Level == report.Alarm })
	nags = append(nags, d.notInStore())
	if d.safe.Roster().Founded() {
		nags = append(nags, daemon.Nag{
			Level:  report.Look,
			Text:   "whoever is root here decides what is collected from now on; an operator who is root makes two people one",
			Remedy: "See who it is: getent group sudo wheel; cat /etc/sudoers /root/.ssh/authorized_keys",
		})
	}
	t := d.app.talk()
	for _, n := range nags {
		t.Printf("note  %s", n.Text)
		if n.Remedy != "" {
			t.Printf("      %s", n.Remedy)
		}
		t.Emit("nag", nagMessage(n))
	}
	return nil
}

// notInStore names what no copy of the store brings back. What the safe
// remembers of its sources is no part of it: without that, the next collections
// read and store everything, and nothing is lost.
func (d *doctor) notInStore() daemon.Nag {
	all := "the safe's own keys in " + filepath.Join(d.cfg.Dir, "keys")
	if d.cfg.Serve != nil && d.cfg.Serve.TLS.IsAuto() {
		all += ", its certificate authority in " + authorityFolder(d.cfg)
	}
	return daemon.Nag{
		Level:  report.Look,
		Text:   "not in the store, and lost with this disk: " + all + ", and the configuration with the files that it names",
		Remedy: "Have a copy where only root of the safe reads it. The state comes back from the store: strongroom rebuild",
	}
}

func nagMessage(n daemon.Nag) map[string]string {
	return map[string]string{"level": string(n.Level), "text": n.Text, "remedy": n.Remedy}
}

func confines() error {
	switch abi := confine.ABI(); {
	case abi == 0:
		return errors.New("the kernel has no Landlock, so a collector that is taken over could read the store; enable it (boot with lsm=landlock,...) or use Linux 6.2 or newer")
	case abi < 3:
		return fmt.Errorf("the Landlock here has version %d, which cannot stop truncating; objects are guarded by their mode alone. Linux 6.2 or newer does better", abi)
	default:
		return nil
	}
}

func notSwapped() error {
	b, err := os.ReadFile("/proc/swaps")
	if err != nil {
		return err
	}
	if areas := strings.Count(strings.TrimSpace(string(b)), "\n"); areas > 0 {
		return fmt.Errorf("run keys could be written to swap, of which there is some in %s: turn it off (swapoff -a, /etc/fstab) or encrypt it with a key of each boot", plural(int64(areas), "place", "places"))
	}
	return nil
}

func notDumped() error {
	b, err := os.ReadFile("/proc/sys/kernel/core_pattern")
	if err != nil {
		return err
	}
	if pattern := strings.TrimSpace(string(b)); strings.HasPrefix(pattern, "|") {
		return fmt.Errorf("core dumps go to %q; the safe's own processes refuse to be dumped, but turn it off all the same: sysctl kernel.core_pattern=core, and ulimit -c 0", pattern)
	}
	return nil
}

// clock finds a clock that was turned back: nothing in the ledger can be from
// the future.
func (d *doctor) clock() error {
	if d.safe == nil {
		return errors.New("there is no ledger to compare it with before the safe can be opened")
	}
	newest, err := d.safe.State().Newest(d.app.stop)
	if err != nil {
		return err
	}
	if ahead := time.Until(newest); ahead > time.Minute {
		return fmt.Errorf("the ledger's newest entry is %s in the future: set the clock (timedatectl), and find out who turned it", ui.Duration(ahead))
	}
	return nil
}

func (d *doctor) passkeys() error {
	if d.safe == nil {
		return errors.New("there is no roster to compare the configuration with before the safe can be opened")
	}
	return passkeysFit(d.safe)
}

func (d *doctor) openSafe() (err error) {
	if d.safe, err = d.app.openSafe(); err != nil {
		return err
	}
	err = d.safe.CheckPublished(d.app.stop)
	var rolledBack *daemon.RolledBackError
	if errors.As(err, &rolledBack) {
		return ui.WithRemedy(err, "See what is lost: strongroom scrub")
	}
	return err
}
