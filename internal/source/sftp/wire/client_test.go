package wire

import (
	"encoding/binary"
	"errors"
	"io"
	"net"
	"runtime"
	"strings"
	"testing"
	"time"
)

// A server that answers everything but what closes handles is not silent, and
// yet must not make the client remember more and more.
func TestUnansweredRequestsAreBounded(t *testing.T) {
	near, far := net.Pipe()
	defer far.Close()
	go func() {
		far.Write([]byte{0, 0, 0, 5, typeVersion, 0, 0, 0, version})
		io.Copy(io.Discard, far) // ends when the pipe is closed
	}()
	c, err := NewClient(near, func() { near.Close() }, time.Minute)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	handle := &Handle{client: c, name: "h"}
	for range maxCalls {
		handle.Close()
	}
	_, err = c.Open("x")
	var broken *ProtocolError
	if !errors.As(err, &broken) || !strings.Contains(err.Error(), "unanswered") {
		t.Errorf("after %d requests without an answer: %v", maxCalls, err)
	}
}

// A folder's listing keeps names for long. With each may come a packet full of
// what is no name at all.
func TestNamesDoNotKeepTheirPackets(t *testing.T) {
	packet := binary.BigEndian.AppendUint32(nil, 2)
	for _, name := range []string{"short", strings.Repeat("x", 200<<10)} {
		packet = appendString(packet, name)
		packet = appendString(packet, "")
		packet = binary.BigEndian.AppendUint32(packet, 0) // no attributes
	}
	var kept []string
	for range 500 {
		names, err := parseNames(packet)
		if err != nil || len(names) != 2 || names[0].Name != "short" || len(names[1].Name) != 200<<10 {
			t.Fatalf("got %d names, %v", len(names), err)
		}
		kept = append(kept, names[0].Name)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if m.HeapAlloc > 50<<20 {
		t.Errorf("%d short names keep %d MiB", len(kept), m.HeapAlloc>>20)
	}
	runtime.KeepAlive(kept)
}
