package session

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/access/passkey"
	"strongroom/internal/access/passkey/passkeytest"
	"strongroom/internal/safe"
)

var start = time.Date(2026, 11, 21, 2, 0, 0, 0, time.UTC)

// A clock stands still unless it is put forward, or back.
type clock struct {
	mu  sync.Mutex // guards the field below
	now time.Time
}

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func newTable(t testing.TB) (*Table, *clock, passkey.Key) {
	t.Helper()
	c := &clock{now: start}
	return New(c.Now), c, passkeytest.New(t, "safe.test", "https://safe.test").Key(t)
}

func TestBegin(t *testing.T) {
	table, c, key := newTable(t)
	id := table.Begin("ada", key, "https://release.safe.test")
	c.add(time.Minute)
	s, ok := table.Find(id)
	if !ok || s.Person != "ada" || s.Passkey != key || s.Page != "https://release.safe.test" || !s.begun.Equal(start) {
		t.Errorf("Find = %+v, %t", s, ok)
	}
	if other := table.Begin("ada", key, ""); other == id {
		t.Error("two sessions have one id")
	}
	if _, ok := table.Find(id); !ok {
		t.Error("a second session has ended the first")
	}
}

// An id that nobody was given finds nothing, and is none afterwards either.
func TestBroughtAlong(t *testing.T) {
	table, _, key := newTable(t)
	brought := ID{1, 2, 3}
	if _, ok := table.Find(brought); ok {
		t.Fatal("an id that was made up is taken")
	}
	if id := table.Begin("ada", key, ""); id == brought {
		t.Error("an id that was made up is that of a session now")
	}
	if _, ok := table.Find(brought); ok {
		t.Error("an id that was made up is taken after somebody has signed in")
	}
	if _, ok := table.Find(ID{}); ok {
		t.Error("the zero id is taken")
	}
}

// TestEnd steps through time; a session is used at each step.
func TestEnd(t *testing.T) {
	tests := []struct {
		name  string
		steps []time.Duration
		want  bool // at the last step
	}{
		{"just before idle", []time.Duration{Idle - time.Nanosecond}, true},
		{"idle", []time.Duration{Idle}, false},
		{"idle after use", []time.Duration{Idle - time.Second, Idle - time.Second, Idle}, false},
		{"kept in use", []time.Duration{Idle - time.Second, Idle - time.Second, Idle - time.Second}, true},
		{"used until the end", slow(Longest-time.Nanosecond, 10*time.Minute), true},
		{"used beyond the end", slow(Longest, 10*time.Minute), false},
		{"clock was years ahead", []time.Duration{-10 * 365 * 24 * time.Hour}, false},
		{"over stays over", []time.Duration{Idle, -Idle}, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			table, c, key := newTable(t)
			id := table.Begin("ada", key, "")
			var got bool
			for _, step := range tt.steps {
				c.add(step)
				_, got = table.Find(id)
			}
			if got != tt.want {
				t.Errorf("the session is there: %t, want %t", got, tt.want)
			}
		})
	}
}

// slow returns steps of at most that length that add up to d.
func slow(d, step time.Duration) (steps []time.Duration) {
	for ; d > step; d -= step {
		steps = append(steps, step)
	}
	return append(steps, d)
}

func TestSignOut(t *testing.T) {
	table, _, key := newTable(t)
	first, second := table.Begin("ada", key, ""), table.Begin("ada", key, "")
	table.End(first)
	table.End(first)
	table.End(ID{9})
	if _, ok := table.Find(first); ok {
		t.Error("a session goes on after its end")
	}
	if _, ok := table.Find(second); !ok {
		t.Error("another session of the same person has ended with it")
	}
}

// A person with too many sessions loses the one that was not used for longest,
// and nobody else does.
func TestManyOfOnePerson(t *testing.T) {
	table, c, key := newTable(t)
	bob := table.Begin("bob", key, "")
	var ids []ID
	for range maxOfPerson {
		c.add(time.Second)
		ids = append(ids, table.Begin("ada", key, ""))
	}
	c.add(time.Second)
	table.Find(ids[0])
	ids = append(ids, table.Begin("ada", key, ""))
	for i, id := range ids {
		if _, ok := table.Find(id); ok != (i != 1) {
			t.Errorf("session %d of ada is there: %t", i, ok)
		}
	}
	if _, ok := table.Find(bob); !ok {
		t.Error("bob is signed out by ada")
	}
}

func TestManyInAll(t *testing.T) {
	table, c, key := newTable(t)
	var ids []ID
	for i := range maxInAll + 1 {
		c.add(time.Second)
		ids = append(ids, table.Begin(safe.PersonName(fmt.Sprintf("p%d", i)), key, ""))
		if len(table.all) > maxInAll {
			t.Fatalf("%d sessions are remembered", len(table.all))
		}
	}
	// Within the time they took, none was over by itself.
	for i, id := range ids {
		if _, ok := table.Find(id); ok != (i != 0) {
			t.Errorf("session %d is there: %t", i, ok)
		}
	}
	c.add(Longest)
	table.Begin("ada", key, "")
	if len(table.all) != 1 {
		t.Errorf("%d sessions are remembered when all but one are over", len(table.all))
	}
}

// Whoever reads the memory of the table finds no id in it.
func TestOnlyHashes(t *testing.T) {
	table, _, key := newTable(t)
	id := table.Begin("ada", key, "")
	for h := range table.all {
		if bytes.Equal(h[:], id[:]) {
			t.Error("the table has the id itself")
		}
	}
}

func TestParseID(t *testing.T) {
	table, _, key := newTable(t)
	id := table.Begin("ada", key, "")
	good := id.String()
	if got, ok := ParseID(good); !ok || got != id {
		t.Fatalf("ParseID(%q) = %v, %t", good, got, ok)
	}
	for _, bad := range []string{"", good[:42], good + "A", good + "=", good[:42] + "!", " " + good, good[:20] + "\n" + good[20:], strings.Repeat("A", 42) + "B", strings.Repeat("A", 1<<16)} {
		if _, ok := ParseID(bad); ok {
			t.Errorf("ParseID(%.60q) is taken", bad)
		}
	}
}

func FuzzParseID(f *testing.F) {
	f.Add(ID{1}.String())
	f.Add("x")
	f.Fuzz(func(t *testing.T, s string) {
		if id, ok := ParseID(s); ok && id.String() != s {
			t.Errorf("%q is taken for %s", s, id)
		}
	})
}

func TestConcurrently(t *testing.T) {
	table, _, key := newTable(t)
	var wg sync.WaitGroup
	for i := range 8 {
		wg.Go(func() {
			person := safe.PersonName(fmt.Sprintf("p%d", i))
			for range 50 {
				id := table.Begin(person, key, "")
				if s, ok := table.Find(id); !ok || s.Person != person {
					t.Errorf("Find = %+v, %t", s, ok)
				}
				table.End(id)
			}
		})
	}
	wg.Wait()
	if len(table.all) != 0 {
		t.Errorf("%d sessions are left", len(table.all))
	}
}
