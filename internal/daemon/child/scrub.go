package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"iter"

	"strongroom/internal/confine"
	"strongroom/internal/ledger"
	"strongroom/internal/safe"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/scrub"
)

// A ScrubTask asks the child "scrub" to look for damage in a store. The
// ledger's entries follow it on standard input: they come from the safe's
// state, because those in the store are among what is to be checked.
type ScrubTask struct {
	StorePath string             `json:"store_path"`
	Store     safe.StoreID       `json:"store"`
	Keys      []ledger.PublicKey `json:"keys"`    // that may have signed checkpoints
	Entries   int64              `json:"entries"` // how many follow
	Excused   []string           `json:"excused"` // still to be published
	Packs     scrub.Share        `json:"packs"`
	// WithoutLandlock allows the child to go on where the kernel cannot
	// confine it.
	WithoutLandlock bool `json:"without_landlock"`
}

// A ScrubAnswer is a line of the child's output. Exactly one field is set; the
// last line has Done or Failed.
type ScrubAnswer struct {
	Progress *scrub.Progress `json:"progress,omitempty"`
	Finding  *scrub.Finding  `json:"finding,omitempty"`
	Done     *scrub.Progress `json:"done,omitempty"`
	Failed   string          `json:"failed,omitempty"`
}

// Scrub looks for damage in a store. All that it can do with the rest of the
// world is to read the store: it parses what may be anyone's, and what it says
// is looked at again before anything is done about it.
func Scrub(stdin io.Reader, stdout io.Writer) error {
	in := bufio.NewReader(stdin)
	var task ScrubTask
	if err := readTask(in, &task); err != nil {
		return err
	}
	out := json.NewEncoder(stdout)
	report, err := scrubStore(context.Background(), task, in, out)
	if err != nil {
		return errors.Join(err, out.Encode(ScrubAnswer{Failed: err.Error()}))
	}
	for _, f := range report.Findings {
		if err := out.Encode(ScrubAnswer{Finding: &f}); err != nil {
			return err
		}
	}
	return out.Encode(ScrubAnswer{Done: &scrub.Progress{Objects: report.Objects, Bytes: report.Bytes}})
}

func scrubStore(ctx context.Context, task ScrubTask, in *bufio.Reader, out *json.Encoder) (scrub.Report, error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	store, err := dir.Open(task.StorePath)
	if err != nil {
		return scrub.Report{}, err
	}
	defer store.Close() // nothing was written
	_, err = confine.Apply(confine.Rules{Read: []string{task.StorePath}, AllowWithoutLandlock: task.WithoutLandlock})
	if err != nil {
		return scrub.Report{}, fmt.Errorf("confining the scrub: %w", err)
	}
	truth, err := scrub.NewTruth(ctx, task.Store, task.Keys, readEntries(in, task.Entries))
	if err != nil {
		return scrub.Report{}, err
	}
	truth.Excuse(task.Excused...)
	var told scrub.Progress
	return scrub.Check(ctx, store, truth, scrub.Options{Packs: task.Packs, Progress: func(p scrub.Progress) {
		// A bar moves smoothly enough with every 64 MiB or 1,000 objects.
		if p.Bytes-told.Bytes < 64<<20 && p.Objects-told.Objects < 1000 {
			return
		}
		told = p
		if err := out.Encode(ScrubAnswer{Progress: &p}); err != nil {
			cancel(fmt.Errorf("the supervising process is gone: %w", err))
		}
	}})
}

// readEntries yields the entries that follow a task, one a line.
func readEntries(in *bufio.Reader, count int64) iter.Seq2[[]byte, error] {
	return func(yield func([]byte, error) bool) {
		for range count {
			b, err := readLine(in, ledger.MaxEntry)
			if err == io.EOF {
				err = io.ErrUnexpectedEOF
			}
			if !yield(b, err) || err != nil {
				return
			}
		}
	}
}
