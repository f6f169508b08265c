// Package pipeline runs the way of content into the store in one process, so
// that it can be profiled:
//
//	go test -run '^$' -bench Collect -benchtime 3x -cpuprofile cpu.out ./bench/pipeline
//
// collects Go's own source; BENCH_TREE names another folder or file. It does
// what a collector does, without the process and the confinement around it.
package pipeline

import (
	"cmp"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"strongroom/internal/collect"
	"strongroom/internal/safe"
	"strongroom/internal/source/local"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/memory"
	"strongroom/internal/store/seal"
)

// A room is a store in a folder, with the memory of one source.
type room struct {
	store   *dir.Store
	id      safe.StoreID
	memory  string
	keys    memory.Keys
	include string
	last    safe.RunID
}

func newRoom(b *testing.B, include string) *room {
	b.Helper()
	folder := b.TempDir()
	store, err := dir.Create(filepath.Join(folder, "store"))
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { store.Close() })
	key, err := seal.NewMemoryIdentity()
	if err != nil {
		b.Fatal(err)
	}
	r := &room{store: store, id: safe.NewStoreID(), memory: filepath.Join(folder, "memory"), keys: memory.Keys{Seal: key}, include: include}
	if err := os.Mkdir(r.memory, 0o700); err != nil {
		b.Fatal(err)
	}
	return r
}

// collect collects once, and reports the work done.
func (r *room) collect(b *testing.B) collect.Result {
	b.Helper()
	outer, err1 := seal.NewOuterIdentity()
	inner, err2 := seal.NewInnerIdentity()
	if err := cmp.Or(err1, err2); err != nil {
		b.Fatal(err)
	}
	now := time.Now()
	run := safe.NewRunID(now)
	_, recipient, err := seal.NewEnvelope(seal.Label{Store: r.id, Run: run, Source: "bench", Time: now, Roster: 1}, outer.Recipient(), inner.Recipient())
	if err != nil {
		b.Fatal(err)
	}
	from, err := local.New(local.Options{Include: []string{r.include}})
	if err != nil {
		b.Fatal(err)
	}
	from.LearnOwners()
	var folders []string
	for _, name := range []string{"packs", "parity", "root"} {
		folders = append(folders, layout.Run(run)+"/"+name)
	}
	into, err := r.store.AddOnly(b.Context(), folders...)
	if err != nil {
		b.Fatal(err)
	}
	defer into.Close()
	result, err := collect.Run(b.Context(), b.Context(), collect.Input{
		Store: r.id, Run: run, Source: "bench", Kind: "local", Started: now,
		From: from, Into: into, Seal: recipient.Seal, Cut: seal.CutKey{1},
		MemoryDir: r.memory, Memory: r.keys, Complete: r.last, LastStarted: r.last.Time(),
	}, nil)
	if err != nil || !result.Complete {
		b.Fatal(err, result.Reason)
	}
	r.last = run
	return result
}

// cores is the processor time that this process has used.
func cores(b *testing.B) time.Duration {
	var used unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_SELF, &used); err != nil {
		b.Fatal(err)
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}

// tree is what is collected.
func tree(b *testing.B) string {
	path := os.Getenv("BENCH_TREE")
	if path == "" {
		root, err := exec.Command("go", "env", "GOROOT").Output()
		if err != nil {
			b.Fatal(err)
		}
		path = filepath.Join(strings.TrimSpace(string(root)), "src")
	}
	path, err := filepath.EvalSymlinks(path)
	if err != nil {
		b.Fatal(err)
	}
	return path
}

// BenchmarkCollect is a first collection.
func BenchmarkCollect(b *testing.B) {
	include := tree(b)
	var used time.Duration
	var result collect.Result
	for b.Loop() {
		b.StopTimer()
		r := newRoom(b, include)
		before := cores(b)
		b.StartTimer()
		result = r.collect(b)
		b.StopTimer()
		used += cores(b) - before
		b.SetBytes(result.Bytes)
		b.StartTimer()
	}
	b.ReportMetric(used.Seconds()/float64(b.N), "core-s/op")
	b.ReportMetric(float64(result.StoredBytes)/1e6, "stored-MB")
}

// BenchmarkUnchanged is a collection of what was collected just before.
func BenchmarkUnchanged(b *testing.B) {
	r := newRoom(b, tree(b))
	r.collect(b)
	before := cores(b)
	for b.Loop() {
		r.collect(b)
	}
	b.ReportMetric((cores(b)-before).Seconds()/float64(b.N), "core-s/op")
}
