// Package wire is a client of SFTP version 3 that can only read: it has no
// words for writing, renaming or removing, so nothing above it can do so.
//
// It differs from general clients in what a hostile or slow server can do.
// Names come exactly as they were sent, so that a "../x" is seen and not
// quietly made harmless; packets, handles and counts are bounded; a server
// that owes an answer and sends no byte for a time is given up; and many
// requests can be under way without a goroutine for each.
package wire

import (
	"bufio"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// A Client speaks with one SFTP server. All methods may be called
// concurrently. Errors other than a *StatusError mean that the connection is
// of no more use.
type Client struct {
	conn       io.ReadWriter
	hangUp     func() // ends all reading and writing on conn
	stall      time.Duration
	extensions map[string]string
	readSize   atomic.Int64
	heard      atomic.Int64 // when the last byte came, or the first of the requests under way went; unix nanoseconds
	loops      sync.WaitGroup
	more       chan struct{} // holds one token if there may be something unsent
	ended      chan struct{} // closed when receive ends
	limited    chan struct{} // closed when handles is settled
	handles    int           // how many the server lets be open
	spare      []byte        // to be unsent next; belongs to write

	mu     sync.Mutex // guards the fields below
	calls  map[uint32]*Call
	lastID uint32
	err    error  // why the connection is of no more use
	unsent []byte // requests that write has not taken
}

// A Call is a request under way.
type Call struct {
	data []byte        // where the answer to a read goes
	done chan struct{} // closed when the fields below are settled

	typ  byte
	body []byte
	n    int // bytes of data
	err  error
}

// ErrStalled means that the server owed an answer and sent nothing.
var ErrStalled = errors.New("the server has gone silent")

// errGone is what all errors of reading and writing come to, unless we hung up
// ourselves: which it was is chance, and there may be words of the server in
// them.
var errGone = errors.New("the server closed the connection")

// NewClient begins to speak SFTP on conn. If the server owes an answer and
// sends no byte for the time stall, or breaks the protocol, the client calls
// hangUp, which must make all reading and writing on conn fail, may be called
// several times and must not block.
func NewClient(conn io.ReadWriter, hangUp func(), stall time.Duration) (*Client, error) {
	c := &Client{
		conn: conn, hangUp: hangUp, stall: stall,
		more: make(chan struct{}, 1), ended: make(chan struct{}), limited: make(chan struct{}),
		handles: fewHandles, calls: make(map[uint32]*Call),
	}
	c.readSize.Store(usualRead)
	hello := &Call{done: make(chan struct{})}
	c.calls[0] = hello // VERSION has no id; receive gives it this one
	c.heard.Store(time.Now().UnixNano())
	c.loops.Go(c.receive)
	c.loops.Go(c.watch)
	_, err := conn.Write([]byte{0, 0, 0, 5, typeInit, 0, 0, 0, version})
	if err != nil {
		err = errGone
	} else {
		err = hello.wait(typeVersion)
	}
	if err == nil {
		c.extensions, err = parseVersion(hello.body)
	}
	if err != nil {
		c.fail(err)
		c.Close()
		return nil, fmt.Errorf("beginning SFTP: %w", c.cause())
	}
	c.loops.Go(c.write)
	c.loops.Go(c.askLimits) // few wait for the answer
	return c, nil
}

// Close ends the connection, and with it all calls under way.
func (c *Client) Close() {
	c.fail(errors.New("the connection was closed"))
	c.loops.Wait()
}

// ReadSize is how many bytes one Read may ask for. It grows when the server has
// told that it takes more than every server must.
func (c *Client) ReadSize() int { return int(c.readSize.Load()) }

// fail ends the connection because of err; the first reason counts.
func (c *Client) fail(err error) {
	c.mu.Lock()
	if c.err == nil {
		c.err = err
	}
	calls := c.calls
	c.calls = nil // no more are taken
	c.mu.Unlock()
	c.hangUp()
	for _, call := range calls {
		call.err = c.cause()
		close(call.done)
	}
}

func (c *Client) cause() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// watch gives the server up when it has gone silent.
func (c *Client) watch() {
	tick := time.NewTicker(max(c.stall/8, time.Millisecond))
	defer tick.Stop()
	for {
		select {
		case <-c.ended:
			return
		case now := <-tick.C:
			c.mu.Lock()
			owed := len(c.calls) > 0
			c.mu.Unlock()
			if owed && now.Sub(time.Unix(0, c.heard.Load())) > c.stall {
				c.fail(fmt.Errorf("%w for %v, with requests unanswered", ErrStalled, c.stall))
			}
		}
	}
}

// Read notes that bytes have come.
func (c *Client) Read(b []byte) (int, error) {
	n, err := c.conn.Read(b)
	if n > 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	return n, err
}

// receive hands every answer to its call.
func (c *Client) receive() {
	defer close(c.ended)
	// Small, so that most of the data of a read goes to its place directly.
	r := bufio.NewReaderSize(c, 8<<10)
	for {
		call, err := c.receiveOne(r)
		if err != nil {
			var broken *ProtocolError
			if !errors.As(err, &broken) {
				err = errGone
			}
			c.fail(err)
		}
		if call != nil {
			if err != nil {
				call.err = c.cause()
			}
			close(call.done)
		}
		if err != nil {
			return
		}
	}
}

// receiveOne reads one packet. The Call that it answers, if it gets that far,
// is for the caller to settle.
func (c *Client) receiveOne(r io.Reader) (*Call, error) {
	var head [9]byte // length, type, id
	if _, err := io.ReadFull(r, head[:5]); err != nil {
		return nil, err
	}
	length, typ := binary.BigEndian.Uint32(head[:]), head[4]
	if length > maxPacket {
		return nil, &ProtocolError{fmt.Errorf("a packet of %d bytes, at most %d are possible", length, maxPacket)}
	}
	rest := int(length) - 1
	var id uint32
	if typ != typeVersion {
		if rest -= 4; rest < 0 {
			return nil, &ProtocolError{errShort}
		}
		if _, err := io.ReadFull(r, head[5:]); err != nil {
			return nil, err
		}
		id = binary.BigEndian.Uint32(head[5:])
	}
	c.mu.Lock()
	call, ok := c.calls[id]
	delete(c.calls, id)
	c.mu.Unlock()
	if !ok || rest < 0 {
		return nil, &ProtocolError{errors.New("an answer to nothing that was asked")}
	}
	call.typ = typ
	return call, call.fill(r, rest)
}

// fill reads the rest of an answer.
func (call *Call) fill(r io.Reader, rest int) error {
	if call.typ != typeData {
		call.body = make([]byte, rest)
		_, err := io.ReadFull(r, call.body)
		return err
	}
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return err
	}
	n := binary.BigEndian.Uint32(head[:])
	switch {
	case n == 0 || uint64(n) > uint64(len(call.data)):
		return &ProtocolError{fmt.Errorf("%d bytes where 1 to %d were asked for", n, len(call.data))}
	case int64(rest) != int64(n)+4:
		return &ProtocolError{errShort}
	}
	call.n = int(n)
	_, err := io.ReadFull(r, call.data[:n])
	return err
}

// A request is a packet to send: its type, and what appends its fields after
// the id.
type request struct {
	typ    byte
	fields func(b []byte) []byte
	data   []byte // for a read
}

// maxCalls bounds the requests under way, of which a source has some thousand.
// A server that answers all but some, such as those that close, keeps them.
const maxCalls = 1 << 16

// send sends requests, one directly after the other. Every Call is settled in
// the end.
func (c *Client) send(requests ...request) []*Call {
	calls := make([]*Call, len(requests))
	c.mu.Lock()
	if len(c.calls) >= maxCalls {
		c.mu.Unlock()
		c.fail(&ProtocolError{fmt.Errorf("%d requests are unanswered", maxCalls)})
		c.mu.Lock()
	}
	if len(c.calls) == 0 {
		c.heard.Store(time.Now().UnixNano())
	}
	for i, r := range requests {
		calls[i] = &Call{done: make(chan struct{}), data: r.data}
		if c.err != nil {
			calls[i].err = c.err
			close(calls[i].done)
			continue
		}
		c.lastID = max(c.lastID+1, 1) // 0 belongs to VERSION
		c.calls[c.lastID] = calls[i]
		begin := len(c.unsent)
		b := append(c.unsent, 0, 0, 0, 0, r.typ)
		b = binary.BigEndian.AppendUint32(b, c.lastID)
		b = r.fields(b)
		binary.BigEndian.PutUint32(b[begin:], uint32(len(b)-begin-4))
		c.unsent = b
	}
	c.mu.Unlock()
	select {
	case c.more <- struct{}{}:
	default:
	}
	return calls
}

// write writes what is unsent. It is alone in that, so that nobody who asks for
// something waits until the server listens, and small requests of many callers
// travel together: each packet of the connection costs both sides more than
// what is in it.
func (c *Client) write() {
	for {
		select {
		case <-c.more:
		case <-c.ended:
			return
		}
		runtime.Gosched() // whoever is about to ask for something comes first
		c.mu.Lock()
		b := c.unsent
		c.unsent = c.spare[:0]
		c.mu.Unlock()
		// A write can block while the server does not listen; watch ends that.
		// If it fails and nothing had failed before, the other side is gone.
		if _, err := c.conn.Write(b); err != nil {
			c.fail(errGone)
			return
		}
		c.spare = b
	}
}

// wait returns when the answer is there; it must be of the type want.
func (call *Call) wait(want byte) error {
	<-call.done
	switch {
	case call.err != nil:
		return call.err
	case call.typ == want:
		return nil
	case call.typ == typeStatus:
		code, err := parseStatus(call.body)
		if err != nil {
			return &ProtocolError{err}
		}
		return &StatusError{Code: code}
	}
	return &ProtocolError{fmt.Errorf("an answer of type %d where type %d was to come", call.typ, want)}
}

// parsed waits for an answer of the type want and parses it.
func parsed[T any](c *Client, call *Call, want byte, parse func([]byte) (T, error)) (T, error) {
	var value T
	err := call.wait(want)
	if err == nil {
		if value, err = parse(call.body); err != nil {
			err = &ProtocolError{err}
		}
	}
	var broken *ProtocolError
	if errors.As(err, &broken) {
		c.fail(err)
	}
	return value, err
}

func withString(typ byte, s string) request {
	return request{typ: typ, fields: func(b []byte) []byte { return appendString(b, s) }}
}

// A Handle is an open file or folder.
type Handle struct {
	client *Client
	name   string
}

// Open opens a file for reading.
func (c *Client) Open(path string) (*Handle, error) {
	call := c.send(request{typ: typeOpen, fields: func(b []byte) []byte {
		b = appendString(b, path)
		b = binary.BigEndian.AppendUint32(b, 1)    // SSH_FXF_READ
		return binary.BigEndian.AppendUint32(b, 0) // no attributes
	}})[0]
	return c.handle(call)
}

// OpenDir opens a folder for listing.
func (c *Client) OpenDir(path string) (*Handle, error) {
	return c.handle(c.send(withString(typeOpendir, path))[0])
}

func (c *Client) handle(call *Call) (*Handle, error) {
	name, err := parsed(c, call, typeHandle, parseHandle)
	if err != nil {
		return nil, err
	}
	return &Handle{client: c, name: name}, nil
}

// Close gives the handle back. It does not wait for the answer, which could
// change nothing for someone who only reads.
func (h *Handle) Close() { h.client.send(withString(typeClose, h.name)) }

// List asks for the next part of a folder; see Page.
func (h *Handle) List() *Call { return h.ListMany(1)[0] }

// ListMany asks for the next n parts of a folder; see Page.
func (h *Handle) ListMany(n int) []*Call {
	return h.client.send(slices.Repeat([]request{withString(typeReaddir, h.name)}, n)...)
}

// Page returns the answer to List. After the last part it is io.EOF.
func (h *Handle) Page(call *Call) ([]Name, error) {
	names, err := parsed(h.client, call, typeName, parseNames)
	switch {
	case errors.Is(err, io.EOF):
		return nil, io.EOF
	case err == nil && len(names) == 0:
		err = &ProtocolError{errors.New("a part of a listing without a name")}
		h.client.fail(err) // it could go on for ever
	}
	return names, err
}

// Read asks for len(data) bytes at offset, at most ReadSize; see Data.
func (h *Handle) Read(offset int64, data []byte) *Call {
	return h.client.send(h.read(offset, data))[0]
}

func (h *Handle) read(offset int64, data []byte) request {
	return request{typ: typeRead, data: data, fields: func(b []byte) []byte {
		b = appendString(b, h.name)
		b = binary.BigEndian.AppendUint64(b, uint64(offset))
		return binary.BigEndian.AppendUint32(b, uint32(len(data)))
	}}
}

// Data returns how many bytes Read has got: 1 at least, perhaps fewer than were
// asked for; io.EOF if there are none at the offset.
func (h *Handle) Data(call *Call) (int, error) {
	_, err := parsed(h.client, call, typeData, func([]byte) (struct{}, error) { return struct{}{}, nil })
	if errors.Is(err, io.EOF) {
		err = io.EOF
	}
	return call.n, err
}

// ReadOnce asks for data at the beginning, for the attributes after that, and
// gives the handle back, all at once: a server has to do in order what concerns
// one file. The handle is of no more use. See Data, Attrs; read is nil if there
// is no room in data.
func (h *Handle) ReadOnce(data []byte) (read, stat *Call) {
	rest := []request{withString(typeFstat, h.name), withString(typeClose, h.name)}
	if len(data) == 0 {
		return nil, h.client.send(rest...)[0]
	}
	calls := h.client.send(append([]request{h.read(0, data)}, rest...)...)
	return calls[0], calls[1]
}

// Stat asks for the attributes of the open file; see Attrs.
func (h *Handle) Stat() *Call { return h.client.send(withString(typeFstat, h.name))[0] }

// Attrs returns the answer to Stat.
func (h *Handle) Attrs(call *Call) (Attrs, error) { return h.client.Attrs(call) }

// Lstat returns the attributes of what is at path, without following a link.
func (c *Client) Lstat(path string) (Attrs, error) { return c.Attrs(c.AskLstat(path)) }

// AskLstat asks for what Lstat returns; see Attrs.
func (c *Client) AskLstat(path string) *Call { return c.send(withString(typeLstat, path))[0] }

// Attrs returns the answer to AskLstat.
func (c *Client) Attrs(call *Call) (Attrs, error) {
	return parsed(c, call, typeAttrs, parseAttrs)
}

// Readlink returns where a symbolic link leads.
func (c *Client) Readlink(path string) (string, error) {
	names, err := parsed(c, c.send(withString(typeReadlink, path))[0], typeName, parseNames)
	if err != nil {
		return "", err
	}
	if len(names) != 1 {
		err = &ProtocolError{fmt.Errorf("a symbolic link with %d targets", len(names))}
		c.fail(err)
		return "", err
	}
	return names[0].Name, nil
}
