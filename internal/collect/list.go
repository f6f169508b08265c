package collect

import (
	"io"

	"strongroom/internal/store/chunk"
	"strongroom/internal/store/intake"
)

// A list is the manifest on its way into the store, through a lane of its own
// so that listing a snapshot later touches few packs.
type list struct {
	lane *intake.Lane
	to   *io.PipeWriter
	done chan struct{} // closed when the lane has taken everything

	pieces []*intake.Piece // valid once done is closed
	err    error           // valid once done is closed
}

func newList(lane *intake.Lane, cutter *chunk.Cutter, renew intake.Renew) *list {
	from, to := io.Pipe()
	l := &list{lane: lane, to: to, done: make(chan struct{})}
	go func() {
		defer close(l.done)
		_, l.err = lane.Store(from, cutter, renew, func(p *intake.Piece) { l.pieces = append(l.pieces, p) })
		from.CloseWithError(l.err) // whoever writes on learns why nobody reads
	}()
	return l
}

func (l *list) Write(lines []byte) (int, error) { return l.to.Write(lines) }

// finish returns the pieces of the whole manifest, all of them in the store.
func (l *list) finish() ([]*intake.Piece, error) {
	l.to.Close()
	<-l.done
	if l.err != nil {
		return nil, l.err
	}
	return l.pieces, l.lane.Finish()
}

// abandon ends a list that is not finished; after finish it does nothing.
func (l *list) abandon() {
	l.to.CloseWithError(io.ErrClosedPipe)
	<-l.done
}
