package collect

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Limits bound a collection, against a source that sends without end. What
// goes beyond one ends the pulling, and the collection is not complete. Zero
// values are no limit.
type Limits struct {
	Bytes    int64 // of content that is read
	Entries  int64
	Duration time.Duration
	Rate     int64 // bytes a second; more is slowed down, not refused
}

// A limitError says which limit was reached.
type limitError struct{ what string }

func (e *limitError) Error() string {
	return fmt.Sprintf("the source's limit of %s was reached", e.what)
}

// A meter counts what is read against the limits.
type meter struct {
	ctx    context.Context // ends a wait for the rate
	limits Limits
	began  time.Time
	read   int64
}

// reader returns src, counted.
func (m *meter) reader(src io.Reader) io.Reader { return &meteredReader{meter: m, src: src} }

type meteredReader struct {
	meter *meter
	src   io.Reader
}

func (r *meteredReader) Read(p []byte) (int, error) {
	n, err := r.src.Read(p)
	r.meter.read += int64(n)
	if limit := r.meter.limits.Bytes; limit > 0 && r.meter.read > limit {
		return 0, &limitError{fmt.Sprintf("%d bytes", limit)}
	}
	if waitErr := r.meter.wait(); waitErr != nil {
		return n, waitErr
	}
	return n, err
}

// wait sleeps until what was read is no more than the rate allows.
func (m *meter) wait() error {
	if m.limits.Rate <= 0 {
		return nil
	}
	due := time.Duration(float64(m.read) / float64(m.limits.Rate) * float64(time.Second))
	ahead := due - time.Since(m.began)
	if ahead <= 0 {
		return nil
	}
	select {
	case <-time.After(ahead):
		return nil
	case <-m.ctx.Done():
		return context.Cause(m.ctx)
	}
}
