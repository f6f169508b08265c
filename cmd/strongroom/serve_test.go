package main

import (
	"net"
	"path/filepath"
	"testing"
	"time"
)

// TestNotify receives what systemd would, by a path and by an abstract name.
func TestNotify(t *testing.T) {
	folder := t.TempDir()
	for _, name := range []string{filepath.Join(folder, "notify"), "@" + folder} {
		socket, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: name, Net: "unixgram"})
		if err != nil {
			t.Fatal(err)
		}
		t.Setenv("NOTIFY_SOCKET", name)
		if err := notify("READY=1"); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		socket.SetDeadline(time.Now().Add(5 * time.Second))
		b := make([]byte, 100)
		n, err := socket.Read(b)
		if err != nil || string(b[:n]) != "READY=1" {
			t.Errorf("%s: received %q, %v", name, b[:n], err)
		}
		socket.Close()
		if err := notify("READY=1"); err == nil {
			t.Errorf("%s: nobody listens any more, and that is no error", name)
		}
	}
	t.Setenv("NOTIFY_SOCKET", "")
	if err := notify("READY=1"); err != nil {
		t.Errorf("without systemd: %v", err)
	}
}
