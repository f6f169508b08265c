package daemon

import (
	"context"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"strongroom/internal/access"
	"strongroom/internal/access/opening"
	"strongroom/internal/daemon/state"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
)

// Steps at which a serving process kills itself, beside those that the safe
// logs.
const (
	afterRequest = "the request"
	afterReading = "the reading"
)

// suicide kills the process at a step of the safe's.
type suicide struct{ at string }

func (s suicide) Enabled(context.Context, slog.Level) bool { return true }
func (s suicide) WithAttrs([]slog.Attr) slog.Handler       { return s }
func (s suicide) WithGroup(string) slog.Handler            { return s }
func (s suicide) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "step" {
			s.pass(a.Value.String())
		}
		return true
	})
	return nil
}

func (s suicide) pass(step string) {
	if s.at == step {
		syscall.Kill(os.Getpid(), syscall.SIGKILL)
		time.Sleep(time.Minute) // not even a microsecond goes by, as a rule
	}
}

// victimFolder and victimStep tell the test binary to be the victim.
const (
	victimFolder = "STRONGROOM_TEST_VICTIM_FOLDER"
	victimStep   = "STRONGROOM_TEST_VICTIM_STEP"
)

// TestVictim is a serving process that goes through a whole opening, unless it
// is killed on the way.
func TestVictim(t *testing.T) {
	folder := os.Getenv(victimFolder)
	if folder == "" {
		t.Skip("runs for TestServingProcessIsKilled only")
	}
	fate := suicide{os.Getenv(victimStep)}
	h := newHallIn(t, hallConfig(t, folder), slog.New(fate))
	h.found(pair)
	d := h.collect(0)
	stop := h.serve()
	id := h.request("bob", d)
	fate.pass(afterRequest)
	h.must(h.release(h.sign("ada", id)))
	c := h.inside("bob", id)
	h.read(c, "/README")
	f, err := c.OpenFile("/inbox/rehearsal.json", os.O_WRONLY|os.O_CREATE|os.O_EXCL)
	h.must(err)
	_, err = f.Write([]byte("{}\n"))
	h.must(err)
	h.must(f.Close())
	h.must(h.safe.saveCounts(t.Context()))
	fate.pass(afterReading)
	h.pass(time.Second)
	h.must(h.safe.CloseOpening(t.Context(), from, h.says("ada", access.Close{Opening: id, Reason: "done"})))
	stop()
}

// A serving process can be killed at any moment. The next one says so, and
// closes what was open.
func TestServingProcessIsKilled(t *testing.T) {
	for _, c := range []struct {
		step    string
		state   opening.State // after the next start; "" if nothing was asked for
		cause   string
		unknown bool
		records int
	}{
		{"serving", "", "", false, 0},
		{afterRequest, opening.Requested, "", false, 0},
		{"released", opening.Closed, "the safe has stopped without closing it", false, 0},
		{"gate", opening.Closed, "the safe has stopped without closing it", false, 0},
		{afterReading, opening.Closed, "the safe has stopped without closing it", true, 1},
		{"closed", opening.Closed, "done", false, 1},
	} {
		t.Run(c.step, func(t *testing.T) {
			folder := t.TempDir()
			victim := exec.Command(os.Args[0], "-test.run=^TestVictim$")
			victim.Env = append(os.Environ(), victimFolder+"="+folder, victimStep+"="+c.step)
			out, err := victim.CombinedOutput()
			if status, ok := victim.ProcessState.Sys().(syscall.WaitStatus); !ok || !status.Signaled() {
				t.Fatalf("the victim was not killed: %v\n%s", err, out)
			}
			h := &hall{clock: &clock{at: time.Now().UTC().Truncate(time.Second).Add(time.Minute)}, t: t, cfg: hallConfig(t, folder)}
			if h.safe, err = Open(t.Context(), h.cfg, h.options("honest")); err != nil {
				t.Fatal(err)
			}
			defer h.safe.Close()
			for _, e := range all[ledger.OpeningOpened](h) {
				h.shut(e)
			}
			h.serve()()
			if got := all[ledger.SafeStarted](h); len(got) != 2 || got[0].Unclean || !got[1].Unclean {
				t.Errorf("the ledger says of starts %+v", got)
			}
			all, err := h.safe.Openings(t.Context())
			h.must(err)
			if c.state == "" {
				if len(all) != 0 {
					t.Errorf("there are openings: %+v", all)
				}
				h.sound()
				return
			}
			if len(all) != 1 || all[0].State != c.state || all[0].Cause != c.cause || all[0].Gate.IsValid() {
				t.Errorf("got openings %+v, want one that is %s: %s", all, c.state, c.cause)
			}
			if c.state == opening.Closed {
				h.closedOnce(all[0].ID, c.unknown, c.records)
			}
			h.sound()
		})
	}
}

// shut sees that a gate ends with the process that it belongs to.
func (h *hall) shut(e ledger.OpeningOpened) {
	h.t.Helper()
	for range 100 {
		conn, err := net.DialTimeout("tcp", e.Listen.String(), time.Second)
		if err != nil {
			return
		}
		conn.Close()
		time.Sleep(50 * time.Millisecond)
	}
	h.t.Error("the gate outlives the safe")
}

func (h *hall) closedOnce(id safe.OpeningID, unknown bool, records int) {
	h.t.Helper()
	closed := all[ledger.OpeningClosed](h)
	if len(closed) != 1 || closed[0].Opening != id || closed[0].Unknown != unknown {
		h.t.Errorf("the ledger says %+v", closed)
	}
	if unknown && (closed[0].Sessions != 1 || closed[0].Objects != 1) {
		h.t.Errorf("what was known before is %+v", closed[0])
	}
	if got := all[ledger.RecordReceived](h); len(got) != records {
		h.t.Errorf("the ledger says of records %+v", got)
	}
	if records > 0 && !slices.Equal(h.recordsOf(id), []string{"rehearsal.json"}) {
		h.t.Errorf("the records are %q", h.recordsOf(id))
	}
	if _, err := os.Stat(h.safe.inboxPath(id)); err == nil {
		h.t.Error("the inbox is still there")
	}
}

func TestOneProcessServes(t *testing.T) {
	h := newFoundedHall(t, pair)
	stop := h.serve()
	other, err := Open(t.Context(), h.cfg, h.options("honest"))
	h.must(err)
	defer other.Close()
	if err := other.Serve(t.Context(), nil); err == nil || !strings.Contains(err.Error(), ErrServed.Error()) {
		t.Errorf("got %v, want that it is served already", err)
	}
	// What is stopped as it should be closes what is open.
	d := h.collect(0)
	id := h.open(d)
	stop()
	if got := h.closed(id); got.Cause != "the safe was stopped" || got.Unknown {
		t.Errorf("the ledger says %+v", got)
	}
	h.serve()
	if got := last[ledger.SafeStarted](h); got.Unclean {
		t.Error("the safe says that it crashed")
	}
}

// A suspension that another process has recorded shuts the gate, too.
func TestServingProcessSeesWhatOthersDo(t *testing.T) {
	h := newFoundedHall(t, pair)
	h.serve()
	d := h.collect(0)
	id := h.open(d)
	other, err := Open(t.Context(), h.cfg, h.options("honest"))
	h.must(err)
	defer other.Close()
	h.pass(time.Second)
	signed := h.says("bob", access.Suspend{Person: "ada", Reason: "a test"})
	h.must(other.state.Update(t.Context(), func(tx *state.Tx) error {
		sit, err := other.situation(tx.View())
		if err != nil {
			return err
		}
		n, err := tx.Record(sit.now, "bob", ledger.PersonSuspended{Person: "ada", Signed: signed})
		if err != nil {
			return err
		}
		return tx.Suspend(access.Suspension{Entry: n, Person: "ada"})
	}))
	start := time.Now()
	h.closed(id)
	if took := time.Since(start); took > atOnce {
		t.Errorf("it took %s", took)
	}
}
