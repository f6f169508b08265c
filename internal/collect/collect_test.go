package collect_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/collect"
	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/local"
	"strongroom/internal/store/blob/fault"
	"strongroom/internal/store/layout"
)

func TestFirstCollectionHoldsEverything(t *testing.T) {
	r, tree := newRoom(t), someTree(50)
	var told events
	in := r.begin(firstNight, tree)
	result, err := collect.Run(t.Context(), t.Context(), in, told.take)
	if err != nil || !result.Complete || result.Reason != "" {
		t.Fatalf("%+v, %v", result, err)
	}
	d := r.end(in, result)
	r.holds(d, tree)
	if problems := told.problems(); problems != nil {
		t.Errorf("problems: %q", problems)
	}
	var bytes int64
	for _, it := range tree.items() {
		bytes += it.Size
	}
	if d.Entries != int64(len(tree.entries)) || d.Bytes != bytes || d.NewBytes != bytes || result.Warnings != 0 {
		t.Errorf("the result counts %d entries, %d bytes, %d new, %d warnings; want %d entries, %d bytes",
			d.Entries, d.Bytes, d.NewBytes, result.Warnings, len(tree.entries), bytes)
	}
	var packs, parity int64
	for info, err := range r.blobs.List(t.Context(), layout.Run(in.Run)+"/") {
		if err != nil {
			t.Fatal(err)
		}
		switch layout.Parse(info.Name).Kind {
		case layout.PackObject:
			packs += info.Size
		case layout.ParityObject:
			parity += info.Size
		}
	}
	if result.StoredBytes != packs || result.ParityBytes != parity || parity == 0 {
		t.Errorf("the result counts %d bytes stored and %d of parity, there are %d and %d", result.StoredBytes, result.ParityBytes, packs, parity)
	}
	last := told.all[len(told.all)-1].Progress
	if last == nil || last.Entries != d.Entries || last.Bytes != bytes || last.Read != bytes || last.NewBytes != bytes {
		t.Errorf("the last event is not the progress of it all: %+v", last)
	}
	if diff := cmp.Diff(tree.Matches(), result.Matches); diff != "" {
		t.Error(diff)
	}
}

func TestUnchangedSourceIsNotReadAndNotStored(t *testing.T) {
	r, tree := newRoom(t), someTree(50)
	first := r.collect(firstNight, tree)
	tree = tree.fresh()
	// On the same day, so that nothing has its turn.
	second := r.collect(firstNight.Add(time.Hour), tree)
	r.holds(second, tree)
	if diff := cmp.Diff(map[string]int{"srv/dump": 1}, tree.reads); diff != "" {
		t.Errorf("content was read:\n%s", diff)
	}
	if second.NewBytes != 0 {
		t.Errorf("%d bytes are new", second.NewBytes)
	}
	if second.StoredBytes > first.StoredBytes/50 {
		t.Errorf("%d bytes were stored, the first time %d", second.StoredBytes, first.StoredBytes)
	}
	r.holds(first, tree)
}

func TestChanges(t *testing.T) {
	later := firstNight.Add(time.Hour)
	for _, test := range []struct {
		name   string
		change func(*tree)
		reads  []string // beside the stream
		most   int64    // new bytes
	}{
		{"content", func(t *tree) {
			e := t.at("srv/010")
			e.content, e.Size, e.MTime = noise(77, 5000), 5000, later
		}, []string{"srv/010"}, 5000},
		{"the end of a big file", func(t *tree) {
			e := t.at("srv/big")
			e.content = append(slices.Clone(e.content), "more"...)
			e.Size, e.CTime = int64(len(e.content)), later
		}, []string{"srv/big"}, 3 << 20 / 2},
		{"a new file", func(t *tree) { t.add(file("srv/000.new", noise(78, 999))) }, []string{"srv/000.new"}, 999},
		{"a file becomes a folder", func(t *tree) {
			t.add(folder("srv/010"), file("srv/010/in it", noise(79, 100)))
		}, []string{"srv/010/in it"}, 100},
		{"a file is gone", func(t *tree) { t.remove("srv/010") }, nil, 0},
		{"a file has another name", func(t *tree) {
			e := *t.at("srv/big")
			t.remove("srv/big")
			t.remove("srv/other name")
			e.Path = "etc/big"
			t.add(e)
		}, []string{"etc/big"}, 0},
		{"touched", func(t *tree) { t.at("srv/big").MTime = later }, []string{"srv/big"}, 0},
		{"another inode", func(t *tree) { t.at("srv/big").Inode++ }, []string{"srv/big"}, 0},
		{"only the owner", func(t *tree) { t.at("srv/big").UID = 12 }, nil, 0},
		{"attributes", func(t *tree) { t.at("srv/big").Xattrs = map[string][]byte{"user.b": []byte("c")} }, nil, 0},
		{"the stream", func(t *tree) {
			e := t.at("srv/dump")
			e.content = append(noise(80, 100), e.content...)
		}, nil, 300 << 10},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, tree := newRoom(t), someTree(20)
			first := r.collect(firstNight, tree)
			was := tree.items()
			tree = tree.fresh()
			test.change(tree)
			second := r.collect(later, tree)
			r.holds(second, tree)
			want := map[string]int{"srv/dump": 1}
			for _, path := range test.reads {
				want[path] = 1
			}
			if diff := cmp.Diff(want, tree.reads); diff != "" {
				t.Errorf("content that was read:\n%s", diff)
			}
			if second.NewBytes > test.most {
				t.Errorf("%d bytes are new, want %d at most", second.NewBytes, test.most)
			}
			if diff := cmp.Diff(was, r.read(first)); diff != "" {
				t.Errorf("the first snapshot changed:\n%s", diff)
			}
		})
	}
}

func TestLocalTree(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(content), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	for i := range 200 {
		write(fmt.Sprintf("%d/%d", i%7, i), string(noise(uint64(i), i*977)))
	}
	if err := errors.Join(os.Symlink("1/1", filepath.Join(dir, "link")), os.Link(filepath.Join(dir, "1/8"), filepath.Join(dir, "1/8 again"))); err != nil {
		t.Fatal(err)
	}
	r := newRoom(t)
	for n := range 3 {
		from, err := local.New(local.Options{Include: []string{dir + "/**"}})
		if err != nil {
			t.Fatal(err)
		}
		d := r.collect(firstNight.Add(time.Duration(n)*time.Hour), from)
		seen := 0
		for _, it := range r.read(d) {
			switch it.Type {
			case safe.File:
				seen++
				content, err := os.ReadFile("/" + it.Path)
				if err != nil || string(content) != it.Content {
					t.Errorf("%s differs (%v)", it.Path, err)
				}
			case safe.Symlink:
				seen++
				if target, err := os.Readlink("/" + it.Path); err != nil || target != it.Target {
					t.Errorf("%s leads to %q, not %q (%v)", it.Path, it.Target, target, err)
				}
			case safe.Hardlink:
				seen++
			}
		}
		if want := 202 + n; seen != want {
			t.Errorf("there are %d files and links, want %d", seen, want)
		}
		write("3/3", fmt.Sprint("changed ", n))
		write(fmt.Sprintf("new %d", n), "new")
	}
	r.readAll()
}

func TestLostMemory(t *testing.T) {
	damage := func(name string) func(*testing.T, string) {
		return func(t *testing.T, folder string) {
			paths, err := filepath.Glob(filepath.Join(folder, name))
			if err != nil || len(paths) == 0 {
				t.Fatalf("no %s in the memory: %v", name, err)
			}
			content, err := os.ReadFile(paths[0])
			if err != nil {
				t.Fatal(err)
			}
			content[len(content)-20] ^= 1
			if err := os.WriteFile(paths[0], content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, test := range []struct {
		name     string
		harm     func(*testing.T, string)
		problems []string
	}{
		{"gone", func(t *testing.T, folder string) { os.RemoveAll(folder) }, []string{"memory lost "}},
		{"index gone", func(t *testing.T, folder string) { os.Remove(filepath.Join(folder, "index.age")) }, []string{"memory lost "}},
		{"index damaged", damage("index.age"), []string{"memory lost "}},
		{"lines damaged", damage("lines-*.age"), []string{"memory lost "}},
		{"tags damaged", damage("tags.age"), []string{"memory lost "}},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, tree := newRoom(t), someTree(20)
			first := r.collect(firstNight, tree)
			test.harm(t, filepath.Join(r.memory, first.Run.String()))
			tree = tree.fresh()
			tree.at("srv/big").MTime = firstNight.Add(time.Minute) // so that it is read, and looked for among the tags
			var told events
			in := r.begin(firstNight.Add(time.Hour), tree)
			result, err := collect.Run(t.Context(), t.Context(), in, told.take)
			if err != nil || !result.Complete {
				t.Fatalf("%+v, %v", result, err)
			}
			if diff := cmp.Diff(test.problems, told.problems()); diff != "" {
				t.Errorf("problems:\n%s", diff)
			}
			if result.Warnings != int64(len(test.problems)) {
				t.Errorf("%d warnings", result.Warnings)
			}
			r.holds(r.end(in, result), tree)
			// The night after has its memory again.
			tree = tree.fresh()
			third := r.collect(firstNight.Add(2*time.Hour), tree)
			r.holds(third, tree)
			if tree.total() != 1 || third.NewBytes != 0 {
				t.Errorf("%d contents were read then, and %d bytes new", tree.total(), third.NewBytes)
			}
			r.readAll()
		})
	}
}

// TestCrashContinues lets runs end without a word at several places, and looks
// at what the next one makes of their checkpoints.
func TestCrashContinues(t *testing.T) {
	r, all := newRoom(t), someTree(0)
	for i := range 12 {
		all.add(file(fmt.Sprintf("srv/%02d", i), noise(uint64(100+i), 12<<20)))
	}
	for crash := range 3 {
		tree := all.fresh()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		in := r.begin(firstNight.Add(time.Duration(crash)*time.Hour), tree)
		in.Options.CheckpointPacks = 1
		_, err := collect.Run(ctx, t.Context(), in, func(e collect.Event) {
			if e.Checkpoint != nil { // the first is the last
				tree.before = func(context.Context, int) error {
					cancel()
					return nil
				}
			}
		})
		if !errors.Is(err, context.Canceled) {
			t.Fatalf("crash %d: %v", crash, err)
		}
		if crash > 0 && (tree.reads["srv/00"] > 0 || tree.reads["srv/01"] > 0) {
			t.Errorf("crash %d: read again was what a checkpoint had: %v", crash, tree.reads)
		}
		r.blobs.LosePower(func(string) bool { return false })
		r.end(in, collect.Result{})
	}
	tree := all.fresh()
	d := r.collect(firstNight.Add(day/2), tree)
	r.holds(d, tree)
	if tree.reads["srv/00"] > 0 || tree.reads["srv/11"] != 1 {
		t.Errorf("read were: %v", tree.reads)
	}
	if d.NewBytes > d.Bytes-24<<20 {
		t.Errorf("of %d bytes %d were stored again", d.Bytes, d.NewBytes)
	}
	if len(d.Runs) < 2 {
		t.Error("the snapshot does not refer to the runs that broke off")
	}
}

// TestLongContentContinues ends runs in the middle of one long stream: the next
// has to read it again, and not to store it again.
// A source of which something is always missing has no complete snapshot, ever.
// Its files are read again in their turn all the same, so that a change that
// was hidden is found, and not all of them every night.
func TestNeverCompleteIsReadInTurns(t *testing.T) {
	r, all := newRoom(t), someTree(60)
	reads := make(map[string]int)
	const nights = 32
	for night := range nights {
		tree := all.fresh()
		tree.at("srv/003").err = &source.Problem{Kind: source.Unreadable, Path: "srv/003", Err: errors.New("permission denied")}
		in := r.begin(firstNight.Add(time.Duration(night)*day), tree)
		result, err := collect.Run(t.Context(), t.Context(), in, nil)
		if err != nil || result.Complete {
			t.Fatalf("night %d: complete %t, %v", night, result.Complete, err)
		}
		r.end(in, result)
		if night > 0 && len(tree.reads) > 20 {
			t.Errorf("night %d: %d files were read again", night, len(tree.reads))
		}
		for path := range tree.reads {
			reads[path]++
		}
	}
	for path, n := range reads {
		if n < 2 {
			t.Errorf("%s was read once in %d nights", path, nights)
		}
	}
	if len(reads) < 50 {
		t.Errorf("only %d files were read at all", len(reads))
	}
}

func TestLongContentContinues(t *testing.T) {
	const size = 150 << 20
	dump := entry{Entry: safe.Entry{Path: "dump", Type: safe.Stream, Mode: 0o600, MTime: firstNight}, content: noise(1, size)}
	for _, test := range []struct {
		name string
		end  func(crash, stop func(), e *entry)
	}{
		{"crash", func(crash, _ func(), e *entry) { e.amid = func(left int) { endAt(left, crash) } }},
		{"stop", func(_, stop func(), e *entry) { e.amid = func(left int) { endAt(left, stop) } }},
	} {
		t.Run(test.name, func(t *testing.T) {
			if underRace && test.name == "stop" {
				t.Skip("takes long, and a crash has all that runs at the same time")
			}
			r := newRoom(t)
			broken := dump
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			pull, stop := context.WithCancelCause(t.Context())
			test.end(cancel, func() { stop(collect.ErrStopped) }, &broken)
			in := r.begin(firstNight, &tree{entries: []entry{broken}})
			in.Options.CheckpointPacks, in.Options.NoParity = 1, true
			result, err := collect.Run(ctx, pull, in, nil)
			if result.Complete || !result.Root.IsZero() || (err != nil) != (ctx.Err() != nil) {
				t.Fatalf("%+v, %v", result, err)
			}
			r.blobs.LosePower(func(string) bool { return false })
			r.end(in, collect.Result{})
			whole := &tree{entries: []entry{dump}}
			d := r.collect(firstNight.Add(time.Hour), whole)
			r.holds(d, whole)
			if d.NewBytes > size-60<<20 {
				t.Errorf("%d of %d bytes were stored again", d.NewBytes, size)
			}
		})
	}
}

// endAt calls end when 130 MiB were read.
func endAt(left int, end func()) {
	if left < 20<<20 {
		end()
	}
}

func TestOneSmallFileIsSomething(t *testing.T) {
	r, tree := newRoom(t), &tree{entries: []entry{file("a", []byte("b"))}}
	r.holds(r.collect(firstNight, tree), tree)
}

func TestNothingIsNotKept(t *testing.T) {
	r := newRoom(t)
	in := r.begin(firstNight, &tree{})
	result, err := collect.Run(t.Context(), t.Context(), in, nil)
	if err != nil || result.Complete || !errors.Is(result.Cause, collect.ErrNothing) || !result.Root.IsZero() {
		t.Errorf("got %+v, %v; want no snapshot, because of %v", result, err, collect.ErrNothing)
	}
}

func TestStoppedRunIsKeptAsPartial(t *testing.T) {
	r, tree := newRoom(t), someTree(50)
	pull, stop := context.WithCancelCause(t.Context())
	tree.before = func(_ context.Context, i int) error {
		if tree.entries[i].Path == "srv/030" {
			stop(collect.ErrStopped)
		}
		return nil
	}
	in := r.begin(firstNight, tree)
	result, err := collect.Run(t.Context(), pull, in, nil)
	if err != nil || result.Complete || !errors.Is(result.Cause, collect.ErrStopped) || result.Reason != collect.ErrStopped.Error() {
		t.Fatalf("%+v, %v", result, err)
	}
	partial := r.end(in, result)
	want := tree.items()
	want = want[:slices.IndexFunc(want, func(it item) bool { return it.Path >= "srv/030" })+1]
	got := r.read(partial)
	if len(got) != len(want) && len(got) != len(want)-1 {
		t.Errorf("%d entries, want %d", len(got), len(want))
	}
	if diff := cmp.Diff(want[:len(got)], got); diff != "" {
		t.Errorf("the partial snapshot:\n%.1000s", diff)
	}
	// The next run goes on where this one stopped.
	tree = tree.fresh()
	d := r.collect(firstNight.Add(time.Hour), tree)
	r.holds(d, tree)
	if tree.reads["srv/010"] != 0 || tree.reads["srv/040"] != 1 {
		t.Errorf("read were: %v", tree.reads)
	}
	r.read(partial)
}

func TestSourceFailsInTheMiddle(t *testing.T) {
	broken := errors.New("connection reset")
	for _, test := range []struct {
		name string
		harm func(*tree)
		last string
	}{
		{"between entries", func(tr *tree) {
			tr.before = func(_ context.Context, i int) error {
				if tr.entries[i].Path == "srv/010" {
					return broken
				}
				return nil
			}
		}, "srv/009"},
		{"while a file is read", func(tr *tree) { tr.at("srv/big").err = broken }, "srv/049"},
		{"at once", func(tr *tree) { tr.before = func(context.Context, int) error { return broken } }, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, tree := newRoom(t), someTree(50)
			whole := r.collect(firstNight, tree)
			harmed := tree.fresh()
			harmed.at("srv/big").MTime = firstNight.Add(time.Hour)
			test.harm(harmed)
			in := r.begin(firstNight.Add(day), harmed)
			result, err := collect.Run(t.Context(), t.Context(), in, nil)
			if err != nil || result.Complete || !errors.Is(result.Cause, broken) {
				t.Fatalf("%+v, %v", result, err)
			}
			d := r.end(in, result)
			if test.last == "" {
				if !d.Root.IsZero() {
					t.Error("nothing came, and was kept")
				}
			} else if items := r.read(d); items[len(items)-1].Path != test.last {
				t.Errorf("the last entry is %q, want %q", items[len(items)-1].Path, test.last)
			}
			r.holds(whole, tree)
			r.holds(r.collect(firstNight.Add(2*day), tree), tree)
		})
	}
}

func TestProblemsWithEntries(t *testing.T) {
	problem := func(kind source.Kind, path string) *source.Problem {
		return &source.Problem{Kind: kind, Path: path, Err: errors.New("so it is")}
	}
	for _, test := range []struct {
		name     string
		harm     func(*tree)
		allow    bool
		lost     string // path that is not in the snapshot
		complete bool
		problem  string
	}{
		{"unreadable", func(t *tree) { t.at("srv/003").err = problem(source.Unreadable, "srv/003") }, false, "srv/003", false, "unreadable srv/003"},
		{"unreadable, and allowed", func(t *tree) { t.at("srv/003").err = problem(source.Unreadable, "srv/003") }, true, "srv/003", true, "unreadable srv/003"},
		{"vanished", func(t *tree) { t.at("srv/003").err = problem(source.Vanished, "srv/003") }, false, "srv/003", true, "vanished srv/003"},
		{"endless", func(t *tree) { t.at("srv/003").err = problem(source.Invalid, "srv/003") }, true, "srv/003", false, "invalid srv/003"},
		{"changed", func(t *tree) { t.at("srv/003").reports = []source.Problem{*problem(source.Changed, "srv/003")} }, false, "", true, "changed srv/003"},
		{"longer than it was listed", func(t *tree) { t.at("srv/003").Size -= 5 }, false, "", true, ""},
		{"a path that is none", func(t *tree) { t.add(file("srv/../../etc/shadow", []byte("x"))) }, true, "srv/../../etc/shadow", false, "invalid srv/../../etc/shadow"},
		{"no folder", func(t *tree) { t.add(file("nowhere/file", []byte("x"))) }, true, "nowhere/file", false, "invalid nowhere/file"},
		{"in a file", func(t *tree) { t.add(file("srv/003/file", []byte("x"))) }, true, "srv/003/file", false, "invalid srv/003/file"},
		{"a link to nothing", func(t *tree) { t.at("srv/link").Target = "" }, true, "srv/link", false, "invalid srv/link"},
		{"a hardlink to what comes later", func(t *tree) { t.at("srv/other name").Target = "srv/z" }, true, "srv/other name", false, "invalid srv/other name"},
		{"an unknown type", func(t *tree) { t.at("srv/pipe").Type = "door" }, true, "srv/pipe", false, "invalid srv/pipe"},
		{"too many attributes", func(t *tree) { t.at("srv/pipe").Xattrs = map[string][]byte{"user.a": make([]byte, 300<<10)} }, true, "srv/pipe", false, "invalid srv/pipe"},
		{"out of order", func(t *tree) { t.entries[1], t.entries[0] = t.entries[0], t.entries[1] }, true, "empty", false, "invalid empty"},
		{"twice", func(t *tree) { t.entries = slices.Insert(t.entries, 1, t.entries[0]) }, true, "-", false, "invalid empty"},
	} {
		t.Run(test.name, func(t *testing.T) {
			r, tree := newRoom(t), someTree(10)
			want := tree.items()
			test.harm(tree)
			want = slices.DeleteFunc(want, func(it item) bool { return it.Path == test.lost })
			in := r.begin(firstNight, tree)
			in.Options.AllowUnreadable = test.allow
			var told events
			result, err := collect.Run(t.Context(), t.Context(), in, told.take)
			if err != nil {
				t.Fatal(err)
			}
			if result.Complete != test.complete {
				t.Errorf("complete: %t, because %q", result.Complete, result.Reason)
			}
			if got := strings.Join(told.problems(), ", "); got != test.problem {
				t.Errorf("problems: %q, want %q", got, test.problem)
			}
			if diff := cmp.Diff(want, r.read(r.end(in, result))); diff != "" {
				t.Errorf("the snapshot:\n%.1000s", diff)
			}
		})
	}
}

func TestPoisonedFileIsReported(t *testing.T) {
	r, tree := newRoom(t), someTree(60)
	r.collect(firstNight, tree)
	poison := tree.at("srv/033")
	poison.content = slices.Clone(poison.content)
	poison.content[5] ^= 1
	// A change that the source saw itself is no poison.
	changing := tree.at("srv/034")
	changing.content = noise(99, len(changing.content))
	changing.reports = []source.Problem{{Kind: source.Changed, Path: "srv/034", Err: errors.New("while it was read")}}
	var told events
	for n := 1; n <= 31; n++ { // within which everything has its turn
		in := r.begin(firstNight.Add(time.Duration(n)*day), tree)
		result, err := collect.Run(t.Context(), t.Context(), in, told.take)
		if err != nil || !result.Complete {
			t.Fatalf("%+v, %v", result, err)
		}
		r.end(in, result)
	}
	problems := told.problems()
	slices.Sort(problems)
	if want := []string{"changed srv/034", string(collect.Poisoned) + " srv/033"}; !slices.Equal(slices.Compact(problems), want) {
		t.Errorf("problems: %q, want %q", problems, want)
	}
	r.holds(r.complete, tree)
}

func TestLimitOfDuration(t *testing.T) {
	r, tree := newRoom(t), someTree(10)
	tree.before = func(ctx context.Context, i int) error {
		if tree.entries[i].Path == "srv/005" {
			<-ctx.Done() // a source that is slow
			return ctx.Err()
		}
		return nil
	}
	in := r.begin(firstNight, tree)
	in.Options.Limits.Duration = 300 * time.Millisecond
	result, err := collect.Run(t.Context(), t.Context(), in, nil)
	if err != nil || result.Complete || !strings.Contains(result.Reason, "300ms") {
		t.Fatalf("%+v, %v", result, err)
	}
	if items := r.read(r.end(in, result)); items[len(items)-1].Path != "srv/004" {
		t.Errorf("the last entry is %q", items[len(items)-1].Path)
	}
}

func TestLimitOfRate(t *testing.T) {
	r, tree := newRoom(t), new(tree)
	tree.add(file("a", noise(1, 1<<20)), file("b", noise(2, 1<<20)))
	began := time.Now()
	r.collect(firstNight, tree, func(in *collect.Input) { in.Options.Limits.Rate = 10 << 20 })
	if took := time.Since(began); took < 190*time.Millisecond || took > 5*time.Second {
		t.Errorf("2 MiB at 10 MiB/s took %s", took)
	}
	// A wait for the rate ends with the pulling.
	pull, stop := context.WithCancelCause(t.Context())
	time.AfterFunc(100*time.Millisecond, func() { stop(collect.ErrStopped) })
	in := r.begin(firstNight.Add(2*time.Hour), someTree(0))
	in.Options.Limits.Rate = 1
	began = time.Now()
	result, err := collect.Run(t.Context(), pull, in, nil)
	if err != nil || result.Complete || time.Since(began) > 5*time.Second {
		t.Errorf("%+v, %v after %s", result, err, time.Since(began))
	}
}

func TestCancellingEndsASilentSource(t *testing.T) {
	r, tree := newRoom(t), someTree(5)
	ctx, cancel := context.WithCancel(t.Context())
	tree.before = func(ctx context.Context, i int) error {
		if i == 5 {
			cancel()
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	}
	// The pulling has a context of its own.
	if _, err := collect.Run(ctx, t.Context(), r.begin(firstNight, tree), nil); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestLongRootThatIsAList(t *testing.T) {
	if testing.Short() || underRace {
		t.Skip("a manifest of 190 MB; make test runs it without the race detector")
	}
	r, tree := newRoom(t), new(tree)
	for i := range 560 { // attributes are the quickest way to a long manifest
		e := folder(fmt.Sprintf("%06d", i))
		e.Xattrs = map[string][]byte{"user.noise": noise(uint64(i), 250_000)}
		tree.entries = append(tree.entries, e)
	}
	first := r.collect(firstNight, tree)
	tree.entries[7].UID = 5
	second := r.collect(firstNight.Add(time.Hour), tree)
	if second.StoredBytes > first.StoredBytes/50 {
		t.Errorf("%d bytes were stored for one change, %d at first", second.StoredBytes, first.StoredBytes)
	}
	for n, d := range []safe.Snapshot{first, second} {
		// Listed in the root itself, 5,000 chunks would take 600 kB of digests.
		info, err := r.blobs.Stat(t.Context(), layout.Root(d.Run, d.Root))
		if err != nil || info.Size > 64<<10 {
			t.Errorf("the root has %d bytes (%v)", info.Size, err)
		}
		tree.entries[7].UID = uint32(5 * n)
		items := r.read(d)
		if len(items) != len(tree.entries) {
			t.Fatalf("%d entries, want %d", len(items), len(tree.entries))
		}
		for i, it := range items {
			if !reflect.DeepEqual(tree.entries[i].Entry, it.Entry) {
				t.Fatalf("entry %d differs", i)
			}
		}
	}
}

// TestFaults lets the store fail at every operation of a collection in every
// manner: whatever happened, nothing that was kept is harmed, and the next
// collection succeeds.
func TestFaults(t *testing.T) {
	stride := 1
	if testing.Short() || underRace {
		stride = 7
	}
	for _, mode := range fault.Modes {
		t.Run(string(mode), func(t *testing.T) {
			struck := 0
			for n := 1; ; n += stride {
				if !collectWithFault(t, mode, n) {
					break
				}
				struck++
			}
			t.Logf("failed at %d operations", struck)
		})
	}
}

func collectWithFault(t *testing.T, mode fault.Mode, n int) (struck bool) {
	r, tree := newRoom(t), new(tree)
	tree.add(folder("srv"), file("srv/1", noise(1, 100_000)), file("srv/2", nil), file("srv/3", noise(3, 10)))
	r.collect(firstNight, tree)
	tree = tree.fresh()
	tree.add(file("srv/0", noise(4, 100_000)), file("srv/4", noise(5, 100)))
	faulty := fault.New(r.blobs, mode, n)
	in := r.begin(firstNight.Add(time.Hour), tree)
	in.Into, in.Options.CheckpointPacks = faulty, 1
	result, err := collect.Run(t.Context(), t.Context(), in, nil)
	if faulty.Struck() != (err != nil) || err != nil && !errors.Is(err, fault.ErrInjected) {
		t.Errorf("%s at operation %d: %v", mode, n, err)
	}
	if err == nil {
		r.holds(r.end(in, result), tree)
	} else {
		r.end(in, collect.Result{})
	}
	// The power fails as well: of what no Sync made durable, about half stays.
	coin := 0
	r.blobs.LosePower(func(string) bool { coin++; return (coin+n)%2 == 0 })
	d := r.collect(firstNight.Add(2*time.Hour), tree)
	r.holds(d, tree)
	r.readAll()
	return faulty.Struck()
}

// TestPowerIsLostAtRandom lets a store lose what no checkpoint promised, which
// the next run must not refer to.
func TestPowerIsLostAtRandom(t *testing.T) {
	rounds := 3
	if testing.Short() || underRace {
		rounds = 1
	}
	for seed := range rounds {
		r, all := newRoom(t), someTree(0)
		for i := range 6 {
			all.add(file(fmt.Sprintf("srv/%02d", i), noise(uint64(i), 12<<20)))
		}
		for crash := range 3 {
			tree := all.fresh()
			ctx, cancel := context.WithCancel(t.Context())
			in := r.begin(firstNight.Add(time.Duration(crash)*time.Hour), tree)
			in.Options.CheckpointPacks = 1
			at := 5 + (seed*3+crash*5)%8
			tree.before = func(_ context.Context, i int) error {
				if i == at {
					cancel()
				}
				return nil
			}
			if _, err := collect.Run(ctx, t.Context(), in, nil); err == nil {
				t.Error("a run that was cancelled succeeded")
			}
			cancel()
			coin := seed
			r.blobs.LosePower(func(string) bool { coin++; return coin%3 == 0 })
			r.end(in, collect.Result{})
		}
		r.holds(r.collect(firstNight.Add(day/2), all), all)
	}
}
