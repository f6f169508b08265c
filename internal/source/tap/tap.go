// Package tap shows somebody small files of a source while they pass by, on
// their way into the store: afterwards nobody can read them.
//
// Whoever looks sees whole files or nothing of them, as often as the source is
// pulled, also of those that look unchanged and of which nobody else needs the
// content. What the consumer of the source gets is the same as without a tap, but
// for files that look unchanged and can no longer be read: that is noticed.
package tap

import (
	"context"
	"errors"
	"io"
	"iter"
	"sync"

	"strongroom/internal/safe"
	"strongroom/internal/source"
)

// Options says what is to be seen.
type Options struct {
	Wants func(safe.Entry) bool // whether a file is to be seen
	Most  int64                 // bytes of one; what is larger is not seen
	// See takes the content of a file; it is called where the items are
	// consumed, before the next one is asked for.
	See func(path string, content []byte)
}

// A Tap is a source of which somebody sees something.
type Tap struct {
	of   source.Source
	opts Options

	mu     sync.Mutex      // guards the field below: Need may be called ahead of the yield
	mineOf map[string]bool // files whose content is opened for the tap alone
}

// New returns the source with a tap.
func New(of source.Source, opts Options) *Tap {
	return &Tap{of: of, opts: opts, mineOf: make(map[string]bool)}
}

// Matches returns those of the source.
func (t *Tap) Matches() []source.Match { return t.of.Matches() }

// Pull pulls the source.
func (t *Tap) Pull(ctx context.Context, request source.Request) iter.Seq2[source.Item, error] {
	need := request.Need
	request.Need = func(e safe.Entry) bool {
		if need == nil || need(e) {
			return true
		}
		if !t.wants(e) {
			return false
		}
		t.mu.Lock()
		defer t.mu.Unlock()
		t.mineOf[e.Path] = true
		return true
	}
	return func(yield func(source.Item, error) bool) {
		for item, err := range t.of.Pull(ctx, request) {
			if err == nil {
				item, err = t.tapped(item)
			}
			if !yield(item, err) || err != nil {
				return
			}
		}
	}
}

func (t *Tap) wants(e safe.Entry) bool {
	return e.Type == safe.File && e.Size <= t.opts.Most && t.opts.Wants(e)
}

// tapped returns the item as the consumer is to have it. The error is one that
// ends the source.
func (t *Tap) tapped(item source.Item) (source.Item, error) {
	if item.Content == nil || !t.wants(item.Entry) {
		return item, nil
	}
	content := &content{ReadCloser: item.Content, most: t.opts.Most, see: func(b []byte) { t.opts.See(item.Path, b) }}
	t.mu.Lock()
	mine := t.mineOf[item.Path]
	delete(t.mineOf, item.Path)
	t.mu.Unlock()
	if !mine {
		item.Content = content
		return item, nil
	}
	_, err := io.Copy(io.Discard, content)
	content.Close() // nothing was written
	item.Content = nil
	var problem *source.Problem
	if errors.As(err, &problem) {
		err = nil // the consumer has what it knew before
	}
	return item, err
}

// content is what is read of a file that is to be seen.
type content struct {
	io.ReadCloser
	most int64
	seen []byte
	see  func([]byte) // nil if it was called, or there is nothing to be seen
}

func (c *content) Read(p []byte) (int, error) {
	n, err := c.ReadCloser.Read(p)
	if c.see == nil {
		return n, err
	}
	c.seen = append(c.seen, p[:n]...)
	switch {
	case int64(len(c.seen)) > c.most, err != nil && err != io.EOF:
		c.seen, c.see = nil, nil
	case err == io.EOF:
		c.see(c.seen)
		c.see = nil
	}
	return n, err
}
