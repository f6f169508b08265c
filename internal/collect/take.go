package collect

import (
	"context"
	"errors"
	"fmt"
	"io"

	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/store/intake"
)

// take takes one entry in. sourceErr is a failure of the source that ends the
// pulling, err one of the safe.
func (c *collector) take(ctx context.Context, item source.Item) (sourceErr, err error) {
	if item.Content != nil {
		defer item.Content.Close() // nothing was written
	}
	l := listing{entry: item.Entry}
	hasContent := item.Type == safe.File || item.Type == safe.Stream
	if !hasContent {
		l.entry.Size = 0
	}
	// The source promised as much; what it yields comes from production, and
	// one entry that no reader takes would spoil the snapshot.
	if err := c.sequence.Check(l.entry); err != nil {
		c.report(source.Problem{Kind: source.Invalid, Path: item.Path, Err: err})
		return nil, nil
	}
	switch {
	case !hasContent:
	case item.Content == nil:
		before, same := c.decided(item.Path)
		if !same {
			return errors.New("the source yields a file without its content, which was needed"), nil
		}
		l.chunks = before.Chunks
	default:
		problem, sourceErr, err := c.read(ctx, item, &l)
		if err != nil || sourceErr != nil {
			return sourceErr, err
		}
		if problem != nil {
			c.report(*problem)
			return nil, nil
		}
	}
	c.waiting = append(c.waiting, l)
	c.weight += l.weight()
	c.progress.Entries++
	c.progress.Bytes += l.entry.Size
	return nil, nil
}

// read reads the content of an item into the listing. After an error of the
// source what came before it stays in c.reading.
func (c *collector) read(ctx context.Context, item source.Item, l *listing) (problem *source.Problem, sourceErr, err error) {
	cutter, renew := c.files, intake.Renew(c.renewFile)
	if item.Type == safe.Stream {
		cutter, renew = c.streams, c.renewStream
	}
	content := &content{src: c.meter.reader(item.Content), amid: func() error { return c.amid(ctx) }}
	l.entry.Size, err = c.data.Store(content, cutter, renew, c.reading.take)
	if content.err == nil && err != nil {
		return nil, nil, fmt.Errorf("storing content: %w", err)
	}
	if errors.As(content.err, &problem) {
		c.reading.drop()
		return problem, nil, nil
	}
	if content.err != nil {
		return nil, content.err, nil
	}
	l.places, c.reading = c.reading, places{}
	// A file that changed just now has been reported.
	if before, same := c.decided(item.Path); same && c.changed != item.Path {
		l.before = &before
	}
	return nil, nil, nil
}

// content is what is read of an entry. It tells an error of the source from one
// of the safe, and lets other work be done on the way.
type content struct {
	src  io.Reader
	amid func() error // an error of it ends the reading
	err  error        // of src, but for io.EOF
}

func (r *content) Read(p []byte) (int, error) {
	if err := r.amid(); err != nil {
		return 0, err
	}
	n, err := r.src.Read(p)
	if err != nil && err != io.EOF && r.err == nil {
		r.err = err
	}
	return n, err
}
