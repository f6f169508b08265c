package store

import (
	"context"

	"strongroom/internal/safe"
	"strongroom/internal/store/manifest"
)

// A Span is a span for tests to look at.
type Span struct {
	Run    safe.RunID
	Pack   safe.Digest
	Chunks []int
	span   span
}

func (s *Span) Size() int64 { return s.span.size() }

// Spans cuts all passages of a plan into the longest spans.
func Spans(chunks []manifest.Chunk) []Span {
	var all []Span
	for _, w := range Plan(chunks) {
		for _, s := range w.spans(MaxSpan) {
			all = append(all, Span{s.run, s.pack, s.chunks, s})
		}
	}
	return all
}

// Fetch is what readers of content do ahead.
func (s *Snapshot) Fetch(ctx context.Context, span Span) (release func()) {
	return s.packs.fetch(ctx, span.span)
}
