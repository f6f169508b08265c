package pack

import (
	"crypto/sha256"
	"errors"
	"io"
	"sync"
	"sync/atomic"

	"strongroom/internal/safe"
)

const (
	// blockSize is a few writes of age, which come by 64 KiB.
	blockSize = 256 << 10
	// blocksUnderWay is how many blocks one outlet has: one being filled, one
	// being written, one being hashed, and one to level out their speeds.
	blocksUnderWay = 4
)

// blocks are buffers for outlets, which come and go with packs.
var blocks = sync.Pool{New: func() any { return new([blockSize]byte) }}

// An outlet writes and hashes what was sealed, each in a goroutine of its own:
// sealing, hashing and writing a byte take about the same time, and one after
// the other they would hold up a machine with many processors.
type outlet struct {
	filling []byte // of a block; nil if none was taken
	free    chan *[blockSize]byte
	toWrite chan []byte
	ended   chan struct{} // closed when everything is written and hashed
	closing sync.Once

	// digest and size are valid when ended is closed.
	digest safe.Digest
	size   int64
	failed atomic.Pointer[error] // the first error of writing
}

func newOutlet(dst io.Writer) *outlet {
	o := &outlet{
		free:    make(chan *[blockSize]byte, blocksUnderWay),
		toWrite: make(chan []byte, blocksUnderWay),
		ended:   make(chan struct{}),
	}
	for range blocksUnderWay {
		o.free <- blocks.Get().(*[blockSize]byte)
	}
	toHash := make(chan []byte, blocksUnderWay)
	go func() {
		defer close(toHash)
		for b := range o.toWrite {
			if o.failed.Load() == nil {
				if _, err := dst.Write(b); err != nil {
					o.failed.Store(&err)
				}
			}
			toHash <- b
		}
	}()
	go func() {
		defer close(o.ended)
		hash := sha256.New()
		for b := range toHash {
			hash.Write(b)
			o.size += int64(len(b))
			o.free <- (*[blockSize]byte)(b[:blockSize])
		}
		o.digest = safe.Digest(hash.Sum(nil))
	}()
	return o
}

// Write takes b. An error of writing it may be returned by a later call, or by
// finish.
func (o *outlet) Write(b []byte) (int, error) {
	taken := 0
	for taken < len(b) {
		if err := o.failed.Load(); err != nil {
			return taken, *err
		}
		if o.filling == nil {
			o.filling = (<-o.free)[:0]
		}
		n := min(len(b)-taken, blockSize-len(o.filling))
		o.filling = append(o.filling, b[taken:taken+n]...)
		taken += n
		o.pass(blockSize)
	}
	return taken, nil
}

// pass hands on the block that is being filled if it has that many bytes.
func (o *outlet) pass(least int) {
	if o.filling != nil && len(o.filling) >= least {
		o.toWrite <- o.filling
		o.filling = nil
	}
}

// finish waits until everything is written and hashed.
func (o *outlet) finish() (safe.Digest, int64, error) {
	o.pass(0)
	o.close()
	if err := o.failed.Load(); err != nil {
		return safe.Digest{}, 0, *err
	}
	return o.digest, o.size, nil
}

// errAbandoned is what stops the writing of what nobody wants any more.
var errAbandoned = errors.New("abandoned")

// close ends the goroutines and returns when they have ended; what was taken
// and not passed on is dropped. It may be repeated.
func (o *outlet) close() {
	o.closing.Do(func() {
		if o.filling != nil {
			o.free <- (*[blockSize]byte)(o.filling[:blockSize])
			o.failed.CompareAndSwap(nil, &errAbandoned)
		}
		close(o.toWrite)
		<-o.ended
		for range blocksUnderWay {
			blocks.Put(<-o.free)
		}
	})
}
