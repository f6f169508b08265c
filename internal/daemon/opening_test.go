package daemon

import (
	"database/sql"
	"errors"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/opening"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
)

const pair = "ada:keykeeper bob:operator"

// The whole story: somebody asks, somebody else releases, the first reads, and
// the door is shut.
func TestTwoPeopleOpenTheSafe(t *testing.T) {
	h := newFoundedHall(t, pair)
	stop := h.serve()
	d, other := h.collect(0), h.collect(1)
	id := h.open(d)
	c := h.inside("bob", id)
	if got := h.read(c, "/"+layout.Snapshot(d.Run)); safe.DigestOf(got) != safe.DigestOf(d.Encode()) {
		t.Errorf("the gate shows another description: %s", got)
	}
	if got := h.read(c, "/"+layout.Root(d.Run, d.Root)); safe.DigestOf(got) != d.Root {
		t.Error("the gate shows another root")
	}
	inner := h.read(c, "/"+layout.Inner(d.Run))
	if _, err := seal.OpenInner(h.inner, inner, seal.Want{Store: h.safe.ID(), Run: d.Run}); err != nil {
		t.Errorf("the inner file: %v", err)
	}
	if _, err := c.Open("/" + layout.Snapshot(other.Run)); err == nil {
		t.Error("the gate shows a snapshot that nobody released")
	}
	f, err := c.OpenFile("/inbox/rehearsal.json", os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	h.must(err)
	if _, err := f.Write([]byte("{}\n")); err != nil {
		t.Error(err)
	}
	h.must(f.Close())
	h.must(c.Close())

	h.pass(time.Second)
	h.must(h.safe.CloseOpening(t.Context(), from, h.says("bob", access.Close{Opening: id, Reason: "done"})))
	closed := last[ledger.OpeningClosed](h)
	if closed.Sessions != 1 || closed.Objects != 3 || closed.Bytes == 0 || closed.Unknown || closed.Cause != "done" {
		t.Errorf("the ledger says %+v", closed)
	}
	if got := last[ledger.RecordReceived](h); got.Name != "rehearsal.json" || got.Digest != safe.DigestOf([]byte("{}\n")) {
		t.Errorf("the ledger says of the record %+v", got)
	}
	if got := h.recordsOf(id); len(got) != 1 || got[0] != "rehearsal.json" {
		t.Errorf("the records are %q", got)
	}
	if _, err := h.enter("bob", id); err == nil {
		t.Error("the gate is still open")
	}
	refused := last[ledger.AccessRefused](h)
	if refused.What != "gate" || !strings.Contains(string(refused.Reason), layout.Snapshot(other.Run)) {
		t.Errorf("the ledger says that was refused: %+v", refused)
	}
	stop()
	if got := last[ledger.SafeStarted](h); got.Unclean {
		t.Error("the safe says that it crashed")
	}
	last[ledger.SafeStopped](h)
	h.sound()
}

func TestReleasesThatAreDenied(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper")
	d := h.collect(0)
	id := h.request("bob", d)
	for name, c := range map[string]struct {
		spoil func(h *hall, r *released)
		words string
	}{
		"another nonce": {func(h *hall, r *released) {
			var err error
			r.release, err = opening.Sign("ada", opening.NewNonce(), []byte(r.release.Grant), r.release.Request, h.people["ada"].Signer)
			h.must(err)
		}, "nonce is none"},
		"altered grant": {func(h *hall, r *released) {
			g, err := opening.ParseGrant([]byte(r.release.Grant))
			h.must(err)
			g.Until = g.Until.Add(-time.Hour)
			r.release, err = opening.Sign("ada", r.release.Nonce, g.Encode(), r.release.Request, h.people["ada"].Signer)
			h.must(err)
		}, "not the grant that was given out"},
		"another's signature": {func(h *hall, r *released) {
			var err error
			r.release, err = opening.Sign("ada", r.release.Nonce, []byte(r.release.Grant), r.release.Request, h.people["bob"].Signer)
			h.must(err)
		}, "does not bear the signature"},
		"another keykeeper": {func(h *hall, r *released) {
			var err error
			r.release, err = opening.Sign("eve", r.release.Nonce, []byte(r.release.Grant), r.release.Request, h.people["eve"].Signer)
			h.must(err)
		}, "nonce was given to ada"},
		"too late":        {func(h *hall, r *released) { h.pass(16 * time.Minute) }, "nonce is none"},
		"no inner files":  {func(h *hall, r *released) { r.inner = nil }, "inner files of 0 runs"},
		"one too many":    {func(h *hall, r *released) { r.inner = append(r.inner, r.inner[0]) }, "inner files of 2 runs"},
		"not an age file": {func(h *hall, r *released) { r.inner[0].File = []byte("x") }, "is none"},
		"a large file":    {func(h *hall, r *released) { r.inner[0].File = append(r.inner[0].File, make([]byte, maxInner)...) }, "is none"},
		"of another run":  {func(h *hall, r *released) { r.inner[0].Run = safe.NewRunID(h.now()) }, "inner files of 1 runs"},
		"another request": {func(h *hall, r *released) { r.release.Request = h.says("bob", access.Close{}) }, "another request"},
		"another version": {func(h *hall, r *released) { r.release.Version = 2 }, "does not bear the signature"},
	} {
		t.Run(name, func(t *testing.T) {
			h.pass(time.Hour) // or else there are too many refusals to tell
			r := h.sign("ada", id)
			good := r
			good.inner = slices.Clone(r.inner)
			c.spoil(h, &r)
			h.denied(h.release(r), c.words)
			if got := h.opening(id); got.State != opening.Requested || len(all[ledger.OpeningReleased](h)) > 0 {
				t.Errorf("the opening is %s", got.State)
			}
			// A nonce that came with something else is void.
			if name != "another nonce" {
				h.denied(h.release(good), "nonce is none")
			}
		})
	}
	r := h.sign("ada", id)
	h.must(h.suspend("eve", "ada"))
	h.denied(h.release(r), "suspended")
	r = h.sign("eve", id)
	h.must(h.suspend("eve", "bob")) // and the request has lost its ground
	if got := h.opening(id).State; h.release(r) == nil || got != opening.Expired {
		t.Errorf("the opening is %s", got)
	}
}

// What a keykeeper has signed once is good once, also while the opening could
// be prolonged.
func TestReleaseIsGoodOnce(t *testing.T) {
	h := newFoundedHall(t, pair)
	d := h.collect(0)
	id := h.request("bob", d)
	r := h.sign("ada", id)
	h.must(h.release(r))
	h.denied(h.release(r), "nonce is none")
	if got := h.opening(id).State; got != opening.Open {
		t.Errorf("the opening is %s", got)
	}
}

func TestRequestsThatAreDenied(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper")
	d := h.collect(0)
	good := h.asks("bob", d)
	home := good.Address
	h.denied(h.safe.Request(t.Context(), from, h.says("bob", good)), "comes from 127.0.0.3")
	elsewhere := good
	elsewhere.Address = from
	h.denied(h.safe.Request(t.Context(), from, h.says("bob", elsewhere)), "is no address of bob")
	h.denied(h.safe.Request(t.Context(), home, h.says("ada", good)), "is no operator")
	stolen := h.says("bob", good)
	stolen.Signature = h.says("ada", good).Signature
	h.denied(h.safe.Request(t.Context(), home, stolen), "not signed by the person")
	old := h.says("bob", good)
	h.pass(16 * time.Minute)
	h.denied(h.safe.Request(t.Context(), home, old), "not signed just now")
	signed := h.says("bob", good)
	h.must(h.safe.Request(t.Context(), home, signed))
	h.denied(h.safe.Request(t.Context(), home, signed), "used already")
	h.pass(time.Second)
	h.denied(h.safe.Request(t.Context(), home, h.says("bob", good)), "good once")
	if err := h.safe.Request(t.Context(), home, h.says("bob", h.asks("bob", safe.Snapshot{Run: safe.NewRunID(h.now())}))); err == nil {
		t.Error("a snapshot that is none was asked for")
	}
	ahead := h.asks("bob", d)
	ahead.Known = 1000
	if err := h.safe.Request(t.Context(), home, h.says("bob", ahead)); err == nil || !strings.Contains(err.Error(), "turned back") {
		t.Errorf("a ledger that is shorter than what is known: %v", err)
	}
	if got := len(all[ledger.OpeningRequested](h)); got != 1 {
		t.Errorf("the ledger has %d requests", got)
	}
}

func TestWhoMayReleaseAndClose(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper carl:operator olga:officer tim:auditor")
	d := h.collect(0)
	id := h.request("bob", d)
	for _, name := range []safe.PersonName{"carl", "olga", "tim", "bob"} {
		_, err := h.safe.Grant(t.Context(), from, name, id, 0)
		h.denied(err, "is no keykeeper")
	}
	_, err := h.safe.Envelopes(t.Context(), from, "carl", id, safe.RunID{})
	h.denied(err, "is no keykeeper")
	h.denied(h.safe.Admit(t.Context(), h.people["bob"].Addresses[0], "ada"), "an address of the operator")
	h.must(h.safe.Admit(t.Context(), from, "ada"))
	h.denied(h.safe.Refuse(t.Context(), from, h.says("tim", access.Refuse{Opening: id})), "is no keykeeper")
	h.denied(h.safe.Withdraw(t.Context(), from, h.says("carl", access.Withdraw{Opening: id})), "bob has asked")

	h.must(h.release(h.sign("eve", id)))
	for _, name := range []safe.PersonName{"carl", "tim"} {
		h.denied(h.safe.CloseOpening(t.Context(), from, h.says(name, access.Close{Opening: id})), "neither the operator")
	}
	h.must(h.safe.CloseOpening(t.Context(), from, h.says("olga", access.Close{Opening: id, Reason: "enough"})))
	if got := h.closed(id); got.Cause != "enough" {
		t.Errorf("the ledger says %+v", got)
	}

	second, third := h.request("bob", d), h.request("carl", d)
	h.must(h.safe.Refuse(t.Context(), from, h.says("ada", access.Refuse{Opening: second, Reason: "no"})))
	h.must(h.safe.Withdraw(t.Context(), from, h.says("carl", access.Withdraw{Opening: third, Reason: "found it"})))
	if a, b := h.opening(second).State, h.opening(third).State; a != opening.Refused || b != opening.Withdrawn {
		t.Errorf("the openings are %s and %s", a, b)
	}
	h.pass(time.Second)
	if err := h.safe.Refuse(t.Context(), from, h.says("ada", access.Refuse{Opening: third})); err == nil {
		t.Error("what was withdrawn was refused")
	}
	h.sound()
}

// A grant names runs of the snapshots' own sources, and a description that the
// ledger has.
func TestDescriptionThatIsNotInTheLedger(t *testing.T) {
	h := newFoundedHall(t, pair)
	d := h.collect(0)
	id := h.request("bob", d)
	r := h.sign("ada", id)
	forged := d
	forged.Entries++
	if _, entry, err := h.safe.State().View(t.Context()).Kept(d.Run); err != nil || keptAs(entry, d) != nil || keptAs(entry, forged) == nil {
		t.Errorf("a description that was altered is taken for that of the ledger (%v)", err)
	}
	g, err := opening.ParseGrant([]byte(r.release.Grant))
	h.must(err)
	other := h.collect(1)
	g.Runs = append(g.Runs, other.Run)
	by, _, err := h.roster().Verify(r.release.Request)
	h.must(err)
	if err := g.Check(by, g.Key, opening.Circumstances{Roster: h.roster(), Now: h.now(), Descriptions: []safe.Snapshot{d}}); err == nil {
		t.Error("a grant with a run of another source was accepted")
	}
}

func TestSuspensionShutsTheGateAtOnce(t *testing.T) {
	for _, whom := range []safe.PersonName{"ada", "bob"} {
		h := newFoundedHall(t, pair+" tim:auditor")
		d := h.collect(0)
		id := h.open(d)
		c := h.inside("bob", id)
		start := time.Now()
		h.must(h.suspend("tim", whom))
		if took := time.Since(start); took > atOnce {
			t.Errorf("it took %s", took)
		}
		if _, err := c.ReadDir("/"); err == nil {
			t.Error("the session goes on")
		}
		if got := h.closed(id); !strings.Contains(string(got.Cause), string(whom)) || got.Sessions != 1 {
			t.Errorf("the ledger says %+v", got)
		}
	}
}

// TestUnreadableReleaseShutsTheGate: an opening of which nobody can tell any more
// who has released it is closed, whatever has become of the release.
func TestUnreadableReleaseShutsTheGate(t *testing.T) {
	h := newFoundedHall(t, pair)
	id := h.open(h.collect(0))
	v := h.safe.state.View(t.Context())
	sit, err := h.safe.situation(v)
	h.must(err)
	o, _, err := v.Opening(id)
	h.must(err)
	if cause, err := sit.groundless(v, o); cause != "" || err != nil {
		t.Fatalf("as it is: %q, %v", cause, err)
	}
	o.Release = []byte("{}\n")
	if cause, err := sit.groundless(v, o); !strings.Contains(cause, "cannot be read") || err != nil {
		t.Errorf("%q, %v", cause, err)
	}
}

func TestOpeningEndsWithItsTime(t *testing.T) {
	h := newFoundedHall(t, pair)
	d := h.collect(0)
	id := h.open(d)
	first := h.opening(id)
	h.pass(3 * time.Hour)
	h.tick()
	// It is prolonged by a release of the same scope.
	h.must(h.release(h.sign("ada", id)))
	prolonged := h.opening(id)
	if !prolonged.Until.After(first.Until) || prolonged.Gate.Port() != first.Gate.Port() {
		t.Errorf("it was open until %s at %s, and is until %s at %s", first.Until, first.Gate, prolonged.Until, prolonged.Gate)
	}
	h.read(h.inside("bob", id), "/README")
	if got := all[ledger.OpeningReleased](h); len(got) != 2 || got[0].Release == got[1].Release {
		t.Errorf("the ledger has releases %+v", got)
	}
	h.pass(5 * time.Hour)
	h.tick()
	if got := h.closed(id); got.Cause != overtime || got.Sessions != 1 {
		t.Errorf("the ledger says %+v", got)
	}
	if _, err := h.safe.Grant(t.Context(), from, "ada", id, 0); err == nil {
		t.Error("what is over can be released again")
	}
	h.sound()
}

func TestOneOpeningAtATime(t *testing.T) {
	h := newFoundedHall(t, pair)
	d := h.collect(0)
	second := h.request("bob", d)
	waiting := h.sign("ada", second)
	h.open(d)
	if _, err := h.safe.Grant(t.Context(), from, "ada", second, 0); err == nil {
		t.Error("a second one is granted")
	}
	if err := h.release(waiting); err == nil {
		t.Error("a second one is open")
	}
	if got := h.opening(second).State; got != opening.Requested {
		t.Errorf("the second is %s", got)
	}
}

func TestRequestsExpire(t *testing.T) {
	h := newFoundedHall(t, pair)
	d := h.collect(0)
	id := h.request("bob", d)
	h.pass(25 * time.Hour)
	h.tick()
	if got := h.opening(id).State; got != opening.Expired || last[ledger.OpeningExpired](h).Opening != id {
		t.Errorf("the opening is %s", got)
	}
}

func TestGateThatDoesNotOpen(t *testing.T) {
	h := newFoundedHall(t, pair)
	d := h.collect(0)
	id := h.request("bob", d)
	r := h.sign("ada", id)
	h.safe.opts = h.options("no gate")
	if err := h.release(r); err == nil {
		t.Error("no error")
	}
	if got := h.closed(id); !strings.Contains(string(got.Cause), "the port is taken") || got.Unknown {
		t.Errorf("the ledger says %+v", got)
	}
	h.safe.opts = h.options("honest")
	h.open(d) // nothing is in the way
}

func TestGateThatCrashes(t *testing.T) {
	h := newFoundedHall(t, pair)
	d := h.collect(0)
	id := h.open(d)
	h.read(h.inside("bob", id), "/README")
	h.safe.callers.opening.Lock()
	h.must(h.safe.callers.door.cmd.Process.Kill())
	h.safe.callers.opening.Unlock()
	if got := h.closed(id); !got.Unknown || got.Sessions != 1 {
		t.Errorf("the ledger says %+v", got)
	}
	h.sound()
}

// A disk that is full must not keep the gate open: it is shut, and once there
// is room again the ledger says who has shut it.
func TestGateShutsThoughNothingCanBeRecorded(t *testing.T) {
	for name, table := range map[string]string{"at once": "act", "later": "entry"} {
		for _, how := range []string{"close", "suspend", "time"} {
			t.Run(how+" fails "+name, func(t *testing.T) {
				h := newFoundedHall(t, pair+" tim:auditor")
				id := h.open(h.collect(0))
				c := h.inside("bob", id)
				free := h.fill(table)
				h.pass(time.Second)
				var err error
				switch how {
				case "close":
					err = h.safe.CloseOpening(t.Context(), from, h.says("ada", access.Close{Opening: id, Reason: "enough"}))
				case "suspend":
					err = h.suspend("tim", "bob")
				case "time":
					h.pass(5 * time.Hour)
					err = h.safe.Tick(t.Context())
				}
				if _, readErr := c.ReadDir("/"); readErr == nil {
					t.Error("the session goes on")
				}
				if name == "later" && err == nil {
					t.Error("it is not told that it could not be recorded")
				}
				if _, err := h.enter("bob", id); err == nil {
					t.Error("the gate is open still")
				}
				free()
				h.tick()
				h.closed(id)
				if closed := all[ledger.OpeningClosed](h); len(closed) != 1 || closed[0].Sessions != 1 || closed[0].Unknown || how == "close" && closed[0].Signed == (ledger.Signed{}) {
					t.Errorf("the ledger says %+v", closed)
				}
			})
		}
	}
}

// fill makes that nothing can be added to a table of the state until the
// function is called that it returns.
func (h *hall) fill(table string) (free func()) {
	h.t.Helper()
	db, err := sql.Open("sqlite", statePath(h.cfg))
	h.must(err)
	h.t.Cleanup(func() { db.Close() })
	_, err = db.Exec("CREATE TRIGGER full BEFORE INSERT ON " + table + " BEGIN SELECT RAISE(ABORT, 'the disk is full'); END")
	h.must(err)
	return func() {
		h.t.Helper()
		_, err := db.Exec("DROP TRIGGER full")
		h.must(err)
	}
}

// However releases, a close and a suspension come together: there is one gate
// at most, none after the suspension, and the ledger has closed what it opened.
func TestAllAtOnce(t *testing.T) {
	h := newFoundedHall(t, pair+" eve:keykeeper tim:auditor")
	id := h.request("bob", h.collect(0))
	var acts []func() error
	for _, name := range []safe.PersonName{"ada", "eve", "ada"} {
		r := h.sign(name, id)
		acts = append(acts, func() error { return h.safe.Release(t.Context(), from, r.release, r.inner) })
	}
	shut := h.says("eve", access.Close{Opening: id, Reason: "enough"})
	acts = append(acts, func() error { return h.safe.CloseOpening(t.Context(), from, shut) })
	stop := h.says("tim", access.Suspend{Person: "bob", Reason: "a test"})
	acts = append(acts, func() error { return h.safe.Suspend(t.Context(), from, stop) })
	var wg sync.WaitGroup
	for _, act := range acts {
		wg.Go(func() {
			if err := act(); err != nil && !isDenied(err) && !errors.Is(err, opening.ErrState) {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := h.opening(id).State; !got.Over() {
		t.Errorf("the opening of somebody who is suspended is %s", got)
	}
	if h.safe.callers.door != nil {
		t.Error("there is a gate")
	}
	if opened, closed := len(all[ledger.OpeningOpened](h)), len(all[ledger.OpeningClosed](h)); closed > 1 || opened > 0 && closed == 0 {
		t.Errorf("the ledger has opened it %d times and closed it %d times", opened, closed)
	}
	// If the suspension was faster, eve's statement is used up, and the ledger
	// knows nothing of it.
	h.strange = !slices.ContainsFunc(all[ledger.OpeningClosed](h), func(c ledger.OpeningClosed) bool { return c.Signed == shut })
	h.sound()
}
