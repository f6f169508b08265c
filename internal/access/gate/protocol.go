package gate

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// SFTP, version 3, as far as the gate speaks it:
// draft-ietf-secsh-filexfer-02, and PROTOCOL of OpenSSH for its limits.

// Types of packets.
const (
	typeInit     = 1
	typeVersion  = 2
	typeOpen     = 3
	typeClose    = 4
	typeRead     = 5
	typeWrite    = 6
	typeLstat    = 7
	typeFstat    = 8
	typeSetstat  = 9
	typeFsetstat = 10
	typeOpendir  = 11
	typeReaddir  = 12
	typeRemove   = 13
	typeMkdir    = 14
	typeRmdir    = 15
	typeRealpath = 16
	typeStat     = 17
	typeRename   = 18
	typeReadlink = 19
	typeSymlink  = 20

	typeStatus = 101
	typeHandle = 102
	typeData   = 103
	typeName   = 104
	typeAttrs  = 105

	typeExtended      = 200
	typeExtendedReply = 201
)

// Flags of an open.
const (
	openRead   = 1
	openWrite  = 2
	openAppend = 4
	openCreate = 8
	openTrunc  = 16
)

// Codes of a status.
const (
	codeOK          = 0
	codeEOF         = 1
	codeAbsent      = 2
	codeDenied      = 3
	codeFailure     = 4
	codeBadMessage  = 5
	codeUnsupported = 8
)

const (
	// maxPacket is the greatest packet that is taken, as with OpenSSH.
	maxPacket = 256 << 10
	// maxData is how much is answered to one request at most.
	maxData = 255 << 10
	// maxPath bounds a path. None in the tree is a tenth as long.
	maxPath = 4096

	limitsExtension = "limits@openssh.com"
)

// errMalformed means that what was received is not SFTP, after which nothing
// that follows can be trusted to be.
var errMalformed = errors.New("not a packet of SFTP")

// errUnsupported is the answer to requests that are none of version 3, or that
// no client needs here.
var errUnsupported = errors.New("this is not supported")

// readPacket reads one packet into buffer or, if that is too small, into a new
// one. The type comes first.
func readPacket(r io.Reader, buffer []byte) ([]byte, error) {
	var head [4]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := int(binary.BigEndian.Uint32(head[:]))
	if n < 1 || n > maxPacket {
		return nil, errMalformed
	}
	if n > cap(buffer) {
		buffer = make([]byte, n)
	}
	_, err := io.ReadFull(r, buffer[:n])
	return buffer[:n], err
}

// fields takes a packet apart. After a field that is not there all are zero,
// and bad is set.
type fields struct {
	rest []byte
	bad  bool
}

func (f *fields) take(n uint32) []byte {
	if uint64(n) > uint64(len(f.rest)) {
		f.bad, f.rest = true, nil
		return nil
	}
	b := f.rest[:n]
	f.rest = f.rest[n:]
	return b
}

func (f *fields) u32() uint32 {
	if b := f.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (f *fields) u64() uint64 {
	if b := f.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

// bytes returns a string of the protocol, which is valid until the next packet
// is read.
func (f *fields) bytes() []byte { return f.take(f.u32()) }

func (f *fields) text() string { return string(f.bytes()) }

// A packet is put together behind room for its length.
type packet []byte

func newPacket(typ byte, id uint32) packet {
	return binary.BigEndian.AppendUint32([]byte{0, 0, 0, 0, typ}, id)
}

func (p packet) u32(n uint32) packet { return binary.BigEndian.AppendUint32(p, n) }
func (p packet) u64(n uint64) packet { return binary.BigEndian.AppendUint64(p, n) }
func (p packet) text(s string) packet {
	return append(p.u32(uint32(len(s))), s...)
}

// attrs appends what is known of a file: size, owner, mode and times.
func (p packet) attrs(info fs.FileInfo) packet {
	const size, owner, mode, times = 1, 2, 4, 8
	seconds := uint32(info.ModTime().Unix())
	p = p.u32(size | owner | mode | times).u64(uint64(info.Size())).u32(0).u32(0)
	return p.u32(unixMode(info.Mode())).u32(seconds).u32(seconds)
}

func unixMode(mode fs.FileMode) uint32 {
	const folder, regular = 0o040000, 0o100000
	if mode.IsDir() {
		return folder | uint32(mode.Perm())
	}
	return regular | uint32(mode.Perm())
}

// entry appends an entry of a folder, also as people read it.
func (p packet) entry(info fs.FileInfo) packet {
	long := fmt.Sprintf("%s 1 0 0 %12d %s %s", info.Mode(), info.Size(), info.ModTime().Format("Jan _2 15:04"), info.Name())
	return p.text(info.Name()).text(long).attrs(info)
}

// done sets the length.
func (p packet) done() packet {
	binary.BigEndian.PutUint32(p, uint32(len(p)-4))
	return p
}

// status is the answer that says how it went.
func status(id uint32, err error) packet {
	code, text := uint32(codeFailure), ""
	switch {
	case err == nil:
		code = codeOK
	case err == io.EOF:
		code = codeEOF
	case errors.Is(err, fs.ErrNotExist):
		code = codeAbsent
	case errors.Is(err, fs.ErrPermission):
		code = codeDenied
	case err == errMalformed:
		code = codeBadMessage
	case err == errUnsupported:
		code = codeUnsupported
	}
	if err != nil {
		text = err.Error()
	}
	return newPacket(typeStatus, id).u32(code).text(text).text("").done()
}
