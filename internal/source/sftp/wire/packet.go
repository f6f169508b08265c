package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"io/fs"
)

// Packet types of draft-ietf-secsh-filexfer-02, version 3: those that reading
// needs, and no others.
const (
	typeInit          = 1
	typeVersion       = 2
	typeOpen          = 3
	typeClose         = 4
	typeRead          = 5
	typeLstat         = 7
	typeFstat         = 8
	typeOpendir       = 11
	typeReaddir       = 12
	typeReadlink      = 19
	typeStatus        = 101
	typeHandle        = 102
	typeData          = 103
	typeName          = 104
	typeAttrs         = 105
	typeExtended      = 200
	typeExtendedReply = 201
)

const version = 3

// maxPacket is the longest packet that is taken; OpenSSH sends none longer.
const maxPacket = 256 << 10

// maxHandle is the longest handle that version 3 allows.
const maxHandle = 256

var errShort = errors.New("a reply is shorter than it says")

// A ProtocolError is an answer that SFTP does not allow.
type ProtocolError struct{ Err error }

func (e *ProtocolError) Error() string {
	return "the server does not keep to the SFTP protocol: " + e.Err.Error()
}
func (e *ProtocolError) Unwrap() error { return e.Err }

// A StatusError is a request that the server refused. The server's own words
// are not kept: nobody knows what is in them.
type StatusError struct{ Code uint32 }

func (e *StatusError) Error() string {
	switch e.Code {
	case 0:
		return "the server answered OK where something was asked for"
	case 1:
		return "the server says it has ended (SFTP status 1)"
	case 2:
		return "the server says it does not exist (SFTP status 2)"
	case 3:
		return "the server says permission denied (SFTP status 3)"
	case 4:
		return "the server says failure (SFTP status 4)"
	case 8:
		return "the server does not support the operation (SFTP status 8)"
	}
	return fmt.Sprintf("the server says SFTP status %d", e.Code)
}

// Is makes errors.Is work with io.EOF, fs.ErrNotExist and fs.ErrPermission.
func (e *StatusError) Is(target error) bool {
	switch target {
	case io.EOF:
		return e.Code == 1
	case fs.ErrNotExist:
		return e.Code == 2
	case fs.ErrPermission:
		return e.Code == 3
	}
	return false
}

// Attrs are the attributes of a file; what the server left out is zero, and
// Has tells.
type Attrs struct {
	flags uint32
	Size  uint64
	UID   uint32
	GID   uint32
	Mode  uint32 // with the type, as in stat(2)
	MTime uint32
}

// The flags of Attrs.
const (
	HasSize  = 1 << 0
	HasOwner = 1 << 1
	HasMode  = 1 << 2
	HasTimes = 1 << 3

	hasExtended = 1 << 31
)

// Has reports whether all the given flags are set.
func (a Attrs) Has(flags uint32) bool { return a.flags&flags == flags }

// A Name is an entry of a listing, its name exactly as sent.
type Name struct {
	Name string
	Attrs
}

// parser takes fields off the front of a packet. After an error it only
// returns zeros.
type parser struct {
	b   []byte
	err error
}

func (p *parser) take(n int) []byte {
	if p.err != nil || n < 0 || n > len(p.b) {
		p.err = errShort
		return nil
	}
	b := p.b[:n]
	p.b = p.b[n:]
	return b
}

func (p *parser) uint32() uint32 {
	if b := p.take(4); b != nil {
		return binary.BigEndian.Uint32(b)
	}
	return 0
}

func (p *parser) uint64() uint64 {
	if b := p.take(8); b != nil {
		return binary.BigEndian.Uint64(b)
	}
	return 0
}

func (p *parser) bytes() []byte {
	n := p.uint32()
	if n > maxPacket { // also keeps the conversion from overflowing
		p.err = errShort
		return nil
	}
	return p.take(int(n))
}

func (p *parser) attrs() Attrs {
	a := Attrs{flags: p.uint32()}
	if a.Has(HasSize) {
		a.Size = p.uint64()
	}
	if a.Has(HasOwner) {
		a.UID = p.uint32()
		a.GID = p.uint32()
	}
	if a.Has(HasMode) {
		a.Mode = p.uint32()
	}
	if a.Has(HasTimes) {
		p.uint32() // access
		a.MTime = p.uint32()
	}
	if a.Has(hasExtended) {
		for n := p.uint32(); n > 0 && p.err == nil; n-- {
			p.bytes()
			p.bytes()
		}
	}
	return a
}

// longName is more than any file system takes for a name.
const longName = 1024

// parseNames reads a NAME packet. The names share one piece of memory, apart
// from the packet, of which they are the smaller part. Long ones are left out
// of it: who keeps a short name must not keep the rubbish that came with it.
func parseNames(b []byte) ([]Name, error) {
	p := parser{b: b}
	count := p.uint32()
	if uint64(count) > uint64(len(b)/12) { // two strings and the flags at least
		return nil, errShort
	}
	names := make([]Name, 0, count)
	ends := make([]int, 0, count)
	var arena []byte
	for range count {
		var n Name
		if name := p.bytes(); len(name) < longName {
			arena = append(arena, name...)
		} else {
			n.Name = string(name)
		}
		ends = append(ends, len(arena))
		p.bytes() // the line as of ls -l: made for people
		n.Attrs = p.attrs()
		names = append(names, n)
	}
	if p.err != nil {
		return nil, p.err
	}
	all, begin := string(arena), 0
	for i, end := range ends {
		if end > begin {
			names[i].Name = all[begin:end]
		}
		begin = end
	}
	return names, nil
}

func parseAttrs(b []byte) (Attrs, error) {
	p := parser{b: b}
	a := p.attrs()
	return a, p.err
}

func parseHandle(b []byte) (string, error) {
	p := parser{b: b}
	h := p.bytes()
	if p.err == nil && len(h) > maxHandle {
		return "", fmt.Errorf("a handle has %d bytes, at most %d are possible", len(h), maxHandle)
	}
	return string(h), p.err
}

func parseStatus(b []byte) (uint32, error) {
	p := parser{b: b}
	code := p.uint32()
	return code, p.err
}

// parseVersion returns the extensions that a server announces.
func parseVersion(b []byte) (map[string]string, error) {
	p := parser{b: b}
	if v := p.uint32(); p.err == nil && v != version {
		return nil, fmt.Errorf("it speaks version %d, this program speaks version %d", v, version)
	}
	extensions := make(map[string]string)
	for len(p.b) > 0 && p.err == nil {
		name := string(p.bytes())
		extensions[name] = string(p.bytes())
	}
	return extensions, p.err
}

func appendString(b []byte, s string) []byte {
	b = binary.BigEndian.AppendUint32(b, uint32(len(s)))
	return append(b, s...)
}
