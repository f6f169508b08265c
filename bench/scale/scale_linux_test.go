package main

import (
	"bytes"
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"strongroom/bench/scale/discard"
	"strongroom/bench/scale/generated"
)

var underRace bool // set by race_linux_test.go: memory then says nothing

// The measurements of this test's own binary are done by itself, as those of
// the program are.
func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == childWord {
		os.Exit(run(context.Background(), os.Args[1:], os.Stdin, os.Stdout, os.Stderr))
	}
	os.Exit(m.Run())
}

// most is far more than what is measured for the small sources of these tests,
// and far less than what it would be if all content were held.
const most = 256 << 20

func checkCost(t *testing.T, what string, c cost) {
	t.Helper()
	if c.Wall <= 0 || c.Cores <= 0 || c.Peak < 4<<20 {
		t.Errorf("%s: %+v cannot be", what, c)
	}
	if c.Peak > most && !underRace {
		t.Errorf("%s held %.0f MiB", what, mebibytes(c.Peak))
	}
}

// survey counts what a source yields.
func survey(shape generated.Shape) (entries, bytes int64) {
	for e := range generated.New(shape).Entries() {
		entries++
		bytes += e.Size
	}
	return entries, bytes
}

func TestNights(t *testing.T) {
	r, err := newRoom(options{within: t.TempDir()}, false, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	shape := generated.Shape{Seed: 4, Files: 20_000, Shortest: 200, Longest: 1000, Change: 0.01}
	if underRace {
		shape.Files = 2000
	}
	entries, size := survey(shape)
	for _, night := range []struct {
		what        string
		night       int
		least, most float64 // new content, as a part of all
	}{
		{"first", 0, 1, 1},
		{"again", 0, 0, 0},
		{"changed", 1, 0.005, 0.015},
	} {
		shape.Night = night.night
		a, err := r.collect(t.Context(), shape)
		if err != nil {
			t.Fatal(err)
		}
		checkCost(t, night.what, a.Cost)
		result, stored := a.Collect.Result, a.Collect.Stored
		if result.Entries != entries || result.Bytes != size || result.Warnings != 0 {
			t.Errorf("%s: %d entries, %d bytes, %d warnings; want %d and %d", night.what, result.Entries, result.Bytes, result.Warnings, entries, size)
		}
		if part := float64(result.NewBytes) / float64(size); part < night.least || part > night.most {
			t.Errorf("%s: %.4f of it is new", night.what, part)
		}
		if stored.Packs.Bytes != result.StoredBytes || stored.Parity.Bytes != result.ParityBytes || stored.Parity.Objects != stored.Packs.Objects ||
			stored.Packs.Objects != int64(len(result.Runs[r.last.Run])) || stored.Roots.Objects != 2 || stored.Other != (discard.Count{}) {
			t.Errorf("%s: the store was given %+v, the result is %+v", night.what, stored, result)
		}
		// Content that cannot be compressed is in the packs.
		if stored.Packs.Bytes < result.NewBytes {
			t.Errorf("%s: %d bytes of packs for %d of content", night.what, stored.Packs.Bytes, result.NewBytes)
		}
		if len(a.Collect.Tenths) != 10 {
			t.Errorf("%s: %d tenths", night.what, len(a.Collect.Tenths))
		}
	}
}

func TestGreat(t *testing.T) {
	m := &measuring{options: options{within: t.TempDir()}, progress: t.Output()}
	size := int64(300e6)
	if underRace {
		size = 60e6
	}
	if err := m.first(t.Context(), generated.Shape{Seed: 4, Files: 1, Shortest: size, Longest: size}); err != nil {
		t.Fatal(err)
	}
	row := m.report[0]
	checkCost(t, "a great file", row.cost)
	if len(row.tenths) != 10 || !great(row.shape) {
		t.Fatalf("%+v", row)
	}
	var last cost
	for i, tenth := range row.tenths {
		if tenth.Wall <= last.Wall || tenth.Cores < last.Cores || tenth.Peak < 4<<20 {
			t.Errorf("tenth %d: %+v comes after %+v", i+1, tenth, last)
		}
		last = tenth
	}
	if last.Wall > row.cost.Wall || last.Cores > row.cost.Cores {
		t.Errorf("the tenths took %+v, all of it %+v", last, row.cost)
	}
}

func TestKept(t *testing.T) {
	folder := t.TempDir()
	r, err := newRoom(options{within: folder}, true, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	shape := generated.Shape{Seed: 4, Files: 3000, Shortest: 200, Longest: 1000}
	entries, size := survey(shape)
	if _, err := r.collect(t.Context(), shape); err != nil {
		t.Fatal(err)
	}
	source, one, all := generated.New(shape), t.TempDir(), t.TempDir()
	item := source.File(t.Context(), 2000)
	for _, test := range []struct {
		what           string
		reading        reading
		entries, bytes int64
	}{
		{"list", reading{List: true}, entries, size},
		{"verify", reading{Verify: true}, shape.Files, size},
		{"restore one", reading{Restore: item.Path, To: one}, 1, item.Size},
		{"restore all", reading{To: all}, shape.Files, size},
	} {
		a, err := r.read(t.Context(), test.reading)
		if err != nil {
			t.Fatalf("%s: %v", test.what, err)
		}
		checkCost(t, test.what, a.Cost)
		if a.Read.Entries != test.entries || a.Read.Bytes != test.bytes {
			t.Errorf("%s: %+v, want %d entries, %d bytes", test.what, *a.Read, test.entries, test.bytes)
		}
	}
	want, err := io.ReadAll(item.Content)
	if err != nil {
		t.Fatal(err)
	}
	for _, to := range []string{one, all} {
		got, err := os.ReadFile(filepath.Join(to, item.Path))
		if err != nil || !bytes.Equal(got, want) {
			t.Errorf("%d bytes were restored, and they are not the %d of the source (%v)", len(got), len(want), err)
		}
	}
}

// A child that cannot do its task says why.
func TestFailureInChild(t *testing.T) {
	r, err := newRoom(options{within: t.TempDir()}, false, t.Output())
	if err != nil {
		t.Fatal(err)
	}
	defer r.close()
	if err := os.Remove(r.memoryFolder()); err != nil {
		t.Fatal(err)
	}
	if _, err := r.collect(t.Context(), generated.Shape{Files: 1, Shortest: 8, Longest: 8}); err == nil || !strings.Contains(err.Error(), "the memory of") {
		t.Errorf("without a folder for what is remembered: %v", err)
	}
	if _, err := inChild(t.Context(), task{}, t.Output()); err == nil || !strings.Contains(err.Error(), "says nothing") {
		t.Errorf("without a task: %v", err)
	}
}
