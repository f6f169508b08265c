package main

import (
	"bytes"
	"io"
	"os"
	"path/filepath"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// TestPassphrasesAreNotShown types a passphrase at a terminal, which must not
// show it, and must show what is typed afterwards.
func TestPassphrasesAreNotShown(t *testing.T) {
	d := atDesk(t, true)
	t.Setenv("STRONGROOM_PASSPHRASE_FILE", "")
	next := filepath.Join(d.at, "next")
	if err := os.WriteFile(next, []byte("another that nobody expects\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	screen, keyboard := pseudoterminal(t)
	defer screen.Close()
	seen := make(chan []byte, 1) // all that the terminal showed, once it is closed
	go func() {
		b, _ := io.ReadAll(screen) // ends with an error when nobody has the terminal open any more
		seen <- b
	}()
	done := make(chan int, 1)
	go func() {
		done <- run(t.Context(), []string{"keys", "passphrase", "--new-passphrase-file", next}, keyboard, keyboard, keyboard)
	}()
	unseen(t, screen)
	if _, err := io.WriteString(screen, deskPassphrase+"\n"); err != nil {
		t.Fatal(err)
	}
	select {
	case status := <-done:
		if status != exitDone {
			t.Errorf("it ended with %d", status)
		}
	case <-time.After(time.Minute):
		t.Fatal("the passphrase was not taken")
	}
	state, err := unix.IoctlGetTermios(int(screen.Fd()), unix.TCGETS)
	if err != nil || state.Lflag&unix.ECHO == 0 {
		t.Errorf("what is typed next would not be shown, %v", err)
	}
	keyboard.Close()
	b := <-seen
	if !bytes.Contains(b, []byte("Passphrase of your personal key:")) {
		t.Errorf("it was not asked for:\n%s", b)
	}
	if bytes.Contains(b, []byte("correct")) {
		t.Errorf("the passphrase was shown:\n%s", b)
	}
}
