package sourcetest

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/safe"
	"strongroom/internal/source"
)

// A StreamKind is a kind of source under test that yields one entry of type
// stream.
type StreamKind struct {
	// New makes a source whose stream is content, which is not empty, and ends
	// well.
	New func(t *testing.T, content string, limits source.Limits) source.Source
	// Endless makes a source whose stream does not end.
	Endless func(t *testing.T, limits source.Limits) source.Source
	// Silent makes a source whose stream never begins.
	Silent func(t *testing.T) source.Source
}

// RunStream runs the suite of streams.
func RunStream(t *testing.T, kind StreamKind) {
	t.Run("sizes", func(t *testing.T) { testStreamSizes(t, kind) })
	t.Run("limits", func(t *testing.T) { testStreamLimits(t, kind) })
	t.Run("early stop", func(t *testing.T) { testStreamEarlyStop(t, kind) })
	t.Run("cancel", func(t *testing.T) { testStreamCancel(t, kind) })
}

func testStreamSizes(t *testing.T, kind StreamKind) {
	for _, size := range []int{1, 32<<10 - 1, 32 << 10, 32<<10 + 1, 3 << 20} {
		want := strings.Repeat("0123456789\x00\xff\n", size/13+1)[:size]
		began := time.Now().Add(-time.Second)
		s := kind.New(t, want, source.Limits{})
		got := pull(t, s, func(e safe.Entry) bool {
			t.Errorf("asked whether %q is needed, which is for files", e.Path)
			return false
		})
		if got.err != nil || len(got.problems) > 0 || len(got.entries) != 1 {
			t.Fatalf("%d bytes: error %v, problems %v, entries %v", size, got.err, got.problems, got.entries)
		}
		e := got.entries[0]
		if e.MTime.Before(began) || e.MTime.After(time.Now()) {
			t.Errorf("it is from %v, which is not when it was pulled", e.MTime)
		}
		if diff := cmp.Diff(safe.Entry{Path: e.Path, Type: safe.Stream, Mode: 0o600, MTime: e.MTime}, e); diff != "" {
			t.Errorf("entry (-want +got):\n%s", diff)
		}
		if got.contents[e.Path] != want {
			t.Errorf("%d bytes that are not those of the stream of %d", len(got.contents[e.Path]), size)
		}
		if m := s.Matches(); len(m) > 0 {
			t.Errorf("matches %v, and there are no lines", m)
		}
	}
}

// testStreamLimits: what came before the limit is kept, by a collection that is
// not complete.
func testStreamLimits(t *testing.T, kind StreamKind) {
	content := strings.Repeat("x", 100_000)
	for _, tt := range []struct {
		name  string
		s     source.Source
		limit int64 // 0 if it is not reached
	}{
		{"as long as the limit", kind.New(t, content, source.Limits{Bytes: 100_000}), 0},
		{"a byte too long", kind.New(t, content, source.Limits{Bytes: 99_999}), 99_999},
		{"endless", kind.Endless(t, source.Limits{Bytes: 1_000_001}), 1_000_001},
	} {
		got := pull(t, tt.s, nil)
		var limit *source.LimitError
		if errors.As(got.err, &limit) != (tt.limit > 0) || limit == nil && got.err != nil {
			t.Errorf("%s: error %v", tt.name, got.err)
		}
		for path, content := range got.contents {
			if tt.limit > 0 && int64(len(content)) != tt.limit {
				t.Errorf("%s: %q has %d bytes", tt.name, path, len(content))
			}
		}
		if len(got.contents) != 1 {
			t.Errorf("%s: %d entries", tt.name, len(got.contents))
		}
	}
}

func testStreamEarlyStop(t *testing.T, kind StreamKind) {
	for _, read := range []int64{0, 1, 5 << 20} {
		goroutines, files := resources()
		for item, err := range kind.Endless(t, source.Limits{}).Pull(t.Context(), source.Request{}) {
			must(t, err)
			_, err := io.CopyN(io.Discard, item.Content, read)
			must(t, err)
			must(t, item.Content.Close())
			break
		}
		checkResources(t, goroutines, files)
	}
	// One that is not read must not pass for a whole one.
	for _, err := range kind.Endless(t, source.Limits{}).Pull(t.Context(), source.Request{}) {
		if err != nil {
			return
		}
	}
	t.Error("a stream that was not read ended well")
}

func testStreamCancel(t *testing.T, kind StreamKind) {
	for _, tt := range []struct {
		name  string
		s     source.Source
		after time.Duration
	}{
		{"before it begins", kind.Endless(t, source.Limits{}), 0},
		{"amid", kind.Endless(t, source.Limits{}), 500 * time.Millisecond},
		{"silent", kind.Silent(t), 500 * time.Millisecond},
	} {
		goroutines, files := resources()
		ctx, cancel := context.WithTimeout(t.Context(), tt.after)
		var last error
		for item, err := range tt.s.Pull(ctx, source.Request{}) {
			if last = err; err == nil {
				_, err := io.Copy(io.Discard, item.Content)
				must(t, err)
			}
		}
		deadline, _ := ctx.Deadline()
		if took := time.Since(deadline); !errors.Is(last, context.DeadlineExceeded) || took > time.Second {
			t.Errorf("%s: ended with %v, %v after it was cancelled", tt.name, last, took)
		}
		cancel()
		checkResources(t, goroutines, files)
	}
}
