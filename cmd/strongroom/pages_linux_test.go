package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"strongroom/internal/porttest"
)

// TestPages does what the pages of the handbook say, each in a safe of its own
// that was set up as the first of them says. What is in a block ```console is
// typed and must be answered as it stands there:
//
//	ada$ strongroom people list     on ada's machine; a \ at the end goes on
//	bob  operator ...               what is seen; ... is anything, on a line of its own any lines
//	  <words of bob>                what differs each time; where the same name comes again, it is the same
//	Agree? [yes/no] yes             a question, and what is typed
//	(24 hours later)                what happens, one of those in stage
//
// A command fails if what is seen has a line that begins with "error: ". One
// without anything below it may say what it likes. Passphrases are typed, and
// not seen. Addresses and names are of the kind that documents show: the safe
// and each person have an address in 127.0.0.0/8 in the place of theirs.
func TestPages(t *testing.T) {
	if testing.Short() {
		t.Skip("what people do takes a while")
	}
	w := newWorld(t)
	const first = "set-up-people"
	w.play(t, readPage(t, first))
	if t.Failed() {
		return
	}
	w.keep(t)
	entries, err := os.ReadDir(pages)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		name := strings.TrimSuffix(e.Name(), ".md")
		if name == first {
			continue
		}
		t.Run(name, func(t *testing.T) {
			w.resume(t)
			w.play(t, readPage(t, name))
		})
	}
}

const pages = "../../docs/handbook"

// A step is a command with what is seen, or something that happens.
type step struct {
	line    int
	who     string // whose machine; "" if something happens
	command string
	seen    []string
}

var typed = regexp.MustCompile(`^([a-z]+)\$ (.*)$`)

func readPage(t *testing.T, name string) []step {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(pages, name+".md"))
	if err != nil {
		t.Fatal(err)
	}
	var steps []step
	var inside, goesOn bool
	for i, line := range strings.Split(string(b), "\n") {
		m := typed.FindStringSubmatch(line)
		switch {
		case strings.HasPrefix(line, "```"):
			inside, goesOn = line == "```console", false
		case !inside:
		case goesOn:
			last := &steps[len(steps)-1]
			last.command += "\n" + line
			goesOn = unfinished(last.command)
		case m != nil:
			steps = append(steps, step{line: i + 1, who: m[1], command: m[2]})
			goesOn = unfinished(m[2])
		case strings.HasPrefix(line, "("):
			steps = append(steps, step{line: i + 1, command: line})
		case len(steps) == 0 || steps[len(steps)-1].who == "":
			t.Fatalf("%s.md:%d: %q is below no command", name, i+1, line)
		default:
			last := &steps[len(steps)-1]
			last.seen = append(last.seen, strings.TrimRight(line, " "))
		}
	}
	if len(steps) == 0 {
		t.Fatalf("%s.md says nothing to do", name)
	}
	return steps
}

// unfinished reports whether the shell waits for more of a command.
func unfinished(command string) bool {
	return strings.HasSuffix(command, `\`) || strings.HasPrefix(command, "(") && !strings.Contains(command, ")")
}

// A world is the machines of a safe and of its people, as folders of one
// machine, with one clock.
type world struct {
	root  string
	bin   string
	real  *strings.Replacer // of what pages show
	shown *strings.Replacer // the other way round
	serve *exec.Cmd
	later time.Duration
	found map[string]string // what stands for <names>
	kept  struct {
		later time.Duration
		words string // those of the safe, which every page may name
	}
}

// lastBytes are the addresses of the people's machines, in the last byte.
var lastBytes = map[string]int{"safe": 1, "ada": 3, "bob": 2, "kim": 5, "otto": 4, "eva": 6, "olga": 7}

func newWorld(t *testing.T) *world {
	t.Helper()
	top := t.TempDir()
	w := &world{root: filepath.Join(top, "world"), bin: filepath.Join(top, "bin"), found: make(map[string]string)}
	w.build(t)
	api, gate := port(t), port(t)
	names := []string{"safe.acme.example", "localhost", ":8443", ":" + api, ":2222", ":" + gate, "192.0.2.", "127.0.0."}
	w.real = strings.NewReplacer(names...)
	slices.Reverse(names)
	w.shown = strings.NewReplacer(names...)
	for name := range lastBytes {
		w.machine(t, name)
	}
	folder := filepath.Join(w.root, "safe")
	write(t, filepath.Join(folder, "strongroom.yaml"), fmt.Sprintf(`
safe: acme
dir: %[1]s/dir
store: %[1]s/store
serve:
  listen: %[2]s
  name: [ localhost, 127.0.0.1 ]
  gate: { listen: "127.0.0.1:%[3]s" }
sources:
  erp-files:
    kind: local
    include: [ %[1]s/srv/erp ]
`, folder, "127.0.0.1:"+api, gate))
	write(t, filepath.Join(folder, "srv/erp/conf/erp.ini"), "workers = 8\n")
	write(t, filepath.Join(folder, "srv/erp/orders.csv"), "438;anvil;1\n")
	if err := os.Mkdir(filepath.Join(w.root, "paper"), 0o700); err != nil {
		t.Fatal(err)
	}
	w.wait(t, 0)
	t.Cleanup(func() { w.stop(t) })
	return w
}

// build builds the program with two lines changed: where it takes the time
// from, and how long a passphrase is worked on.
func (w *world) build(t *testing.T) {
	t.Helper()
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	replaced := map[string]string{filepath.Join(root, "cmd/strongroom/later.go"): filepath.Join(w.bin, "later.go")}
	write(t, filepath.Join(w.bin, "later.go"), later)
	for i, change := range []struct{ file, line, by string }{
		{"cmd/strongroom/main.go", "runAt(ctx, time.Now, ", "runAt(ctx, laterNow, "},
		{"internal/store/seal/lock.go", "lockWork = 18\n", "lockWork = 10\n"},
	} {
		source, err := os.ReadFile(filepath.Join(root, change.file))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Count(string(source), change.line) != 1 {
			t.Fatalf("%s has not one %q", change.file, change.line)
		}
		changed := filepath.Join(w.bin, fmt.Sprintf("changed%d.go", i))
		write(t, changed, strings.Replace(string(source), change.line, change.by, 1))
		replaced[filepath.Join(root, change.file)] = changed
	}
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(w.bin, "overlay.json"), string(overlay))
	build := exec.Command("go", "build", "-overlay", filepath.Join(w.bin, "overlay.json"), "-o", filepath.Join(w.bin, "strongroom"), ".")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("building the program: %v\n%s", err, out)
	}
}

// later is a clock for a program that has none but the machine's.
const later = `package main

import (
	"os"
	"strings"
	"time"
)

func laterNow() time.Time {
	b, _ := os.ReadFile(os.Getenv("STRONGROOM_LATER"))
	later, _ := time.ParseDuration(strings.TrimSpace(string(b)))
	return time.Now().Add(later)
}
`

func write(t *testing.T, name, content string) {
	t.Helper()
	if err := errors.Join(os.MkdirAll(filepath.Dir(name), 0o700), os.WriteFile(name, []byte(content), 0o600)); err != nil {
		t.Fatal(err)
	}
}

func port(t *testing.T) string {
	t.Helper()
	p, err := porttest.Free()
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// machine makes a new machine for somebody, with an SSH key and nothing else.
func (w *world) machine(t *testing.T, name string) {
	t.Helper()
	home := filepath.Join(w.root, name)
	if err := errors.Join(os.RemoveAll(home), os.MkdirAll(filepath.Join(home, ".ssh"), 0o700)); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", filepath.Join(home, ".ssh/id_ed25519")).CombinedOutput(); err != nil {
		t.Fatalf("ssh-keygen: %v\n%s", err, out)
	}
}

func (w *world) wait(t *testing.T, d time.Duration) {
	t.Helper()
	w.later += d
	write(t, filepath.Join(w.root, "later.new"), w.later.String())
	if err := os.Rename(filepath.Join(w.root, "later.new"), filepath.Join(w.root, "later")); err != nil {
		t.Fatal(err)
	}
}

// settle waits until the safe has done what was due: it looks at the clock
// twice a second.
func (w *world) settle(t *testing.T) {
	t.Helper()
	for range 200 {
		cmd := exec.Command(filepath.Join(w.bin, "strongroom"), "people", "list", "--json")
		cmd.Dir, cmd.Env = filepath.Join(w.root, "safe"), w.env("safe")
		out, err := cmd.Output()
		if err != nil {
			t.Fatalf("asking the safe what is due: %v", err)
		}
		due := false
		for line := range bytes.Lines(out) {
			var proposal struct{ Ready time.Time }
			if err := json.Unmarshal(line, &proposal); err != nil {
				t.Fatal(err)
			}
			due = due || !proposal.Ready.IsZero() && !proposal.Ready.After(time.Now().Add(w.later))
		}
		if !due {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatal("what is due does not happen")
}

func (w *world) start(t *testing.T) {
	t.Helper()
	log, err := os.Create(filepath.Join(w.root, "serve.log"))
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the child has its own
	w.serve = exec.Command(filepath.Join(w.bin, "strongroom"), "serve")
	w.serve.Dir, w.serve.Env, w.serve.Stdout, w.serve.Stderr = filepath.Join(w.root, "safe"), w.env("safe"), log, log
	if err := w.serve.Start(); err != nil {
		t.Fatal(err)
	}
	// It says where it answers when all that it writes at its start is in the
	// store: a copy that is made meanwhile would not be whole.
	var said []byte
	for range 400 {
		if said, err = os.ReadFile(log.Name()); err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(said, []byte("answers people")) {
			return
		}
		time.Sleep(50 * time.Millisecond)
	}
	t.Fatalf("nobody answers people:\n%s", said)
}

func (w *world) stop(t *testing.T) {
	t.Helper()
	if w.serve == nil {
		return
	}
	if err := errors.Join(w.serve.Process.Signal(syscall.SIGTERM), w.serve.Wait()); err != nil {
		b, _ := os.ReadFile(filepath.Join(w.root, "serve.log")) // as above
		t.Errorf("the safe did not stop well: %v\n%s", err, b)
	}
	w.serve = nil
}

// keep notes how everything is now, for resume.
func (w *world) keep(t *testing.T) {
	t.Helper()
	w.stop(t)
	if out, err := exec.Command("cp", "-a", w.root, w.root+".kept").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.kept.later, w.kept.words = w.later, w.found["<words of the safe>"]
}

func (w *world) resume(t *testing.T) {
	t.Helper()
	w.stop(t)
	if err := os.RemoveAll(w.root); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("cp", "-a", w.root+".kept", w.root).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	w.later, w.found = w.kept.later, map[string]string{"<words of the safe>": w.kept.words}
	w.start(t)
}

func (w *world) env(name string) []string {
	return []string{"HOME=" + filepath.Join(w.root, name), "PATH=" + w.bin + string(filepath.ListSeparator) + os.Getenv("PATH"), "TZ=UTC", "NO_COLOR=1", "TERM=xterm",
		"STRONGROOM_LATER=" + filepath.Join(w.root, "later")}
}

func (w *world) play(t *testing.T, steps []step) {
	t.Helper()
	for _, s := range steps {
		if s.who == "" {
			w.happen(t, s)
		} else {
			w.do(t, s)
		}
		if t.Failed() {
			return
		}
	}
}

// stage is what can happen, in parentheses.
var stage = []struct {
	pattern *regexp.Regexp
	happen  func(*testing.T, *world, []string)
}{
	{regexp.MustCompile(`^\((\d+) hours later\)$`), func(t *testing.T, w *world, m []string) {
		d, err := time.ParseDuration(m[1] + "h")
		if err != nil {
			t.Fatal(err)
		}
		w.wait(t, d)
		w.settle(t)
	}},
	{regexp.MustCompile(`^\(strongroom serve runs on the safe\)$`), func(t *testing.T, w *world, _ []string) { w.start(t) }},
	{regexp.MustCompile(`^\(the newest mail is at the safe, as (\S+)\)$`), func(t *testing.T, w *world, m []string) {
		// Of a mail only the checkpoint counts.
		cmd := exec.Command(filepath.Join(w.bin, "strongroom"), "ledger", "checkpoint")
		cmd.Dir, cmd.Env = filepath.Join(w.root, "safe"), w.env("safe")
		b, err := cmd.Output()
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(cmd.Dir, m[1]), string(b))
	}},
	{regexp.MustCompile(`^\(the safe has lost its state\)$`), func(t *testing.T, w *world, _ []string) {
		w.stop(t)
		if err := os.Remove(filepath.Join(w.root, "safe/dir/state.db")); err != nil {
			t.Fatal(err)
		}
	}},
	{regexp.MustCompile(`^\(([a-z]+) brings (\S+) to ([a-z]+)\)$`), func(t *testing.T, w *world, m []string) {
		if out, err := exec.Command("cp", "-a", filepath.Join(w.root, m[1], m[2]), filepath.Join(w.root, m[3])).CombinedOutput(); err != nil {
			t.Fatalf("%v\n%s", err, out)
		}
	}},
	{regexp.MustCompile(`^\(([a-z]+) prints (\S+)\)$`), func(t *testing.T, w *world, m []string) {
		if err := os.Rename(filepath.Join(w.root, m[1], m[2]), filepath.Join(w.root, "paper", m[2])); err != nil {
			t.Fatal(err)
		}
	}},
	{regexp.MustCompile(`^\(([a-z]+) types the key on (\S+) into (\S+)\)$`), func(t *testing.T, w *world, m []string) {
		write(t, filepath.Join(w.root, m[1], m[3]), w.paperKey(t, m[2])+"\n")
	}},
	{regexp.MustCompile(`^\(([a-z]+) enrols in a browser, with (<[^<>]+>)\)$`), func(t *testing.T, w *world, m []string) {
		link, ok := w.value(t, m[2])
		if !ok {
			t.Fatalf("nothing was seen yet that is %s", m[2])
		}
		w.enrolInBrowser(t, m[1], link)
	}},
	{regexp.MustCompile(`^\(([a-z]+(?:, [a-z]+)*(?: and [a-z]+)?) (?:has|have) a new laptop\)$`), func(t *testing.T, w *world, m []string) {
		for _, name := range strings.Split(strings.ReplaceAll(m[1], " and ", ", "), ", ") {
			w.machine(t, name)
		}
	}},
}

func (w *world) happen(t *testing.T, s step) {
	t.Helper()
	for _, h := range stage {
		if m := h.pattern.FindStringSubmatch(s.command); m != nil {
			h.happen(t, w, m)
			return
		}
	}
	t.Fatalf("line %d: %s: nobody knows how", s.line, s.command)
}

var keyLine = regexp.MustCompile(`(?m)^\s*(AGE-SECRET-KEY-PQ-1[0-9A-Z]{50,})$`)

// paperKey returns the key on a page that was printed.
func (w *world) paperKey(t *testing.T, page string) string {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(w.root, "paper", page))
	if err != nil {
		t.Fatal(err)
	}
	m := keyLine.FindSubmatch(b)
	if m == nil {
		t.Fatalf("there is no key on %s", page)
	}
	return string(m[1])
}

var (
	placeholder = regexp.MustCompile(`<[a-z][^<>]*>`)
	pageKey     = regexp.MustCompile(`^<the key on (\S+)>$`)
)

// value returns what stands for a <name>, if that is known yet.
func (w *world) value(t *testing.T, name string) (string, bool) {
	if m := pageKey.FindStringSubmatch(name); m != nil {
		return w.paperKey(t, m[1]), true
	}
	v, ok := w.found[name]
	return v, ok
}

// do types a command and compares what is seen.
func (w *world) do(t *testing.T, s step) {
	t.Helper()
	command := placeholder.ReplaceAllStringFunc(s.command, func(name string) string {
		v, ok := w.value(t, name)
		if !ok {
			t.Fatalf("line %d: nothing was seen yet that is %s", s.line, name)
		}
		return v
	})
	command = w.real.Replace(command)
	if strings.HasPrefix(command, "strongroom enrol ") {
		// Here everybody's address is on the same machine.
		command += fmt.Sprintf(" --from 127.0.0.%d", lastBytes[s.who])
	}
	seen, failed := w.terminal(t, s, command)
	seen = w.shown.Replace(seen)
	if err := w.compare(t, s, seen, failed); err != nil {
		log, _ := os.ReadFile(filepath.Join(w.root, "serve.log")) // it is for the message only
		t.Fatalf("line %d: %s$ %s\n%v; seen was\n%s\nThe safe has logged\n%s", s.line, s.who, command, err, seen, log)
	}
}

// compare compares what was seen with the page.
func (w *world) compare(t *testing.T, s step, seen string, failed bool) error {
	if shouldFail := slices.ContainsFunc(s.seen, func(line string) bool { return strings.HasPrefix(line, "error: ") }); failed != shouldFail {
		return fmt.Errorf("it failed: %t, should: %t", failed, shouldFail)
	}
	if len(s.seen) == 0 {
		return nil
	}
	var b strings.Builder
	var names []string
	b.WriteString(`\A`)
	for _, line := range s.seen {
		if line == "..." {
			b.WriteString(`(?:[^\n]*\n)*?`)
			continue
		}
		last := 0
		literal := func(s string) {
			for i, part := range strings.Split(s, "...") {
				if i > 0 {
					b.WriteString(`[^\n]*?`)
				}
				b.WriteString(regexp.QuoteMeta(part))
			}
		}
		for _, at := range placeholder.FindAllStringIndex(line, -1) {
			literal(line[last:at[0]])
			name := line[at[0]:at[1]]
			if v, ok := w.value(t, name); ok {
				b.WriteString(regexp.QuoteMeta(v))
			} else {
				b.WriteString(`([^\n]+?)`)
				names = append(names, name)
			}
			last = at[1]
		}
		literal(line[last:])
		b.WriteString(`\n`)
	}
	b.WriteString(`\z`)
	m := regexp.MustCompile(b.String()).FindStringSubmatch(seen)
	if m == nil {
		return fmt.Errorf("it should be\n%s", strings.Join(s.seen, "\n"))
	}
	for i, name := range names {
		w.found[name] = w.real.Replace(m[i+1])
	}
	return nil
}

var (
	question = regexp.MustCompile(`(?:\[yes/no\]|, in one line:) $`)
	secret   = regexp.MustCompile(`(?:[Pp]assphrase[^\n]*|The same once more): $`)
	erased   = regexp.MustCompile(`\x1b\[[0-9;?]*[A-Za-z]`)
)

// terminal runs a command at a terminal, answers its questions as the page
// does, and returns what is seen there in the end.
func (w *world) terminal(t *testing.T, s step, command string) (seen string, failed bool) {
	t.Helper()
	screen, keyboard := pseudoterminal(t)
	defer screen.Close()
	cmd := exec.Command("sh", "-c", command)
	cmd.Dir, cmd.Env = filepath.Join(w.root, s.who), w.env(s.who)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = keyboard, keyboard, keyboard
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := errors.Join(cmd.Start(), keyboard.Close()); err != nil {
		t.Fatal(err)
	}
	late := time.AfterFunc(2*time.Minute, func() { cmd.Process.Kill() })
	defer late.Stop()
	var answers []string
	for _, line := range s.seen {
		for _, q := range []string{"[yes/no] ", ", in one line: "} {
			if _, answer, ok := strings.Cut(line, q); ok {
				if v, known := w.value(t, answer); known {
					answer = v
				}
				answers = append(answers, answer)
			}
		}
	}
	var all bytes.Buffer
	answered := 0
	b := make([]byte, 4096)
	for {
		n, err := screen.Read(b)
		all.Write(b[:n])
		if err != nil {
			break // EIO, as nobody has the other end open
		}
		tail := erased.ReplaceAllString(string(all.Bytes()[answered:]), "")
		answer := ""
		switch {
		case secret.MatchString(tail):
			unseen(t, screen)
			answer = "four words of " + s.who + "\n"
		case question.MatchString(tail) && len(answers) > 0:
			answer, answers = answers[0]+"\n", answers[1:]
		case question.MatchString(tail):
			answer = "\x04"
		}
		if answer != "" {
			answered = all.Len()
			if _, err := io.WriteString(screen, answer); err != nil {
				t.Fatal(err)
			}
		}
	}
	failed = cmd.Wait() != nil
	return onScreen(all.String()), failed
}

// onScreen returns what is on a screen in the end, without what was drawn over.
func onScreen(s string) string {
	var lines []string
	for line := range strings.SplitSeq(strings.ReplaceAll(s, "\r\n", "\n"), "\n") {
		line = line[strings.LastIndex(line, "\r")+1:]
		lines = append(lines, strings.TrimRight(erased.ReplaceAllString(line, ""), " "))
	}
	return strings.Join(lines, "\n")
}

// pseudoterminal returns both ends of one.
func pseudoterminal(t *testing.T) (screen, keyboard *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("there are no pseudoterminals: %v", err)
	}
	fd := int(screen.Fd())
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err == nil {
		err = errors.Join(unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0), unix.IoctlSetWinsize(fd, unix.TIOCSWINSZ, &unix.Winsize{Row: 50, Col: 200}))
	}
	if err == nil {
		keyboard, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return screen, keyboard
}

// unseen waits until what is typed is not shown any more.
func unseen(t *testing.T, screen *os.File) {
	t.Helper()
	for range 500 {
		state, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
		if err != nil {
			t.Fatal(err)
		}
		if state.Lflag&unix.ECHO == 0 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal("a passphrase would be shown")
}
