package gate

import (
	"context"
	"errors"
	"io"
	"math"
	"path"
	"strconv"
	"sync"
)

// answersAhead is how many answers wait to be sent while the next one is
// prepared: reading a disk and encrypting go on side by side.
const answersAhead = 4

// A conversation is the SFTP of one session. Requests are answered one after
// the other, by one goroutine that owns all that is open, so no order of them
// meets anything half open.
type conversation struct {
	session *session
	open    map[string]handle
	opened  int
	data    chan packet // buffers that were sent, to be used again
}

// A handle is something open: an *outgoing, an *incoming or a *listing.
type handle struct {
	io.Closer
	path string
}

// converse answers requests until there are no more, and then sends what is
// still to be sent.
func (c *session) converse(channel io.ReadWriter) {
	ctx, end := context.WithCancel(context.Background())
	defer end() // and with it all reads
	v := &conversation{session: c, open: map[string]handle{}, data: make(chan packet, answersAhead+2)}
	answers := make(chan packet, answersAhead) // closed when there are no more
	var wg sync.WaitGroup
	wg.Go(func() {
		for p := range answers {
			channel.Write(p) // or else the connection has ended, and so do its requests
			v.recycle(p)
		}
	})
	defer wg.Wait()
	defer close(answers)
	defer v.hangUp()

	buffer, err := readPacket(channel, nil)
	if err != nil || buffer[0] != typeInit {
		return
	}
	answers <- packet{0, 0, 0, 0, typeVersion}.u32(3).text(limitsExtension).text("1").done()
	for {
		buffer, err = readPacket(channel, buffer)
		if err != nil {
			return
		}
		f := &fields{rest: buffer[1:]}
		id := f.u32()
		answer, err := v.answer(ctx, buffer[0], id, f)
		if f.bad {
			answers <- status(id, errMalformed)
			return
		}
		if err != nil || answer == nil {
			answer = status(id, err)
		}
		answers <- answer
	}
}

// hangUp closes what the client has left open. A file that it did not close is
// not whole.
func (v *conversation) hangUp() {
	for _, h := range v.open {
		if f, ok := h.Closer.(*incoming); ok {
			f.abandon()
		}
		h.Close() // what there is to tell is in the events
	}
}

// answer does what is asked for. An answer of nil is a status.
func (v *conversation) answer(ctx context.Context, typ byte, id uint32, f *fields) (packet, error) {
	switch typ {
	case typeOpen:
		return v.openFile(ctx, id, f)
	case typeOpendir:
		return v.openFolder(id, f)
	case typeRead:
		return v.read(id, f)
	case typeWrite:
		return nil, v.write(f)
	case typeReaddir:
		return v.readFolder(ctx, id, f)
	case typeClose:
		return nil, v.close(f)
	case typeStat, typeLstat, typeFstat:
		return v.stat(ctx, typ, id, f)
	case typeRealpath:
		p, err := v.path(f)
		if err != nil {
			return nil, err
		}
		return newPacket(typeName, id).u32(1).text(p).text(p).u32(0).done(), nil
	case typeExtended:
		return v.extended(id, f)
	default:
		return nil, v.change(typ, f)
	}
}

// path reads a path and makes it absolute and clean.
func (v *conversation) path(f *fields) (string, error) {
	b := f.bytes()
	if len(b) > maxPath {
		return "", errors.New("the path is too long")
	}
	return path.Clean("/" + string(b)), nil
}

// keep gives an open thing a handle.
func (v *conversation) keep(id uint32, c io.Closer, p string) packet {
	v.opened++
	name := strconv.Itoa(v.opened)
	v.open[name] = handle{c, p}
	return newPacket(typeHandle, id).text(name).done()
}

var errNotOpen = errors.New("this is not open, or not for that")

// lookup finds an open thing of type T.
func lookup[T io.Closer](v *conversation, f *fields) (T, error) {
	c, ok := v.open[string(f.bytes())].Closer.(T)
	if !ok {
		return c, errNotOpen
	}
	return c, nil
}

func (v *conversation) openFile(ctx context.Context, id uint32, f *fields) (packet, error) {
	p, err := v.path(f)
	flags := f.u32() // attributes follow, which are nobody's business
	if err != nil || f.bad {
		return nil, err
	}
	var c io.Closer
	switch {
	case flags&(openWrite|openAppend|openCreate|openTrunc) != 0:
		c, err = v.session.put(p, flags)
	case flags&openRead != 0:
		c, err = v.session.get(ctx, p)
	default:
		err = errUnsupported
	}
	if err != nil {
		return nil, err
	}
	return v.keep(id, c, p), nil
}

func (v *conversation) openFolder(id uint32, f *fields) (packet, error) {
	p, err := v.path(f)
	if err != nil || f.bad {
		return nil, err
	}
	l, err := v.session.list(p)
	if err != nil {
		return nil, err
	}
	return v.keep(id, l, p), nil
}

// dataHeader is what comes before the data: length, type, id, length again.
const dataHeader = 13

func (v *conversation) read(id uint32, f *fields) (packet, error) {
	file, err := lookup[*outgoing](v, f)
	offset, length := f.u64(), min(f.u32(), maxData)
	switch {
	case err != nil || f.bad:
		return nil, err
	case offset > math.MaxInt64:
		return nil, io.EOF
	}
	p := v.buffer(dataHeader + int(length))
	n, err := file.ReadAt(p[dataHeader:], int64(offset))
	if err != nil && (err != io.EOF || n == 0) {
		return nil, err
	}
	head := append(p[:4], typeData).u32(id).u32(uint32(n))
	return head[:dataHeader+n].done(), nil
}

// buffer returns n bytes of any content.
func (v *conversation) buffer(n int) packet {
	select {
	case p := <-v.data:
		if n <= cap(p) {
			return p[:n]
		}
	default:
	}
	return make(packet, n)
}

// recycle keeps the buffer of an answer that was sent, if it is a large one.
func (v *conversation) recycle(p packet) {
	if cap(p) < 32<<10 {
		return
	}
	select {
	case v.data <- p:
	default:
	}
}

func (v *conversation) write(f *fields) error {
	file, err := lookup[*incoming](v, f)
	offset, content := f.u64(), f.bytes()
	if err != nil || f.bad {
		return err
	}
	return file.write(content, offset)
}

func (v *conversation) close(f *fields) error {
	name := string(f.bytes())
	h, ok := v.open[name]
	if !ok {
		return errNotOpen
	}
	delete(v.open, name)
	return h.Close()
}

// maxEntries is how many entries of a folder are told at a time.
const maxEntries = 100

func (v *conversation) readFolder(ctx context.Context, id uint32, f *fields) (packet, error) {
	l, err := lookup[*listing](v, f)
	if err != nil || f.bad {
		return nil, err
	}
	entries := l.next(ctx, maxEntries)
	if len(entries) == 0 {
		return nil, io.EOF
	}
	p := newPacket(typeName, id).u32(uint32(len(entries)))
	for _, info := range entries {
		p = p.entry(info)
	}
	return p.done(), nil
}

func (v *conversation) stat(ctx context.Context, typ byte, id uint32, f *fields) (packet, error) {
	var p string
	var err error
	if typ == typeFstat {
		h, ok := v.open[string(f.bytes())]
		if !ok {
			return nil, errNotOpen
		}
		p = h.path
	} else if p, err = v.path(f); err != nil || f.bad {
		return nil, err
	}
	info, err := v.session.stat(ctx, p)
	if err != nil {
		return nil, err
	}
	return newPacket(typeAttrs, id).attrs(info).done(), nil
}

// extended answers what is not in the draft: how much may be asked for at a
// time. Two ways to change something are refused like the others.
func (v *conversation) extended(id uint32, f *fields) (packet, error) {
	switch f.text() {
	case limitsExtension:
		return newPacket(typeExtendedReply, id).u64(maxPacket).u64(maxData).u64(maxData).u64(maxHandles).done(), nil
	case "hardlink@openssh.com":
		return nil, v.refuse("link", f, 2)
	case "posix-rename@openssh.com":
		return nil, v.refuse("rename", f, 2)
	}
	return nil, errUnsupported
}

// change refuses what would change something, and what is not known.
func (v *conversation) change(typ byte, f *fields) error {
	switch typ {
	case typeFsetstat:
		h, ok := v.open[string(f.bytes())]
		if !ok {
			return errNotOpen
		}
		v.session.denied("setstat", h.path)
		return errReadOnly
	case typeSetstat:
		return v.refuse("setstat", f, 1)
	case typeRemove:
		return v.refuse("remove", f, 1)
	case typeMkdir:
		return v.refuse("mkdir", f, 1)
	case typeRmdir:
		return v.refuse("rmdir", f, 1)
	case typeRename:
		return v.refuse("rename", f, 2)
	case typeSymlink:
		return v.refuse("symlink", f, 2)
	case typeReadlink:
		return errors.New("there are no links here")
	}
	return errUnsupported
}

var errReadOnly = refuse("nothing can be changed here")

// refuse reports what a client wanted to do with one path or two.
func (v *conversation) refuse(method string, f *fields, paths int) error {
	text := f.text()
	if paths == 2 {
		text += " -> " + f.text()
	}
	if !f.bad {
		v.session.denied(method, text)
	}
	return errReadOnly
}
