package crashtest

import (
	"bufio"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A step is a place in the order of writing, as the log names it. What is
// published on the way is told apart by what was recorded before it.
type step string

const (
	anyTime step = "at any time"
	large   step = "checkpoint of many"
)

// steps are those of one collection, in their order. The checkpoint of many
// comes in the middle of a collection that takes several packs.
var steps = []step{
	"runkey", "begun", "published beginning", "packs", large, "checkpoint", "result", "committed", "published snapshot",
}

// A victim is what is killed.
type victim string

const (
	both      victim = "both"       // parent and child at once, as by an OOM killer that takes the cgroup
	theParent victim = "the parent" // the child must notice by itself
	theChild  victim = "the child"  // the parent must report it
)

// A blow says when whom to kill.
type blow struct {
	step   step
	nth    int           // occurrence of the step, from 1
	delay  time.Duration // after it
	victim victim
}

func TestKill(t *testing.T) {
	killing(t, 5, 50)
}

func TestSoakKill(t *testing.T) {
	soak(t)
	killing(t, 36, 400)
}

// killing kills collections at every step so often, and at least so often in
// all, and makes sure after each that nothing was lost and nothing is in the
// way.
func killing(t *testing.T, each, all int) {
	random := newRandom(t)
	tr := newTree(t, random)
	// Large files are read no faster than this, so that a second passes
	// before the last pack is written.
	s := newSite(t, t.TempDir(), localSource("files", tr.root, "    checkpoint: 1s\n    limits: { rate: 40MB/s }\n"))
	k := &killer{site: s, tree: tr, random: random, kept: make(map[string]print), killed: make(map[string]print), hits: make(map[step]map[victim]int)}
	k.kept[s.collect("files")] = tr.print()

	var plan []step
	for range each {
		plan = append(plan, steps...)
	}
	for len(plan) < all {
		plan = append(plan, anyTime)
	}
	random.Shuffle(len(plan), func(i, j int) { plan[i], plan[j] = plan[j], plan[i] })
	for i, at := range plan {
		if !k.hit(at) {
			t.Fatalf("no collection could be killed at %q", at)
		}
		if t.Failed() {
			t.Fatalf("after %d kills, the last one at %q", i+1, at)
		}
		// Sometimes the next collection is killed as well.
		if random.IntN(2) == 0 {
			k.goOn()
		}
	}
	k.goOn()
	for _, run := range sortedKeys(k.kept) {
		s.verify(run)
	}
	s.references(sortedKeys(k.kept)...)
	s.must("scrub")
	k.report()
}

// A killer kills collections of one source.
type killer struct {
	*site
	tree   *tree
	random *rand.Rand
	kept   map[string]print // what the tree was for each run that was kept
	killed map[string]print // the same, for runs that were begun and not listed since
	hits   map[step]map[victim]int
}

// aim chooses a moment at or soon after a step, or at any time.
func aim(random *rand.Rand, at step) blow {
	b := blow{step: at, nth: 1}
	// From a microsecond to ten milliseconds, all magnitudes alike.
	b.delay = time.Microsecond << random.IntN(14)
	b.delay += time.Duration(random.Int64N(int64(b.delay)))
	switch at {
	case anyTime:
		b.delay = time.Duration(random.Int64N(int64(150 * time.Millisecond)))
	case "published beginning", "published snapshot":
		b.nth = 1 + random.IntN(6) // envelope or description, entry, checkpoint, and a copy of each
	}
	return b
}

// blow chooses how to kill at a step.
func (k *killer) blow(at step) blow {
	b := aim(k.random, at)
	b.victim = both
	switch k.random.IntN(3) {
	case 0:
		b.victim = theParent
	case 1:
		// There is a child only while it collects.
		if at == "packs" || at == "checkpoint" || at == large {
			b.victim = theChild
		}
	}
	return b
}

// hit kills a collection at a step and looks at what is left. It returns false
// if every collection was quicker.
func (k *killer) hit(at step) bool {
	k.t.Helper()
	for range 10 {
		k.tree.change()
		if at == large {
			k.tree.grow(12, 4<<20)
		}
		b := k.blow(at)
		hit := k.strike(b)
		k.look(b)
		k.tree.shrink()
		if hit {
			if k.hits[at] == nil {
				k.hits[at] = make(map[victim]int)
			}
			k.hits[at][b.victim]++
			return true
		}
	}
	return false
}

// strike starts a collection and kills it. It reports whether the blow came
// before the victim's own end.
func (k *killer) strike(b blow) bool {
	k.t.Helper()
	cmd := k.command("-v", "collect", "files")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	stderr, err := cmd.StderrPipe()
	if err != nil {
		k.t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	lines := bufio.NewScanner(stderr)
	var said strings.Builder
	await(lines, &said, b)
	children := childrenOf(cmd.Process.Pid)
	struck := false
	if b.victim != theChild {
		struck = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) == nil
	}
	if b.victim != theParent {
		for _, child := range children {
			err := syscall.Kill(child, syscall.SIGKILL)
			struck = struck || b.victim == theChild && err == nil
		}
	}
	for lines.Scan() {
		fmt.Fprintln(&said, lines.Text())
	}
	cmd.Wait() // how it ended is looked at below
	if run := runIn(said.String()); run != "" {
		k.killed[run] = k.tree.print()
	}
	gone(k.t, children)
	if b.victim == theChild {
		// The parent has told of it, unless the child was done.
		code := cmd.ProcessState.ExitCode()
		if code != 0 && (code != 1 || !strings.Contains(said.String(), "the collector ended without a result")) {
			k.t.Errorf("the child was killed %v after %q, and the parent ended with status %d:\n%s", b.delay, b.step, code, said.String())
		}
		return struck && code != 0
	}
	status, ok := cmd.ProcessState.Sys().(syscall.WaitStatus)
	if ok && status.Signaled() {
		return struck
	}
	if cmd.ProcessState.ExitCode() != 0 {
		k.t.Errorf("a collection that was not killed ended with %v:\n%s", cmd.ProcessState, said.String())
	}
	return false
}

// await reads the log until the moment has come, or the log's end.
func await(lines *bufio.Scanner, said *strings.Builder, b blow) {
	defer wait(b.delay)
	committed := false
	for seen := 0; b.step != anyTime && lines.Scan(); {
		fmt.Fprintln(said, lines.Text())
		at := stepOf(lines.Text(), committed)
		committed = committed || at == "committed"
		// The first checkpoint of a large collection comes before its last.
		if at == b.step || at == "checkpoint" && b.step == large {
			if seen++; seen == b.nth {
				return
			}
		}
	}
}

// runIn returns the run that a log tells of.
func runIn(log string) string {
	for line := range strings.Lines(log) {
		var entry struct{ Run string }
		if json.Unmarshal([]byte(line), &entry) == nil && entry.Run != "" {
			return entry.Run
		}
	}
	return ""
}

// stepOf returns the step that a line of the log tells of, "" if none.
func stepOf(line string, committed bool) step {
	var entry struct{ Msg, Step string }
	if json.Unmarshal([]byte(line), &entry) != nil || entry.Msg != "step" {
		return ""
	}
	switch {
	case entry.Step != "published":
		return step(entry.Step)
	case committed:
		return "published snapshot"
	default:
		return "published beginning"
	}
}

// wait waits more exactly than a sleep does.
func wait(d time.Duration) {
	for end := time.Now().Add(d); time.Now().Before(end); {
		if left := time.Until(end); left > 2*time.Millisecond {
			time.Sleep(left - time.Millisecond)
		}
	}
}

// childrenOf lists the children of a process.
func childrenOf(pid int) []int {
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	if err != nil {
		panic(err) // the pattern is a constant
	}
	var children []int
	for _, file := range files {
		b, err := os.ReadFile(file)
		if err != nil {
			continue // the thread is gone
		}
		for text := range strings.FieldsSeq(string(b)) {
			if child, err := strconv.Atoi(text); err == nil {
				children = append(children, child)
			}
		}
	}
	return children
}

// gone makes sure that nothing goes on after the end of the parent.
func gone(t *testing.T, children []int) {
	t.Helper()
	for _, child := range children {
		for end := time.Now().Add(5 * time.Second); lives(child); time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatalf("child %d is still there, five seconds after its parent has ended", child)
			}
		}
	}
}

// lives tells whether there is such a process that has not ended.
func lives(pid int) bool {
	b, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, _ := strings.Cut(string(b), ") ")
	return err == nil && !strings.HasPrefix(rest, "Z")
}

// look makes sure that nothing was lost.
func (k *killer) look(b blow) {
	k.t.Helper()
	for run, listed := range k.sound(k.kept) {
		switch {
		case listed.partial:
			k.t.Errorf("killed %v after %q, run %s is kept in part", b.delay, b.step, run)
		case listed.proven:
			k.appeared(run)
		}
		// A description comes before the entry that proves it.
	}
	// All of them are restored in the end; here one of those that there are,
	// more often a late one.
	runs := sortedKeys(k.kept)
	run := runs[max(k.random.IntN(len(runs)), k.random.IntN(len(runs)))]
	if k.random.IntN(4) == 0 {
		k.restores(run, k.kept[run])
	} else {
		k.verify(run)
	}
}

// appeared takes in a run that was committed before it was killed.
func (k *killer) appeared(run string) {
	k.t.Helper()
	was, ok := k.killed[run]
	if !ok {
		k.t.Fatalf("run %s is listed, and was never begun", run)
	}
	delete(k.killed, run)
	k.kept[run] = was
	k.restores(run, was)
}

// goOn collects without being killed.
func (k *killer) goOn() {
	k.t.Helper()
	k.tree.change()
	run := k.collect("files")
	k.kept[run] = k.tree.print()
	k.verify(run)
	k.references(run)
	for run, listed := range k.sound(k.kept) {
		// By now all that was committed is published.
		if !listed.proven || listed.partial {
			k.t.Errorf("run %s is listed as %+v", run, listed)
		}
		k.appeared(run)
	}
	stage, err := os.ReadDir(filepath.Join(k.store(), "stage"))
	if err != nil || len(stage) > 0 {
		k.t.Errorf("the stage holds %v, %v", stage, err)
	}
	memories, err := os.ReadDir(filepath.Join(k.state(), "memory", "files"))
	if err != nil || len(memories) > 3 {
		k.t.Errorf("memories pile up: %v, %v", memories, err)
	}
}

// report prints how often the program was killed where.
func (k *killer) report() {
	k.t.Helper()
	var b strings.Builder
	total := 0
	fmt.Fprintf(&b, "\n%-20s %6s %11s %10s\n", "killed at", both, theParent, theChild)
	at := append(slices.Clone(steps), anyTime)
	for _, st := range at {
		hits := k.hits[st]
		fmt.Fprintf(&b, "%-20s %6d %11d %10d  %s\n", st, hits[both], hits[theParent], hits[theChild], strings.Repeat("*", hits[both]+hits[theParent]+hits[theChild]))
		total += hits[both] + hits[theParent] + hits[theChild]
	}
	k.t.Logf("%s%d kills, %d snapshots kept and verified", b.String(), total, len(k.kept))
}
