package wire

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

func FuzzParse(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x01\x00\x00\x00\x01a\x00\x00\x00\x01b\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x0f\x00\x00\x00\x00\x00\x00\x00\x05\x00\x00\x03\xe8\x00\x00\x03\xe8\x00\x00\x81\xa4\x00\x00\x00\x01\x00\x00\x00\x02"))
	f.Add([]byte("\x80\x00\x00\x00\xff\xff\xff\xff\x00\x00\x00\x00\x00\x00\x00\x00"))
	f.Add([]byte("\x00\x00\x00\x03\x00\x00\x00\x01x\x00\x00\x00\x011"))
	f.Fuzz(func(t *testing.T, b []byte) {
		names, err := parseNames(b)
		total := 0
		for _, n := range names {
			total += len(n.Name)
		}
		if err == nil && total > len(b) {
			t.Errorf("names of %d bytes out of a packet of %d", total, len(b))
		}
		if h, err := parseHandle(b); err == nil && len(h) > maxHandle {
			t.Errorf("a handle of %d bytes", len(h))
		}
		// What matters of these is that they end and do not panic.
		parseAttrs(b)
		parseStatus(b)
		parseVersion(b)
		parseOwners(b)
	})
}

// FuzzClient lets a server answer with anything at all, after it has greeted.
func FuzzClient(f *testing.F) {
	f.Add([]byte("\x00\x00\x00\x09\x65\x00\x00\x00\x01\x00\x00\x00\x01"))
	f.Add([]byte("\x00\x00\x00\x0a\x66\x00\x00\x00\x01\x00\x00\x00\x01h\x00\x00\x00\x0e\x67\x00\x00\x00\x02\x00\x00\x00\x05hello"))
	f.Add([]byte("\xff\xff\xff\xff\x66"))
	f.Add([]byte("\x00\x00\x00\x00"))
	f.Fuzz(func(t *testing.T, answers []byte) {
		near, far := net.Pipe()
		go func() {
			go io.Copy(io.Discard, far) // ends when the pipe is closed
			far.Write(append([]byte{0, 0, 0, 5, typeVersion, 0, 0, 0, 3}, answers...))
			far.Close()
		}()
		c, err := NewClient(near, func() { near.Close() }, time.Second)
		if err != nil {
			return // the pipe was closed early
		}
		defer c.Close()
		handle, err := c.Open("x")
		if err != nil {
			return
		}
		data := make([]byte, 5)
		n, err := handle.Data(handle.Read(0, data))
		if err == nil && !bytes.Contains(answers, data[:n]) {
			t.Errorf("read %q, which was not sent", data[:n])
		}
	})
}
