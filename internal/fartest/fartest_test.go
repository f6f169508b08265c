package fartest

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"
)

// Bytes take their time in both directions, all come, and many are under way
// at once.
func TestLink(t *testing.T) {
	const delay = 20 * time.Millisecond
	echo, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer echo.Close()
	go func() {
		conn, err := echo.Accept()
		if err == nil {
			io.Copy(conn, conn)
			conn.Close()
		}
	}()
	link := ForTest(t, echo.Addr().String(), delay)
	conn, err := net.Dial("tcp", link.Addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	want := bytes.Repeat([]byte("all of it"), 1<<20)
	begin := time.Now()
	go func() {
		conn.Write(want)
		conn.(*net.TCPConn).CloseWrite()
	}()
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(begin); took < 2*delay {
		t.Errorf("the first byte was back after %v", took)
	}
	rest, err := io.ReadAll(conn)
	if got := append(first[:], rest...); err != nil || !bytes.Equal(got, want) {
		t.Errorf("%d of %d bytes, %v", len(got), len(want), err)
	}
}
