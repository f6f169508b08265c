package sourcetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sys/unix"

	"strongroom/internal/safe"
	"strongroom/internal/source"
)

// A Kind is a kind of source under test. It must see the same files as the
// test does.
type Kind struct {
	// New makes a source of the given absolute paths.
	New func(include, exclude []string, limits source.Limits) (source.Source, error)
	// Full says that the kind shows all that Linux knows: fractions of
	// seconds, hard links, holes, extended attributes, change times, inodes.
	Full bool
}

// Run runs the suite.
func Run(t *testing.T, kind Kind) {
	t.Run("nasty tree", func(t *testing.T) { testNastyTree(t, kind) })
	t.Run("sizes", func(t *testing.T) { testSizes(t, kind) })
	t.Run("selection", func(t *testing.T) { testSelection(t, kind) })
	t.Run("links on the way", func(t *testing.T) { testLinksOnTheWay(t, kind) })
	t.Run("need", func(t *testing.T) { testNeed(t, kind) })
	t.Run("changes while pulling", func(t *testing.T) { testChanges(t, kind) })
	t.Run("unreadable", func(t *testing.T) { testUnreadable(t, kind) })
	t.Run("limits", func(t *testing.T) { testLimits(t, kind) })
	t.Run("early stop", func(t *testing.T) { testEarlyStop(t, kind) })
	t.Run("cancel", func(t *testing.T) { testCancel(t, kind) })
	t.Run("links between files", func(t *testing.T) { testHardLinks(t, kind) })
}

// pulled is what came out of a source.
type pulled struct {
	entries  []safe.Entry
	contents map[string]string // of entries with content
	problems []source.Problem
	err      error
}

// pull pulls everything and checks what holds for every source.
func pull(t *testing.T, s source.Source, need func(safe.Entry) bool) pulled {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	p := pulled{contents: make(map[string]string)}
	folders := map[string]bool{".": true}
	request := source.Request{Need: need, Report: func(problem source.Problem) { p.problems = append(p.problems, problem) }}
	for item, err := range s.Pull(ctx, request) {
		if p.err != nil {
			t.Fatalf("after the error %v came %q", p.err, item.Path)
		}
		if err != nil {
			p.err = err
			continue
		}
		if err := safe.CheckPath(item.Path); err != nil {
			t.Errorf("an entry's path is not valid: %v", err)
		}
		if n := len(p.entries); n > 0 && safe.ComparePaths(p.entries[n-1].Path, item.Path) >= 0 {
			t.Errorf("%q came after %q", item.Path, p.entries[n-1].Path)
		}
		if !folders[filepath.Dir(item.Path)] {
			t.Errorf("%q came before its folder", item.Path)
		}
		if item.Type == safe.Dir {
			folders[item.Path] = true
		}
		p.entries = append(p.entries, item.Entry)
		if item.Content == nil {
			continue
		}
		var content bytes.Buffer
		_, err = io.Copy(&content, item.Content)
		var problem *source.Problem
		switch {
		case errors.As(err, &problem):
			p.problems = append(p.problems, *problem)
		case err == nil:
			p.contents[item.Path] = content.String()
		}
		if err := item.Content.Close(); err != nil {
			t.Errorf("closing %q: %v", item.Path, err)
		}
	}
	return p
}

func mustNew(t *testing.T, kind Kind, include, exclude []string) source.Source {
	t.Helper()
	s, err := kind.New(include, exclude, source.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// expected says what a source of the given roots has to yield, by asking the
// filesystem in another way than sources do.
func expected(t *testing.T, kind Kind, roots ...string) []safe.Entry {
	t.Helper()
	all := make(map[string]safe.Entry)
	first := make(map[uint64]string) // name of a file with several, by inode
	add := func(path string) {
		rel := strings.TrimPrefix(path, "/")
		var st unix.Stat_t
		if err := unix.Lstat(path, &st); err != nil {
			t.Fatal(err)
		}
		e := safe.Entry{Path: rel, Mode: st.Mode & 0o7777, UID: st.Uid, GID: st.Gid, MTime: time.Unix(st.Mtim.Sec, 0).UTC()}
		if kind.Full {
			e.MTime = time.Unix(st.Mtim.Unix()).UTC()
			e.CTime = time.Unix(st.Ctim.Unix()).UTC()
			e.Inode = st.Ino
		}
		switch st.Mode & unix.S_IFMT {
		case unix.S_IFDIR:
			e.Type = safe.Dir
		case unix.S_IFREG:
			e.Type = safe.File
			e.Size = st.Size
			e.Sparse = kind.Full && st.Blocks*512 < st.Size
			if kind.Full && st.Nlink > 1 {
				if name, ok := first[st.Ino]; ok {
					e.Type, e.Target, e.Size = safe.Hardlink, name, 0
				} else {
					first[st.Ino] = rel
				}
			}
		case unix.S_IFLNK:
			e.Type = safe.Symlink
			target, err := os.Readlink(path)
			if err != nil {
				t.Fatal(err)
			}
			e.Target = target
		default:
			e.Type = safe.Special
		}
		all[rel] = e
	}
	for _, root := range roots {
		for dir := filepath.Dir(root); dir != "/"; dir = filepath.Dir(dir) {
			add(dir)
		}
		// WalkDir goes in an order in which first names come first, too.
		if err := filepath.WalkDir(root, func(path string, _ fs.DirEntry, err error) error {
			if err == nil {
				add(path)
			}
			return err
		}); err != nil {
			t.Fatal(err)
		}
	}
	var entries []safe.Entry
	for _, e := range all {
		entries = append(entries, e)
	}
	slices.SortFunc(entries, func(a, b safe.Entry) int { return safe.ComparePaths(a.Path, b.Path) })
	return entries
}

// compare compares entries but for what expected does not know: the names of
// owners, and extended attributes; and times of folders above the test's own,
// which others change.
func compare(t *testing.T, root string, want, got []safe.Entry) {
	t.Helper()
	strip := func(entries []safe.Entry) []safe.Entry {
		entries = slices.Clone(entries)
		for i := range entries {
			e := &entries[i]
			e.User, e.Group, e.Xattrs = "", "", nil
			if !strings.HasPrefix("/"+e.Path, root) {
				e.MTime, e.CTime = time.Time{}, time.Time{}
			}
		}
		return entries
	}
	if diff := cmp.Diff(strip(want), strip(got)); diff != "" {
		t.Errorf("entries (-want +got):\n%.4000s", diff)
	}
}

func write(t *testing.T, path, content string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// names returns the paths of entries below root.
func names(root string, entries []safe.Entry) []string {
	var all []string
	for _, e := range entries {
		if rel, ok := strings.CutPrefix("/"+e.Path, root+"/"); ok {
			all = append(all, rel)
		}
	}
	return all
}

func testNastyTree(t *testing.T, kind Kind) {
	root := filepath.Join(t.TempDir(), "root")
	for _, name := range []string{
		"plain", "with blank", " leading", "trailing ", "-rf", "--", "new\nline", "\r\n", "tab\t", `back\slash`, `quo"te'`, "*", "?[a]", "$(id)", ";",
		"\xff\xfe", "caf\xc3\xa9", "cafe\xcc\x81", "\xe2\x80\xae", "\x01\x1b[31m", "...", "..a", ".hidden", "a", "a.b", "a!", strings.Repeat("n", 255), strings.Repeat("\xc3\xbc", 127),
	} {
		write(t, filepath.Join(root, "names", name), "content of "+name)
		write(t, filepath.Join(root, "folders", name, name), name)
	}
	write(t, root+"/folders/a/z", "comes before a.b") // it does only if the slash is the smallest byte
	must(t, os.MkdirAll(root+"/empty/empty", 0o755))

	deep := root + "/deep"
	for len(deep)+201 < 4000 {
		deep += "/" + strings.Repeat("d", 200)
	}
	must(t, os.MkdirAll(deep, 0o755))
	write(t, deep+"/"+strings.Repeat("f", 4095-len(deep)-1), "as deep as the kernel takes it by name")

	write(t, root+"/modes/setuid", "")
	write(t, root+"/modes/old", "")
	must(t, os.MkdirAll(root+"/modes/sticky", 0o755))
	must(t, os.Chmod(root+"/modes/setuid", 0o755|fs.ModeSetuid|fs.ModeSetgid))
	must(t, os.Chmod(root+"/modes/sticky", 0o777|fs.ModeSticky))
	must(t, os.Chmod(root+"/modes/old", 0o400))
	must(t, os.Chtimes(root+"/modes/old", time.Unix(0, 0), time.Unix(1, 999999999)))

	must(t, os.Mkdir(root+"/links", 0o755))
	for name, target := range map[string]string{
		"self": "self", "up": "..", "root": root, "dangling": "/nonexistent/\xff\n", "passwd": "/etc/passwd", "long": strings.Repeat("x/", 2000), "a": "b", "b": "a",
	} {
		must(t, os.Symlink(target, root+"/links/"+name))
	}
	must(t, os.Mkdir(root+"/special", 0o755))
	must(t, unix.Mkfifo(root+"/special/pipe", 0o600))
	fd, err := unix.Socket(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	must(t, err)
	defer unix.Close(fd)
	wd, err := unix.Open(root+"/special", unix.O_PATH, 0)
	must(t, err)
	defer unix.Close(wd)
	must(t, unix.Bind(fd, &unix.SockaddrUnix{Name: fmt.Sprintf("/proc/self/fd/%d/socket", wd)})) // socket paths are short
	must(t, os.WriteFile(root+"/sparse", nil, 0o644))
	must(t, os.Truncate(root+"/sparse", 1<<20))
	for i := range 5000 {
		write(t, fmt.Sprintf("%s/many/%04d", root, i*7919%5000), fmt.Sprint(i*7919%5000))
	}

	s := mustNew(t, kind, []string{root}, nil)
	got := pull(t, s, nil)
	if got.err != nil || len(got.problems) > 0 {
		t.Fatalf("error %v, problems %.2000v", got.err, got.problems)
	}
	want := expected(t, kind, root)
	compare(t, root, want, got.entries)
	for _, e := range want {
		content, ok := got.contents[e.Path]
		if ok != (e.Type == safe.File) {
			t.Errorf("%.100q of type %s: content is there: %v", e.Path, e.Type, ok)
		}
		if e.Type != safe.File {
			continue
		}
		file, err := os.ReadFile("/" + e.Path)
		must(t, err)
		if content != string(file) {
			t.Errorf("%.100q has the content %.100q, want %.100q", e.Path, content, file)
		}
	}
	below := int64(0)
	for _, e := range want {
		if strings.HasPrefix("/"+e.Path, root) {
			below++
		}
	}
	if diff := cmp.Diff([]source.Match{{Pattern: root, Entries: below}}, s.Matches()); diff != "" {
		t.Errorf("matches (-want +got):\n%s", diff)
	}
}

// testSizes pulls files whose sizes lie around those of buffers and requests.
func testSizes(t *testing.T, kind Kind) {
	root := t.TempDir()
	seed := rand.Uint64()
	random := rand.NewChaCha8([32]byte{byte(seed), byte(seed >> 8)})
	want := make(map[string]string)
	for _, size := range []int{0, 1, 4 << 10, 32 << 10, 64 << 10, 128 << 10, 255 << 10, 256 << 10, 1 << 20, 2 << 20, 5 << 20} {
		for _, n := range []int{size - 1, size, size + 1} {
			if n < 0 {
				continue
			}
			b := make([]byte, n)
			random.Read(b)
			path := fmt.Sprintf("%s/%09d", root, n)
			write(t, path, string(b))
			want[strings.TrimPrefix(path, "/")] = string(b)
		}
	}
	got := pull(t, mustNew(t, kind, []string{root + "/**"}, nil), nil)
	if got.err != nil || len(got.problems) > 0 {
		t.Fatalf("error %v, problems %v", got.err, got.problems)
	}
	for path, content := range want {
		if got.contents[path] != content {
			t.Errorf("%q (seed %d): %d bytes that are not those of the file", path, seed, len(got.contents[path]))
		}
	}
}

func testSelection(t *testing.T, kind Kind) {
	root := t.TempDir()
	for _, name := range []string{
		"etc/erp/a.conf", "etc/erp/sub/b.conf", "etc/other/c", "home/ann/.ssh/authorized_keys", "home/ann/.ssh/id", "home/bob/.ssh/authorized_keys",
		"home/carl/x", "up/1/2/3.pdf", "up/1/cache/4", "up/5.tmp", "file",
	} {
		write(t, filepath.Join(root, name), name)
	}
	tests := []struct {
		include, exclude string // separated by blanks, below root
		want             string
		counts           []int64
	}{
		{"/etc/erp", "", "etc etc/erp etc/erp/a.conf etc/erp/sub etc/erp/sub/b.conf", []int64{4}},
		{"/home/*/.ssh/authorized_keys", "", "home home/ann home/ann/.ssh home/ann/.ssh/authorized_keys home/bob home/bob/.ssh home/bob/.ssh/authorized_keys", []int64{2}},
		{"/up/**", "/up/**/cache /up/*.tmp", "up up/1 up/1/2 up/1/2/3.pdf", []int64{3, 1, 1}},
		{"/**/*.conf /file", "", "etc etc/erp etc/erp/a.conf etc/erp/sub etc/erp/sub/b.conf file", []int64{2, 1}},
		{"/file /nothing /home/carl/y", "", "file", []int64{1, 0, 0}},
		{"/file", "/file", "", []int64{0, 1}},
	}
	for _, tt := range tests {
		prefixed := func(lines string) (all []string) {
			for line := range strings.FieldsSeq(lines) {
				all = append(all, root+line)
			}
			return all
		}
		include := prefixed(tt.include)
		s := mustNew(t, kind, include, prefixed(tt.exclude))
		got := pull(t, s, nil)
		if got.err != nil {
			t.Fatal(got.err)
		}
		if names := strings.Join(names(root, got.entries), " "); names != tt.want {
			t.Errorf("include %s, exclude %s:\n got %s\nwant %s", tt.include, tt.exclude, names, tt.want)
		}
		var counts []int64
		unmatched := 0
		for _, m := range s.Matches() {
			counts = append(counts, m.Entries)
			if m.Entries == 0 && !m.Exclude {
				unmatched++
				want := source.Unmatched
				if !strings.ContainsAny(m.Pattern, "*?[") {
					want = source.Missing
				}
				if !slices.ContainsFunc(got.problems, func(p source.Problem) bool { return p.Kind == want && p.Path == m.Pattern }) {
					t.Errorf("include %s: %s matched nothing, which was not reported", tt.include, m.Pattern)
				}
			}
		}
		if !slices.Equal(counts, tt.counts) {
			t.Errorf("include %s, exclude %s: counts are %d, want %d", tt.include, tt.exclude, counts, tt.counts)
		}
		if len(got.problems) != unmatched {
			t.Errorf("include %s: problems %v", tt.include, got.problems)
		}
	}
}

func testLinksOnTheWay(t *testing.T, kind Kind) {
	root := t.TempDir()
	write(t, root+"/real/x/file", "")
	must(t, os.Symlink("real", root+"/link"))
	for _, tt := range []struct {
		include string
		kind    source.Kind
		path    string
	}{
		{"/link/x/file", source.Unreadable, "/link"},
		{"/link/**", source.Unreadable, "/link"},
		{"/l*/x", source.Unmatched, "/link"},
	} {
		got := pull(t, mustNew(t, kind, []string{root + tt.include}, nil), nil)
		if len(got.problems) == 0 || got.problems[0].Kind != tt.kind || "/"+got.problems[0].Path != root+tt.path || !strings.Contains(got.problems[0].Error(), "symbolic link to \\\"real\\\"") && !strings.Contains(got.problems[0].Error(), `symbolic link to "real"`) {
			t.Errorf("include %s: problems %v", tt.include, got.problems)
		}
		if len(names(root, got.entries)) > 0 {
			t.Errorf("include %s: got %q", tt.include, names(root, got.entries))
		}
	}
	// At the end of a line the link itself is what was asked for.
	got := pull(t, mustNew(t, kind, []string{root + "/link"}, nil), nil)
	if n := len(got.entries); len(got.problems) > 0 || n == 0 || got.entries[n-1].Type != safe.Symlink || got.entries[n-1].Target != "real" {
		t.Errorf("a link at the end of a line: problems %v, entries %v", got.problems, got.entries)
	}
}

func testNeed(t *testing.T, kind Kind) {
	root := t.TempDir()
	for i := range 100 {
		write(t, fmt.Sprintf("%s/%d/%d", root, i%10, i), fmt.Sprint(i))
	}
	must(t, os.Symlink("x", root+"/link"))
	var asked []string
	got := pull(t, mustNew(t, kind, []string{root}, nil), func(e safe.Entry) bool {
		asked = append(asked, e.Path)
		return strings.HasSuffix(e.Path, "7")
	})
	if got.err != nil || len(got.problems) > 0 {
		t.Fatalf("error %v, problems %v", got.err, got.problems)
	}
	var want []string
	for _, e := range got.entries {
		if e.Type != safe.File {
			continue
		}
		want = append(want, e.Path)
		if _, ok := got.contents[e.Path]; ok != strings.HasSuffix(e.Path, "7") {
			t.Errorf("%s has content: %v", e.Path, ok)
		}
	}
	if diff := cmp.Diff(want, asked); diff != "" {
		t.Errorf("files that Need was asked about (-want +got):\n%s", diff)
	}
}

// testChanges uses that Need is called between listing and opening.
func testChanges(t *testing.T, kind Kind) {
	root := t.TempDir()
	long := strings.Repeat("long ", 200_000)
	old := time.Unix(1_000_000_000, 0)
	for _, name := range []string{"grows", "shrinks", "touched", "vanishes", "becomes-folder", "becomes-link", "becomes-pipe", "stays", "big-grows"} {
		content := "content"
		if strings.HasPrefix(name, "big") {
			content = long
		}
		write(t, filepath.Join(root, name), content)
		must(t, os.Chtimes(filepath.Join(root, name), old, old))
	}
	got := pull(t, mustNew(t, kind, []string{root}, nil), func(e safe.Entry) bool {
		path := "/" + e.Path
		switch filepath.Base(path) {
		case "grows":
			must(t, os.WriteFile(path, []byte("content and more"), 0o644))
		case "big-grows":
			must(t, os.WriteFile(path, []byte(long+"more"), 0o644))
		case "shrinks":
			must(t, os.WriteFile(path, []byte("con"), 0o644))
		case "touched":
			must(t, os.WriteFile(path, []byte("CONTENT"), 0o644))
		case "vanishes":
			must(t, os.Remove(path))
		case "becomes-folder":
			must(t, os.Remove(path))
			must(t, os.Mkdir(path, 0o755))
		case "becomes-link":
			must(t, os.Remove(path))
			must(t, os.Symlink("/etc/passwd", path))
		case "becomes-pipe":
			must(t, os.Remove(path))
			must(t, unix.Mkfifo(path, 0o644))
		}
		// Where opening a pipe waits for its other side, only a stall
		// timeout helps, and that has a test of its own.
		return kind.Full || filepath.Base(path) != "becomes-pipe"
	})
	if got.err != nil {
		t.Fatal(got.err)
	}
	kinds := make(map[string]source.Kind)
	for _, p := range got.problems {
		kinds[filepath.Base(p.Path)] = p.Kind
	}
	contents := make(map[string]string)
	for path, content := range got.contents {
		contents[filepath.Base(path)] = content
	}
	wantKinds := map[string]source.Kind{
		"grows": source.Changed, "big-grows": source.Changed, "shrinks": source.Changed, "touched": source.Changed,
		"vanishes": source.Vanished, "becomes-folder": source.Vanished, "becomes-link": source.Vanished, "becomes-pipe": source.Vanished,
	}
	wantContents := map[string]string{"grows": "content and more", "big-grows": long + "more", "shrinks": "con", "touched": "CONTENT", "stays": "content"}
	if !kind.Full {
		// A server opens what it finds: it may refuse to read a folder, and
		// follow a link.
		wantKinds["becomes-folder"] = source.Unreadable
		wantKinds["becomes-link"] = source.Changed
		delete(wantKinds, "becomes-pipe")
		delete(contents, "becomes-link")
	}
	if diff := cmp.Diff(wantKinds, kinds); diff != "" {
		t.Errorf("problems (-want +got):\n%s\n%v", diff, got.problems)
	}
	if diff := cmp.Diff(wantContents, contents); diff != "" {
		t.Errorf("contents (-want +got):\n%.1000s", diff)
	}
}

func testUnreadable(t *testing.T, kind Kind) {
	if os.Geteuid() == 0 {
		t.Skip("nothing is unreadable for root")
	}
	root := t.TempDir()
	write(t, root+"/file", "x")
	write(t, root+"/folder/x", "x")
	write(t, root+"/later", "x")
	must(t, os.Chmod(root+"/file", 0))
	must(t, os.Chmod(root+"/folder", 0))
	t.Cleanup(func() { os.Chmod(root+"/folder", 0o700) })
	got := pull(t, mustNew(t, kind, []string{root}, nil), nil)
	if got.err != nil || len(got.problems) != 2 || got.problems[0].Kind != source.Unreadable || got.problems[1].Kind != source.Unreadable {
		t.Errorf("error %v, problems %v", got.err, got.problems)
	}
	if names := strings.Join(names(root, got.entries), " "); names != "folder later" {
		t.Errorf("got %s", names)
	}
}

func testLimits(t *testing.T, kind Kind) {
	root := t.TempDir()
	for i := range 100 {
		write(t, fmt.Sprintf("%s/%02d", root, i), strings.Repeat("x", 1000))
	}
	for _, limits := range []source.Limits{{Entries: 50}, {Bytes: 50_000}} {
		s, err := kind.New([]string{root + "/**"}, nil, limits)
		must(t, err)
		got := pull(t, s, nil)
		var limit *source.LimitError
		if !errors.As(got.err, &limit) || limit.Limit != max(limits.Entries, limits.Bytes) {
			t.Errorf("%+v: the error is %v, want a LimitError", limits, got.err)
		}
		if n := len(got.contents); n > 50 || limits.Bytes > 0 && n != 50 {
			t.Errorf("%+v: %d files were whole", limits, n)
		}
	}
	s, err := kind.New([]string{root + "/**"}, nil, source.Limits{FolderEntries: 50})
	must(t, err)
	got := pull(t, s, nil)
	if got.err != nil || len(got.problems) != 1 || got.problems[0].Kind != source.Unreadable || len(got.contents) != 50 {
		t.Errorf("a folder over its limit: error %v, problems %v, %d files", got.err, got.problems, len(got.contents))
	}
}

// resources counts what a pull must give back.
func resources() (goroutines, files int) {
	fds, _ := os.ReadDir("/proc/self/fd") // the count matters only in comparison
	return runtime.NumGoroutine(), len(fds)
}

// checkResources waits a moment for what was begun to end.
func checkResources(t *testing.T, goroutines, files int) {
	t.Helper()
	for end := time.Now().Add(3 * time.Second); ; {
		g, f := resources()
		if g <= goroutines && f <= files {
			return
		}
		if time.Now().After(end) {
			stacks := make([]byte, 1<<20)
			t.Fatalf("%d goroutines and %d open files, and before %d and %d\n%s", g, f, goroutines, files, stacks[:runtime.Stack(stacks, true)])
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func manyFiles(t *testing.T) string {
	root := t.TempDir()
	for i := range 600 {
		write(t, fmt.Sprintf("%s/%02d/%04d", root, i%30, i), strings.Repeat("x", 1000*(i%100)))
	}
	return root
}

func testEarlyStop(t *testing.T, kind Kind) {
	root := manyFiles(t)
	for _, stop := range []int{1, 10, 400} {
		goroutines, files := resources()
		n := 0
		for item, err := range mustNew(t, kind, []string{root}, nil).Pull(t.Context(), source.Request{}) {
			must(t, err)
			if n++; n == stop {
				break
			}
			if item.Content != nil && n%2 == 0 { // every other one is not read at all
				_, err := io.CopyN(io.Discard, item.Content, 100)
				if err != nil && err != io.EOF {
					t.Fatal(err)
				}
			}
		}
		checkResources(t, goroutines, files)
	}
}

func testCancel(t *testing.T, kind Kind) {
	root := manyFiles(t)
	for _, stop := range []int{0, 1, 10, 400} {
		goroutines, files := resources()
		ctx, cancel := context.WithCancel(t.Context())
		if stop == 0 {
			cancel()
		}
		var cancelled time.Time
		var last error
		n := 0
		for _, err := range mustNew(t, kind, []string{root}, nil).Pull(ctx, source.Request{}) {
			last = err
			if n++; n == stop {
				cancelled = time.Now()
				cancel()
			}
		}
		if !errors.Is(last, context.Canceled) {
			t.Errorf("cancelled after %d entries: ended after %d with %v", stop, n, last)
		}
		if took := time.Since(cancelled); stop > 0 && took > time.Second {
			t.Errorf("cancelled after %d entries: took %v to end", stop, took)
		}
		cancel()
		checkResources(t, goroutines, files)
	}
}

func testHardLinks(t *testing.T, kind Kind) {
	root, elsewhere := t.TempDir(), t.TempDir()
	write(t, root+"/a", "shared")
	write(t, root+"/gone/1", "lost")
	write(t, root+"/outside", "x")
	must(t, os.Link(root+"/a", root+"/b"))
	must(t, os.Link(root+"/a", root+"/z"))
	must(t, os.Link(root+"/gone/1", root+"/gone/2"))
	got := pull(t, mustNew(t, kind, []string{root}, nil), func(e safe.Entry) bool {
		if strings.HasSuffix(e.Path, "gone/1") {
			must(t, os.Rename("/"+e.Path, elsewhere+"/1"))
		}
		return true
	})
	if got.err != nil {
		t.Fatal(got.err)
	}
	content := make(map[string]string)
	for _, e := range got.entries {
		switch name := filepath.Base(e.Path); e.Type {
		case safe.File:
			content[name] = got.contents[e.Path]
		case safe.Hardlink:
			content[name] = "-> " + filepath.Base(e.Target)
		}
	}
	want := map[string]string{"a": "shared", "b": "-> a", "z": "-> a", "outside": "x"}
	if !kind.Full {
		want["b"], want["z"], want["2"] = "shared", "shared", "lost"
	}
	if diff := cmp.Diff(want, content); diff != "" {
		t.Errorf("files (-want +got):\n%s\nproblems %v", diff, got.problems)
	}
	// The second name of a file whose first was lost must not dangle.
	if problems := len(got.problems); kind.Full && problems != 2 || !kind.Full && problems != 1 {
		t.Errorf("problems %v", got.problems)
	}
}
