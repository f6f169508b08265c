package ui

import (
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// screen plays what was written to it and shows the line under the cursor, as
// a terminal would. It notes when it was drawn on.
type screen struct {
	mu    sync.Mutex
	lines []string
	line  string
	draws []time.Time
}

func (s *screen) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	text := string(b)
	if rest, ok := strings.CutPrefix(text, eraseLine); ok {
		s.line = ""
		text = rest
	}
	if strings.ContainsAny(text, "\r\x1b") {
		panic("an escape sequence in the middle of " + text)
	}
	for {
		line, rest, ok := strings.Cut(text, "\n")
		s.line += line
		if !ok {
			break
		}
		s.lines, s.line, text = append(s.lines, s.line), "", rest
	}
	s.draws = append(s.draws, time.Now())
	return len(b), nil
}

// current returns the line under the cursor and how often it was drawn on,
// once all that happens at this time has happened.
func (s *screen) current() (line string, draws int) {
	synctest.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.line, len(s.draws)
}

func newScreen(columns int, opts Options) (*Terminal, *screen) {
	s := &screen{}
	t := New(nil, s, s, opts) // both outputs are the same terminal
	if columns > 0 {
		size := func() int { return columns }
		t.out.columns, t.err.columns = size, size
	}
	return t, s
}

func TestProgress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term, screen := newScreen(100, Options{NoColor: true})
		p := term.Progress("erp-files", "files")
		defer p.Done()
		p.Expect(1_000_000_000)

		expect := func(line string) {
			t.Helper()
			if got, _ := screen.current(); got != line {
				t.Errorf("the line is %q, want %q", got, line)
			}
		}
		begun := time.Now()
		for range 19 { // ten megabytes in every tenth of a second
			time.Sleep(100 * time.Millisecond)
			p.Add(100, 10_000_000)
		}
		expect("")
		p.Add(100, 10_000_000)
		time.Sleep(100 * time.Millisecond)
		expect("erp-files: 200 MB of 1.0 GB, 20 %, 8 s left, 100 MB/s, 2,000 files")

		// Other output does not mix with the line, which comes back.
		term.Printf("a result")
		expect("")
		term.Note("a note")
		time.Sleep(200 * time.Millisecond)
		expect("erp-files: 200 MB of 1.0 GB, 20 %, 9 s left, 90.9 MB/s, 2,000 files")
		if got := strings.Join(screen.lines, "|"); got != "a result|a note" {
			t.Errorf("the lines above are %q", got)
		}

		// A stall shows within the time over which the rate is taken.
		time.Sleep(11 * time.Second)
		expect("erp-files: 200 MB of 1.0 GB, 20 %, 13 s so far, 0 B/s, 2,000 files")

		// More than was expected: the expectation is not shown any more.
		p.Add(0, 900_000_000)
		time.Sleep(200 * time.Millisecond)
		expect("erp-files: 1.1 GB, 13 s so far, 90.0 MB/s, 2,000 files")

		p.Done()
		expect("")
		p.Done()
		_, drawn := screen.current()
		time.Sleep(time.Minute)
		if _, now := screen.current(); now != drawn {
			t.Error("it is drawn after Done")
		}
		if screen.draws[0].Sub(begun) != 2*time.Second {
			t.Errorf("it appeared after %v", screen.draws[0].Sub(begun))
		}
		for i := 5; i < drawn-4; i++ { // the erasing for two other lines and in the end are no draws
			if d := screen.draws[i+3].Sub(screen.draws[i]); d < 200*time.Millisecond {
				t.Errorf("it was drawn too often: 3 times in %v", d)
			}
		}
	})
}

func TestProgressOfSomethingShort(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term, screen := newScreen(80, Options{})
		p := term.Progress("erp-files", "files")
		p.Add(1, 1)
		time.Sleep(1999 * time.Millisecond)
		p.Done()
		if _, draws := screen.current(); draws > 0 {
			t.Errorf("it was drawn %d times", draws)
		}
	})
}

func TestProgressIsCutToTheTerminal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term, screen := newScreen(20, Options{})
		p := term.Progress("erp\x1b[2J", "files")
		defer p.Done()
		time.Sleep(2 * time.Second)
		want := `erp\x1b[2J: 0 B, 2…`
		if got, _ := screen.current(); got != want {
			t.Errorf("the line is %q, want %q", got, want)
		}
	})
}

func TestProgressIsSilent(t *testing.T) {
	for name, make := range map[string]func() (*Terminal, *screen){
		"no terminal": func() (*Terminal, *screen) { return newScreen(0, Options{}) },
		"quiet":       func() (*Terminal, *screen) { return newScreen(80, Options{Quiet: true}) },
		"json":        func() (*Terminal, *screen) { return newScreen(80, Options{JSON: true}) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				term, screen := make()
				p := term.Progress("erp-files", "files")
				p.Add(1, 1000)
				time.Sleep(time.Minute)
				p.Done()
				if _, draws := screen.current(); draws > 0 {
					t.Errorf("it was drawn %d times", draws)
				}
			})
		})
	}
}

func TestSecondProgressIsNotShown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		term, screen := newScreen(80, Options{})
		first := term.Progress("first", "files")
		second := term.Progress("second", "files")
		time.Sleep(3 * time.Second)
		second.Done()
		if line, _ := screen.current(); !strings.HasPrefix(line, "first: ") {
			t.Errorf("the line is %q", line)
		}
		first.Done()
		third := term.Progress("third", "files")
		time.Sleep(3 * time.Second)
		if line, _ := screen.current(); !strings.HasPrefix(line, "third: ") {
			t.Errorf("the line is %q", line)
		}
		third.Done()
	})
}
