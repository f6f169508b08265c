package main

import (
	"bytes"
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// TestMain is also the program that is measured: one that takes memory in a
// child of its own.
func TestMain(m *testing.M) {
	switch os.Getenv("BENCH_TEST_PROGRAM") {
	case "parent":
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), "BENCH_TEST_PROGRAM=child")
		if err := child.Run(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case "child":
		held := bytes.Repeat([]byte{1}, 100<<20)
		time.Sleep(10 * between) // so that it is seen
		fmt.Println(len(held))
	default:
		flag.Parse()
		os.Exit(m.Run())
	}
}

func TestMeasureCountsChildren(t *testing.T) {
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "BENCH_TEST_PROGRAM=parent")
	settled := false
	c, err := measure(cmd, func() error { settled = true; return nil })
	if err != nil {
		t.Fatal(err)
	}
	if !settled || c.Wall < 10*between || c.Cores <= 0 {
		t.Errorf("settled %v, %v by the clock, %v of cores", settled, c.Wall, c.Cores)
	}
	if c.Peak < 100<<20 || c.Sum < c.Peak || c.Sum > 2*c.Peak {
		t.Errorf("a child held 100 MiB: greatest process %d MiB, together %d MiB", c.Peak>>20, c.Sum>>20)
	}
}

func TestMeasureFailsWithTheProgram(t *testing.T) {
	settled := false
	if _, err := measure(exec.Command("false"), func() error { settled = true; return nil }); err == nil || settled {
		t.Errorf("false ended with %v, settled %v", err, settled)
	}
}

func TestMedian(t *testing.T) {
	r := result{Measurements: []measurement{
		{Step: "first", Contender: "restic", Stored: 5, Cost: cost{Wall: 3, Cores: 9}},
		{Step: "first", Contender: "restic", Stored: 7, Cost: cost{Wall: 1, Cores: 8}},
		{Step: "first", Contender: "restic", Stored: 6, Cost: cost{Wall: 9, Cores: 1}},
		{Step: "again", Contender: "restic", Stored: 8, Cost: cost{Wall: 2}},
		{Step: "first", Contender: ours, Cost: cost{Wall: 1}},
		{Step: "first", Contender: ours, Cost: cost{Wall: 4}},
	}}
	got, found := r.median("first", "restic")
	want := measurement{Step: "first", Contender: "restic", Stored: 6, Cost: cost{Wall: 3, Cores: 8}}
	if diff := cmp.Diff(want, got); !found || diff != "" {
		t.Errorf("of three (-want +got):\n%s", diff)
	}
	if got, _ := r.median("first", ours); got.Cost.Wall != 2 {
		t.Errorf("of two, 1 and 4, rounded down: %d", got.Cost.Wall)
	}
	if _, found := r.median("again", ours); found {
		t.Error("found a median of nothing")
	}
}

func TestDumpChangesAsItSays(t *testing.T) {
	dir := t.TempDir()
	var versions [3][]string
	for v := range versions {
		if err := rows(dir, v, 3e6); err != nil {
			t.Fatal(err)
		}
		b, err := os.ReadFile(filepath.Join(dir, "orders.sql"))
		if err != nil {
			t.Fatal(err)
		}
		versions[v] = strings.SplitAfter(string(b), "\n")
	}
	count := len(versions[0])
	changed := func(v int) (rows []int) {
		for i, row := range versions[v-1] {
			if row != versions[v][i] {
				rows = append(rows, i)
			}
		}
		return rows
	}
	if got := changed(1); len(got) < count/100 || len(got) > count/100+1 || got[len(got)-1]-got[0] != len(got)-1 {
		t.Errorf("version 1 changes %d rows of %d, from %d to %d", len(got), count, got[0], got[len(got)-1])
	}
	if got := changed(2); len(got) < count/120 || len(got) > count/80 || got[0] > count/20 || got[len(got)-1] < count*19/20 {
		t.Errorf("version 2 changes %d rows of %d, from %d to %d", len(got), count, got[0], got[len(got)-1])
	}
}

func TestSameTree(t *testing.T) {
	fill := func(t *testing.T, dir string) {
		t.Helper()
		for _, err := range []error{
			os.MkdirAll(filepath.Join(dir, "sub"), 0o755),
			os.WriteFile(filepath.Join(dir, "sub", "file"), []byte("content"), 0o644),
			os.Chtimes(filepath.Join(dir, "sub", "file"), time.Unix(1, 0), time.Unix(1, 0)),
			os.Symlink("file", filepath.Join(dir, "sub", "link")),
		} {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name   string
		change func(dir string) error
		want   string // in the error; none if empty
	}{
		{"nothing", func(string) error { return nil }, ""},
		{"mode of the folder that was kept", func(dir string) error { return os.Chmod(dir, 0o700) }, ""},
		{"content", func(dir string) error {
			file := filepath.Join(dir, "sub", "file")
			if err := os.WriteFile(file, []byte("Content"), 0o644); err != nil {
				return err
			}
			return os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0))
		}, "file has other content"},
		{"longer", func(dir string) error {
			file := filepath.Join(dir, "sub", "file")
			if err := os.WriteFile(file, []byte("content."), 0o644); err != nil {
				return err
			}
			return os.Chtimes(file, time.Unix(1, 0), time.Unix(1, 0))
		}, "file has other content"},
		{"time", func(dir string) error {
			return os.Chtimes(filepath.Join(dir, "sub", "file"), time.Unix(2, 0), time.Unix(2, 0))
		}, "file is of "},
		{"mode", func(dir string) error { return os.Chmod(filepath.Join(dir, "sub"), 0o700) }, "sub is drwx------"},
		{"missing", func(dir string) error { return os.Remove(filepath.Join(dir, "sub", "link")) }, "no such file"},
		{"too much", func(dir string) error { return os.Mkdir(filepath.Join(dir, "more"), 0o755) }, "5 entries were restored, of 4"},
		{"link", func(dir string) error {
			link := filepath.Join(dir, "sub", "link")
			if err := os.Remove(link); err != nil {
				return err
			}
			return os.Symlink("elsewhere", link)
		}, "link leads to elsewhere"},
		{"type", func(dir string) error {
			link := filepath.Join(dir, "sub", "link")
			if err := os.Remove(link); err != nil {
				return err
			}
			return os.WriteFile(link, []byte("content"), 0o644)
		}, "link is -rw"},
	} {
		t.Run(test.name, func(t *testing.T) {
			want, got := filepath.Join(t.TempDir(), "want"), filepath.Join(t.TempDir(), "got")
			fill(t, want)
			fill(t, got)
			if err := test.change(got); err != nil {
				t.Fatal(err)
			}
			err := sameTree(want, got)
			if test.want == "" && err != nil {
				t.Errorf("equal, and it says %v", err)
			}
			if test.want != "" && (err == nil || !strings.Contains(err.Error(), test.want)) {
				t.Errorf("it says %v, want %q", err, test.want)
			}
		})
	}
}

// A program that does too little must not be the fastest. The contenders are
// made of programs that every machine has.
func TestWhatDoesNothingFails(t *testing.T) {
	honest := contender{
		name: "copy", note: "none", restored: "$TARGET/kept",
		version: []string{"cp", "--version"},
		lines: map[operation]string{
			collect: "cp -a $SOURCE/. $REPO/kept",
			find:    "find $REPO/kept",
			one:     "cp --parents $REPO/kept/$ONE $TARGET",
			restore: "cp -a $REPO/kept $TARGET",
		},
		one: "$TARGET$REPO/kept/$ONE",
	}
	c := course{
		name: "try", title: "A try", one: "b/c", contenders: []contender{honest}, runs: 1, media: []string{tmpfs}, // so that nothing is synced
		data: dataset{name: "try", what: "two files", versions: 1, make: func(dir string, _ int) error {
			if err := os.Mkdir(filepath.Join(dir, "b"), 0o755); err != nil {
				return err
			}
			if err := os.WriteFile(filepath.Join(dir, "a"), []byte("one"), 0o644); err != nil {
				return err
			}
			return os.WriteFile(filepath.Join(dir, "b", "c"), []byte("two"), 0o644)
		}},
		steps: []step{{name: "first", do: collect}, {name: "list", do: find}, {name: "one", do: one}, {name: "all", do: restore}},
	}
	o := options{dir: t.TempDir(), memory: t.TempDir()}
	var said bytes.Buffer
	if err := c.measure(context.Background(), o, &said); err != nil {
		t.Fatalf("an honest one: %v", err)
	}
	r, found, err := load(o.results(), "try", tmpfs)
	if err != nil || !found {
		t.Fatalf("results: found %v, %v", found, err)
	}
	var steps []string
	for _, m := range r.Measurements {
		steps = append(steps, m.Step)
	}
	if diff := cmp.Diff([]string{"first", "list", "one", "all"}, steps); diff != "" {
		t.Errorf("steps (-want +got):\n%s", diff)
	}
	if m, _ := r.median("first", "copy"); m.Stored != 6 || m.New != 6 {
		t.Errorf("stored %d bytes, %d of them new; want 6", m.Stored, m.New)
	}

	for do, want := range map[operation]string{
		collect: "nothing is stored", find: "lists 0 entries of 2", one: "no such file", restore: "what was restored differs",
	} {
		idle := honest
		idle.lines = map[operation]string{}
		for op, line := range honest.lines {
			idle.lines[op] = line
		}
		idle.lines[do] = "true"
		idle.version = []string{"cp", "--version"}
		c.contenders = []contender{idle}
		if err := c.measure(context.Background(), o, &said); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("a %s that does nothing: %v, want %q", do, err, want)
		}
	}
	left, err := os.ReadDir(o.memory)
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPromises(t *testing.T) {
	var ms []measurement
	add := func(step, who string, wall, cores time.Duration, stored, sum int64) {
		ms = append(ms, measurement{Step: step, Contender: who, Stored: stored, Cost: cost{Wall: wall, Cores: cores, Peak: sum / 2, Sum: sum}})
	}
	c := tree(false)
	add("first collection", ours, 2*time.Second, 3*time.Second, 104e6, 100<<20)
	add("first collection", "restic", 8*time.Second, 6*time.Second, 90e6, 1<<30)
	add("first collection", "kopia", 4*time.Second, 9*time.Second, 101e6, 1<<30)
	add("nothing changed", ours, 4*time.Second, 4*time.Second, 104e6, 1<<20)
	add("nothing changed", "borg", 4*time.Second, 2*time.Second, 102e6, 1<<20)
	add("full restore", ours, 2*time.Second, 2*time.Second, 0, 1<<20)
	add("full restore", "borg", 3*time.Second, 3*time.Second, 0, 1<<20)
	dir := t.TempDir()
	r := result{Data: facts{What: "things"}, Runs: 1, Programs: map[string]string{ours: "1", "restic": "2", "kopia": "3", "borg": "4"}, Measurements: ms}
	if err := r.save(dir, c.name, tmpfs); err != nil {
		t.Fatal(err)
	}
	var doc bytes.Buffer
	if err := document(&doc, courses(false), dir); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		"first collection | kopia 4.00 | 2.00 | **2.00** | restic 6.00 | 3.00 | 2.00 | 1.5 / 2 | aim met |\n",
		"nothing changed | borg 4.00 | 4.00 | **1.00** | borg 2.00 | 4.00 | 0.50 | 2 / 4 | **not met** |\n",
		"full restore | borg 3.00 | 2.00 | **1.50** | borg 3.00 | 2.00 | 1.50 | 1.4 / 2 | must met |\n",
		": 104.0 MB, and 0.0 MB of parity; restic 90.0 MB, kopia 101.0 MB. Must: ", "aim: the smallest. must met.",
		"was 100 MiB of all our processes together, 50 MiB of one (", "Must: 128 MiB; aim: 80 MiB. must met.",
		"restic backup --no-scan $SOURCE\n", "\n### borg\n\n4. ",
	} {
		if !strings.Contains(doc.String(), want) {
			t.Errorf("the document does not say %q", want)
		}
	}
	if strings.Contains(doc.String(), "On disk") || strings.Contains(doc.String(), dir) {
		t.Error("the document speaks of what was not measured, or of folders of this machine")
	}
	if t.Failed() {
		t.Log(doc.String())
	}
}

// What has no aim does not meet it.
func TestPromiseWithoutAim(t *testing.T) {
	s := step{must: 5}
	for times, want := range map[float64]string{4: "**not met**", 5: "must met", 50: "must met"} {
		if got := verdict(s, times); got != want {
			t.Errorf("%g times as fast: %s, want %s", times, got, want)
		}
	}
	if got := promise(s); got != "5" {
		t.Errorf("the promise is %q", got)
	}
}

func TestProcessor(t *testing.T) {
	const cpuinfo = "processor\t: 0\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu aes avx2 sha_ni avx512f\n\nprocessor\t: 1\nmodel name\t: Some CPU @ 2 GHz\nflags\t\t: fpu aes avx2 sha_ni avx512f\n"
	for _, test := range []struct{ cpuinfo, want string }{
		{cpuinfo, "Some CPU @ 2 GHz, aes, sha_ni, avx2, avx512f"},
		{"processor\t: 0\nFeatures\t: fp aes sha2\n", "unknown, aes, sha2"},
		{"", "unknown"},
	} {
		if got := processor(test.cpuinfo); got != test.want {
			t.Errorf("processor(%q) = %q, want %q", test.cpuinfo, got, test.want)
		}
	}
}
