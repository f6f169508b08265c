package ui

import (
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	// What takes less needs no progress.
	progressAfter = 2 * time.Second
	// Five times a second looks alive and costs nothing.
	progressEvery = 200 * time.Millisecond
	// The rate is that of the last ten seconds: it follows a change soon and
	// does not jump with every file.
	rateSamples = int(10 * time.Second / progressEvery)
)

// A Progress is a line at the bottom of the terminal that tells how far
// something is. It appears after two seconds, makes way for other output, and
// is gone in the end. Without a terminal, with Quiet and in JSON mode there
// is none. All its methods may be called concurrently.
type Progress struct {
	t     *Terminal
	label string
	noun  string

	count atomic.Int64
	bytes atomic.Int64
	total atomic.Int64 // expected bytes; 0 if not known

	begun time.Time
	stop  func() // ends loop and waits for it; repeatable

	shown   bool     // guarded by t.mu
	samples []sample // of loop alone, oldest first
}

// A sample is how far something was at a time.
type sample struct {
	at    time.Time
	bytes int64
}

// Progress begins to show how far something is. Noun is what Add counts, such
// as "files". The caller must call Done. If another Progress is under way,
// the new one is not shown.
func (t *Terminal) Progress(label, noun string) *Progress {
	p := &Progress{t: t, label: Clean(label), noun: noun, begun: time.Now(), stop: func() {}}
	if t.opts.JSON || t.opts.Quiet || t.err.columns == nil {
		return p
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.live != nil {
		return p
	}
	t.live = p
	p.samples = []sample{{p.begun, 0}}
	quit := make(chan struct{}) // closed by stop
	var loop sync.WaitGroup
	loop.Go(func() { p.loop(quit) })
	p.stop = sync.OnceFunc(func() {
		close(quit)
		loop.Wait()
		t.mu.Lock()
		defer t.mu.Unlock()
		p.eraseLocked()
		t.live = nil
	})
	return p
}

// Add tells that so many more things with so many bytes are done.
func (p *Progress) Add(count, bytes int64) {
	p.count.Add(count)
	p.bytes.Add(bytes)
}

// Expect tells how many bytes it will be in all, as far as that is known.
func (p *Progress) Expect(bytes int64) { p.total.Store(bytes) }

// Done removes the line. It may be called again.
func (p *Progress) Done() { p.stop() }

func (p *Progress) loop(quit <-chan struct{}) {
	tick := time.NewTicker(progressEvery)
	defer tick.Stop()
	for {
		select {
		case <-quit:
			return
		case now := <-tick.C:
			p.samples = append(p.samples, sample{now, p.bytes.Load()})
			if extra := len(p.samples) - rateSamples - 1; extra > 0 {
				p.samples = p.samples[extra:]
			}
			if now.Sub(p.begun) >= progressAfter {
				p.draw(p.line(now))
			}
		}
	}
}

// line tells how far it is.
func (p *Progress) line(now time.Time) string {
	first, last := p.samples[0], p.samples[len(p.samples)-1]
	rate := float64(last.bytes-first.bytes) / last.at.Sub(first.at).Seconds()
	total := p.total.Load()

	var s strings.Builder
	fmt.Fprintf(&s, "%s: %s", p.label, Size(last.bytes))
	if total >= last.bytes && total > 0 {
		fmt.Fprintf(&s, " of %s, %d %%", Size(total), int64(100*float64(last.bytes)/float64(total)))
	}
	// What people wait for comes before what a narrow terminal cuts off.
	left := float64(total-last.bytes) / rate // not a number, or endless, if the rate is 0
	if total >= last.bytes && left < (100*time.Hour).Seconds() {
		fmt.Fprintf(&s, ", %s left", Duration(time.Duration(left*float64(time.Second)).Round(time.Second)))
	} else {
		fmt.Fprintf(&s, ", %s so far", Duration(now.Sub(p.begun)))
	}
	fmt.Fprintf(&s, ", %s/s", Size(int64(rate)))
	if n := p.count.Load(); n > 0 {
		fmt.Fprintf(&s, ", %s %s", Count(n), p.noun)
	}
	return s.String()
}

// eraseLine moves to the first column and clears the line.
const eraseLine = "\r\x1b[K"

func (p *Progress) draw(line string) {
	p.t.mu.Lock()
	defer p.t.mu.Unlock()
	// A line as wide as the terminal would wrap on some.
	io.WriteString(p.t.err, eraseLine+cut(line, p.t.err.columns()-1)) // decoration: a failure does not matter
	p.shown = true
}

// eraseLocked makes way for other output; the next tick draws the line again.
// A nil p has none. p.t.mu must be held.
func (p *Progress) eraseLocked() {
	if p != nil && p.shown {
		io.WriteString(p.t.err, eraseLine)
		p.shown = false
	}
}
