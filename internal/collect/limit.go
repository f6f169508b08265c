package collect

import (
	"context"
	"fmt"
	"io"
	"time"
)

// Limits bound how a collection goes on; how much it takes is for the source
// to bound. Zero values are no limit.
type Limits struct {
	Duration time.Duration // longer, and the collection ends and is not complete
	Rate     int64         // bytes of content a second; more is slowed down
}

// A limitError says that a collection took too long.
type limitError struct{ limit time.Duration }

func (e *limitError) Error() string {
	return fmt.Sprintf("it took longer than the %s that its limit allows", e.limit)
}

// A meter counts what is read, and slows it down to the rate.
type meter struct {
	ctx   context.Context // ends a wait for the rate
	rate  int64
	began time.Time
	read  int64
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
	if waitErr := r.meter.wait(); waitErr != nil {
		return n, waitErr
	}
	return n, err
}

// wait sleeps until what was read is no more than the rate allows.
func (m *meter) wait() error {
	if m.rate <= 0 {
		return nil
	}
	due := time.Duration(float64(m.read) / float64(m.rate) * float64(time.Second))
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
