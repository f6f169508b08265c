package daemon

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"strongroom/internal/collect"
	"strongroom/internal/daemon/child"
	"strongroom/internal/daemon/state"
	"strongroom/internal/estate"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
	"strongroom/internal/store/blob"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/catalog"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
)

// The test binary plays the children too: an honest maker of run keys, and a
// collector that was taken over.
func TestMain(m *testing.M) {
	if len(os.Args) == 4 && os.Args[1] == "play" {
		if err := play(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

func play(part, name string) error {
	switch name {
	case "runkey":
		return child.RunKey(os.Stdin, os.Stdout)
	case "scrub":
		return playScrub(part)
	case "gate":
		return playGate(part)
	}
	line, err := bufio.NewReader(os.Stdin).ReadBytes('\n')
	if err != nil {
		return err
	}
	var task child.CollectTask
	if err := json.Unmarshal(line, &task); err != nil {
		return err
	}
	return parts[part](task, json.NewEncoder(os.Stdout))
}

// parts are what the collector does and claims.
var parts = map[string]func(child.CollectTask, *json.Encoder) error{
	"honest": func(task child.CollectTask, out *json.Encoder) error { return out.Encode(claim(task, nil)) },
	"partial": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(claim(task, func(r *collect.Result) { r.Complete, r.Reason = false, "the source is gone" }))
	},
	"facts":         describing(nil),
	"partial facts": describing(func(r *collect.Result) { r.Complete, r.Reason = false, "the source is gone" }),
	"facts that are none": func(task child.CollectTask, out *json.Encoder) error {
		err := out.Encode(claim(task, nil))
		io.WriteString(os.Stdout, `{"facts":{"components":[{"id":"no such kind/x"}]}}`+"\n")
		return err
	},
	"crashed over facts": func(task child.CollectTask, out *json.Encoder) error {
		return errors.Join(out.Encode(claim(task, nil)), errors.New("panic: a hostile file"))
	},
	"run of another source": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(claim(task, func(r *collect.Result) { r.Runs[other(task)] = nil }))
	},
	"unknown run": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(claim(task, func(r *collect.Result) { r.Runs[safe.NewRunID(time.Now())] = nil }))
	},
	"not its own run": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(claim(task, func(r *collect.Result) { delete(r.Runs, task.Run) }))
	},
	"missing pack": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(claim(task, func(r *collect.Result) { r.Runs[task.Run] = []safe.Digest{{1}} }))
	},
	"missing root": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(claim(task, func(r *collect.Result) { r.Root = safe.Digest{1} }))
	},
	"other root": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(claim(task, func(r *collect.Result) {
			r.Root = safe.Digest{2}
			put(task, layout.Root(task.Run, r.Root), []byte("not what its name says"))
			put(task, layout.Copy(layout.Root(task.Run, r.Root)), []byte("not what its name says"))
		}))
	},
	"no copy of the root": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(claim(task, func(r *collect.Result) {
			r.Root = safe.DigestOf([]byte("alone"))
			put(task, layout.Root(task.Run, r.Root), []byte("alone"))
		}))
	},
	"negative count": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(claim(task, func(r *collect.Result) { r.StoredBytes = -1 }))
	},
	"odd finding": func(task child.CollectTask, out *json.Encoder) error {
		answer := claim(task, nil)
		answer.Finding = &child.Finding{Kind: "Not a kind", Text: "x"}
		return out.Encode(answer)
	},
	"nothing to keep": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(child.CollectAnswer{Result: &collect.Result{Reason: "connection refused"}})
	},
	"failed": func(task child.CollectTask, out *json.Encoder) error {
		return out.Encode(child.CollectAnswer{Failed: "no space left", NoSpace: true, Finding: &child.Finding{Kind: "source.host_key_refused", Text: "another key"}})
	},
	"lingering": func(task child.CollectTask, out *json.Encoder) error {
		err := out.Encode(claim(task, nil))
		time.Sleep(time.Hour)
		return err
	},
	"silent":  func(child.CollectTask, *json.Encoder) error { return nil },
	"crashed": func(child.CollectTask, *json.Encoder) error { return errors.New("last words") },
	"garbage": func(child.CollectTask, *json.Encoder) error {
		_, err := io.WriteString(os.Stdout, "{\"x\":1}\n")
		return err
	},
	"endless": func(child.CollectTask, *json.Encoder) error {
		for {
			if _, err := os.Stdout.Write(bytes.Repeat([]byte("x"), 1<<20)); err != nil {
				return nil // the supervisor has had enough
			}
		}
	},
	// A process that outlives the collector, and holds its pipes open.
	"survived": func(task child.CollectTask, out *json.Encoder) error {
		survivor := exec.Command(os.Args[0], "play", "sleeping", "survivor")
		survivor.Stdin, survivor.Stdout, survivor.Stderr = strings.NewReader("{}\n"), os.Stdout, os.Stderr
		if err := survivor.Start(); err != nil {
			return err
		}
		return out.Encode(child.CollectAnswer{Event: &collect.Event{Progress: &collect.Progress{Entries: 1}}})
	},
	"sleeping": func(child.CollectTask, *json.Encoder) error {
		time.Sleep(time.Minute)
		return nil
	},
	"poisoned": func(task child.CollectTask, out *json.Encoder) error {
		p := collect.Problem{Kind: collect.Poisoned, Path: []byte("secret name"), Text: "x"}
		if err := out.Encode(child.CollectAnswer{Event: &collect.Event{Problem: &p}}); err != nil {
			return err
		}
		return out.Encode(claim(task, nil))
	},
}

// claim is an honest result, changed.
func claim(task child.CollectTask, change func(*collect.Result)) child.CollectAnswer {
	root := []byte("root of " + task.Run.String())
	r := collect.Result{Complete: true, Entries: 1, Bytes: 2, Root: safe.DigestOf(root), Runs: map[safe.RunID][]safe.Digest{task.Run: {}}}
	put(task, layout.Root(task.Run, r.Root), root)
	put(task, layout.Copy(layout.Root(task.Run, r.Root)), root)
	if change != nil {
		change(&r)
	}
	return child.CollectAnswer{Result: &r}
}

// describing claims a collection that tells of the estate: of tonight, and of a
// host that only this run has seen.
func describing(change func(*collect.Result)) func(child.CollectTask, *json.Encoder) error {
	return func(task child.CollectTask, out *json.Encoder) error {
		answer := claim(task, change)
		seen := []estate.Evidence{{Basis: estate.Observed, Source: string(task.Source), Place: "tcp", First: task.Started, Last: task.Started}}
		if err := out.Encode(answer); err != nil {
			return err
		}
		told := estate.Facts{
			Components: []estate.Component{{ID: "host/a", Label: task.Run.String()}},
			Links:      []estate.Link{{From: estate.End{ID: "host/a"}, To: estate.End{ID: estate.NewID(estate.Host, task.Run.String())}, Need: estate.Run, Evidence: seen}},
		}
		return out.Encode(child.CollectAnswer{Facts: &told})
	}
}

func put(task child.CollectTask, name string, b []byte) {
	store, err := dir.Open(task.StorePath)
	if err == nil {
		err = blob.PutOnce(context.Background(), store, name, b)
	}
	if err != nil {
		panic(err)
	}
}

// other finds a run of the other source in the store.
func other(task child.CollectTask) safe.RunID {
	entries, err := os.ReadDir(filepath.Join(task.StorePath, "runs"))
	if err != nil {
		panic(err)
	}
	id, err := safe.ParseRunID(entries[0].Name()) // run ids sort by time, and the other source came first
	if err != nil {
		panic(err)
	}
	return id
}

type desk struct {
	t    *testing.T
	cfg  *config.Config
	safe *Safe
	now  time.Time
}

func newDesk(t *testing.T) *desk {
	t.Helper()
	folder := t.TempDir()
	text := fmt.Sprintf("safe: test\nstore: %[1]s/store\ndir: %[1]s/dir\nsources:\n  erp: { kind: local, include: [/etc] }\n  web: { kind: local, include: [/etc] }\n", folder)
	cfg, err := config.Parse("test.yaml", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	d := &desk{t: t, cfg: cfg, now: time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)}
	outer, err := seal.NewOuterIdentity()
	if err != nil {
		t.Fatal(err)
	}
	inner, err := seal.NewInnerIdentity()
	if err != nil {
		t.Fatal(err)
	}
	if d.safe, err = Init(t.Context(), cfg, outer.Recipient(), inner.Recipient(), d.options("honest")); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.safe.Close() })
	return d
}

// playing returns the program of children that play a part. A program built
// with the race detector waits for a second before it ends, in case another
// goroutine has a race to tell of; children are many, and end as a whole.
func playing(part string) []string {
	return []string{"env", "GORACE=atexit_sleep_ms=20", os.Args[0], "play", part}
}

func (d *desk) options(part string) Options {
	return Options{Grace: time.Second, Now: func() time.Time { d.now = d.now.Add(time.Second); return d.now }, Program: playing(part)}
}

func (d *desk) collect(part string, source int) (Outcome, error) {
	d.safe.opts = d.options(part)
	return d.safe.Collect(d.t.Context(), d.t.Context(), d.cfg.Sources[source], nil)
}

// check verifies the store against its own ledger, as others would.
func (d *desk) check() (*catalog.Catalog, []catalog.Listed) {
	d.t.Helper()
	c, err := catalog.Read(d.t.Context(), d.safe.Store(), catalog.Options{Keys: d.safe.LedgerKeys()})
	if err != nil {
		d.t.Fatal(err)
	}
	listed, lost, err := c.Snapshots(d.t.Context(), d.safe.Store())
	if err != nil || len(lost) > 0 {
		d.t.Fatal(lost, err)
	}
	for _, l := range listed {
		if l.Unproven != nil {
			d.t.Errorf("run %s is not proven: %v", l.Run, l.Unproven)
		}
	}
	return c, listed
}

// A collector that was taken over can lie about what it read. It cannot make
// the safe commit something that is not there or not its own.
func TestClaimsOfTheCollector(t *testing.T) {
	for _, c := range []struct {
		part, want string // of the error; "" means that the snapshot is kept
	}{
		{"honest", ""},
		{"partial", ""},
		{"poisoned", ""},
		{"lingering", ""},
		{"facts that are none", ""},
		{"crashed over facts", ""},
		{"run of another source", "none of this source"},
		{"unknown run", "none of this source"},
		{"not its own run", "does not name its own run"},
		{"missing pack", "refers to a pack"},
		{"missing root", "its root"},
		{"other root", "does not match its name"},
		{"no copy of the root", "its root"},
		{"negative count", "is negative"},
		{"odd finding", "no collector looks for"},
		{"nothing to keep", "connection refused"},
		{"failed", "no space left"},
		{"silent", "without a result"},
		{"crashed", "without a result (exit status 1)"},
		{"garbage", "cannot be read"},
		{"endless", "a line of more than"},
	} {
		t.Run(c.part, func(t *testing.T) {
			d := newDesk(t)
			if _, err := d.collect("honest", 1); err != nil {
				t.Fatal(err)
			}
			outcome, err := d.collect(c.part, 0)
			_, listed := d.check()
			if c.want == "" {
				if err != nil || outcome.Snapshot == nil || len(listed) != 2 {
					t.Errorf("got %+v, %v, and %d snapshots", outcome, err, len(listed))
				}
				return
			}
			var failed *FailedError
			if !errors.As(err, &failed) || !strings.Contains(failed.Reason, c.want) {
				t.Errorf("got error %v, want one with %q", err, c.want)
			}
			for b, err := range d.safe.State().Entries(t.Context(), 0) {
				if err != nil || strings.Contains(string(b), "last words") {
					t.Errorf("what the collector wrote to standard error is in the ledger: %s (%v)", b, err)
				}
			}
			if len(listed) != 1 {
				t.Errorf("%d snapshots are kept, want the other source's only", len(listed))
			}
			// The source is not blocked by it.
			if outcome, err := d.collect("honest", 0); err != nil || outcome.Snapshot.Partial {
				t.Errorf("the next collection: %+v, %v", outcome, err)
			}
		})
	}
}

// Ending ctx ends a collection, whatever the collector has left behind.
func TestWhatOutlivesTheCollectorHoldsNothingUp(t *testing.T) {
	d := newDesk(t)
	d.safe.opts = d.options("survived")
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() {
		_, err := d.safe.Collect(ctx, ctx, d.cfg.Sources[0], func(collect.Event) { cancel() })
		done <- err
	}()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("got %v, want that it was cancelled", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the collection waits for a process that the collector left behind")
	}
}

func TestFindingsAreRecorded(t *testing.T) {
	for part, want := range map[string]string{
		"poisoned": "source.content_changed", "failed": "source.host_key_refused",
		"unknown run": "source.collector_lied", "other root": "source.collector_lied", "missing pack": "",
	} {
		d := newDesk(t)
		d.collect(part, 0) // its error is another test's
		found := ""
		for b, err := range d.safe.State().Entries(t.Context(), 0) {
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(b), "secret name") {
				t.Errorf("%s: a name from inside the source is in the ledger: %s", part, b)
			}
			e, err := ledger.ParseEntry(b)
			if err != nil {
				t.Fatal(err)
			}
			if raised, ok := e.What.(ledger.FindingRaised); ok {
				found = raised.Finding
			}
		}
		if found != want {
			t.Errorf("%s: the ledger has the finding %q, want %q", part, found, want)
		}
	}
}

// A collection that cannot even begin to pull is in the ledger all the same.
func TestUnreadableSecretIsRecorded(t *testing.T) {
	d := newDesk(t)
	src := d.cfg.Sources[0]
	spec, err := config.Parse("test.yaml", []byte("safe: x\nstore: /x\nsources:\n  s: { kind: sftp, host: a@b, host_key: \""+testHostKey+"\", key: \"file:/nowhere/key\", include: [/etc] }\n"))
	if err != nil {
		t.Fatal(err)
	}
	src.Spec = spec.Sources[0].Spec
	var failed *FailedError
	if _, err := d.safe.Collect(t.Context(), t.Context(), src, nil); !errors.As(err, &failed) || !strings.Contains(failed.Reason, "/nowhere/key") {
		t.Errorf("got %v", err)
	}
	recorded := false
	for b, err := range d.safe.State().Entries(t.Context(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		e, err := ledger.ParseEntry(b)
		if err != nil {
			t.Fatal(err)
		}
		_, isFailure := e.What.(ledger.RunFailed)
		recorded = recorded || isFailure
	}
	if !recorded {
		t.Error("the ledger does not tell of it")
	}
}

const testHostKey = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJYLoWLD5KbVrDL1wLK0Rk1OQbgrsCy9JgcK6Ckmcfpv"

func TestTiersAndPartial(t *testing.T) {
	d := newDesk(t)
	first, err := d.collect("honest", 0)
	if err != nil {
		t.Fatal(err)
	}
	if first.Snapshot.Tier != safe.Daily { // a new source's first days
		t.Errorf("the first snapshot is %s", first.Snapshot.Tier)
	}
	d.now = d.now.AddDate(0, 0, 8)
	partial, err := d.collect("partial", 0)
	if err != nil {
		t.Fatal(err)
	}
	if s := partial.Snapshot; s.Tier != safe.Broken || !s.Partial || !s.KeepUntil.Equal(s.Finished.AddDate(0, 0, 14)) {
		t.Errorf("a partial snapshot is %s until %s", s.Tier, s.KeepUntil)
	}
	later, err := d.collect("honest", 0)
	if err != nil {
		t.Fatal(err)
	}
	if later.Snapshot.Tier != safe.Yearly {
		t.Errorf("the first complete one after the first days is %s", later.Snapshot.Tier)
	}
}

func TestASourceIsCollectedOnceAtATime(t *testing.T) {
	d := newDesk(t)
	unlock, err := d.safe.lockSource("erp")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.collect("honest", 0); !errors.Is(err, ErrBusy) {
		t.Errorf("got %v, want ErrBusy", err)
	}
	if _, err := d.collect("honest", 1); err != nil {
		t.Errorf("the other source: %v", err)
	}
	unlock()
	if _, err := d.collect("honest", 0); err != nil {
		t.Error(err)
	}
}

func TestInitTwice(t *testing.T) {
	d := newDesk(t)
	period := d.safe.Roster().Current()
	if _, err := Init(t.Context(), d.cfg, period.Outer, period.Inner, d.options("honest")); err == nil || !strings.Contains(err.Error(), "already") {
		t.Errorf("got %v", err)
	}
	if _, err := d.collect("honest", 0); err != nil {
		t.Errorf("after that: %v", err)
	}
}

// Init goes on where an earlier one was broken off.
func TestInitAfterACrash(t *testing.T) {
	for _, left := range []string{"keys", "keys and an empty state", "keys and a store with one mark"} {
		t.Run(left, func(t *testing.T) {
			d := newDesk(t)
			period := d.safe.Roster().Current()
			d.safe.Close()
			for _, gone := range []string{"state.db", "state.db-wal", "state.db-shm"} {
				os.Remove(filepath.Join(d.cfg.Dir, gone)) // some of them are not there
			}
			switch left {
			case "keys":
				os.RemoveAll(d.cfg.Store)
			case "keys and an empty state":
				os.RemoveAll(d.cfg.Store)
				k, err := readKeys(keysPath(d.cfg))
				if err != nil {
					t.Fatal(err)
				}
				db, err := state.Open(t.Context(), statePath(d.cfg), k.ledger)
				if err != nil {
					t.Fatal(err)
				}
				db.Close()
			default:
				for _, gone := range []string{"ledger", "roster", "format.2"} {
					os.RemoveAll(filepath.Join(d.cfg.Store, gone))
				}
			}
			var err error
			if d.safe, err = Init(t.Context(), d.cfg, period.Outer, period.Inner, d.options("honest")); err != nil {
				t.Fatal(err)
			}
			if _, err := d.collect("honest", 0); err != nil {
				t.Error(err)
			}
			d.check()
		})
	}
}

func TestInitIntoAnotherSafesStore(t *testing.T) {
	d, other := newDesk(t), newDesk(t)
	period := d.safe.Roster().Current()
	d.cfg.Store, d.cfg.Dir = other.cfg.Store, t.TempDir()
	if _, err := Init(t.Context(), d.cfg, period.Outer, period.Inner, d.options("honest")); err == nil || !strings.Contains(err.Error(), "another safe") {
		t.Errorf("got %v", err)
	}
}

// State and store must be of one history.
func TestContradictionsAreRefused(t *testing.T) {
	copyFile := func(t *testing.T, from, to string) {
		t.Helper()
		b, err := os.ReadFile(from)
		if err == nil {
			err = os.WriteFile(to, b, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	t.Run("older state", func(t *testing.T) {
		d := newDesk(t)
		d.safe.Close()
		old := filepath.Join(t.TempDir(), "old.db")
		copyFile(t, statePath(d.cfg), old)
		s, err := Open(t.Context(), d.cfg, d.options("honest"))
		if err != nil {
			t.Fatal(err)
		}
		d.safe = s
		if _, err := d.collect("honest", 0); err != nil {
			t.Fatal(err)
		}
		s.Close()
		copyFile(t, old, statePath(d.cfg))
		if _, err := Open(t.Context(), d.cfg, d.options("honest")); err == nil || !strings.Contains(err.Error(), "older copy") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("another safe's store", func(t *testing.T) {
		d, other := newDesk(t), newDesk(t)
		d.safe.Close()
		d.cfg.Store = other.cfg.Store
		if _, err := Open(t.Context(), d.cfg, d.options("honest")); err == nil || !strings.Contains(err.Error(), "check `store`") {
			t.Errorf("got %v", err)
		}
	})
	for _, folder := range []func(*config.Config) string{keysPath, func(c *config.Config) string { return c.Dir }, func(c *config.Config) string { return c.Store }} {
		t.Run("writable "+filepath.Base(folder(newDesk(t).cfg)), func(t *testing.T) {
			d := newDesk(t)
			if err := os.Chmod(folder(d.cfg), 0o770); err != nil {
				t.Fatal(err)
			}
			if _, err := Open(t.Context(), d.cfg, d.options("honest")); err == nil || !strings.Contains(err.Error(), "others can write") {
				t.Errorf("got %v", err)
			}
		})
	}
	t.Run("planted keys", func(t *testing.T) {
		if os.Geteuid() != 0 {
			t.Skip("only root can give a folder to somebody else")
		}
		d := newDesk(t)
		if err := os.Chown(keysPath(d.cfg), 1234, 1234); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), d.cfg, d.options("honest")); err == nil || !strings.Contains(err.Error(), "belongs to user 1234") {
			t.Errorf("got %v", err)
		}
	})
	t.Run("readable key", func(t *testing.T) {
		d := newDesk(t)
		if err := os.Chmod(filepath.Join(keysPath(d.cfg), secretFile), 0o644); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(t.Context(), d.cfg, d.options("honest")); err == nil || !strings.Contains(err.Error(), "chmod 0400") {
			t.Errorf("got %v", err)
		}
	})
}
