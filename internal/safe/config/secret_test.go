package config

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestSecretRefRead(t *testing.T) {
	dir := t.TempDir()
	write := func(name string, content []byte, mode os.FileMode) {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, content, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
	}
	write("good", []byte("hunter2\n"), 0o400)
	write("group", []byte("hunter2\n"), 0o440)
	write("world", []byte("hunter2\n"), 0o604)
	write("writable", []byte("hunter2\n"), 0o420)
	write("empty", nil, 0o400)
	write("large", bytes.Repeat([]byte("x"), maxSecret+1), 0o400)
	if err := syscall.Mkfifo(filepath.Join(dir, "pipe"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("CREDENTIALS_DIRECTORY", dir)

	tests := []struct{ ref, want, problem string }{
		{"file:" + dir + "/good", "hunter2\n", ""},
		{"file:" + dir + "/group", "", "chmod 0400 " + dir + "/group"},
		{"file:" + dir + "/world", "", "chmod 0400"},
		{"file:" + dir + "/writable", "", "chmod 0400"},
		{"file:" + dir + "/empty", "", "is empty"},
		{"file:" + dir + "/large", "", "larger than"},
		{"file:" + dir + "/pipe", "", "not a regular file"},
		{"file:" + dir, "", "not a regular file"},
		{"file:" + dir + "/none", "", "no such file"},
		{"credential:good", "hunter2\n", ""},
		{"credential:group", "hunter2\n", ""}, // as systemd shows its ACL
		{"credential:pipe", "", "not a regular file"},
		{"credential:none", "", "no such file"},
	}
	for _, tt := range tests {
		ref, err := parseSecretRef(tt.ref)
		if err != nil {
			t.Fatal(err)
		}
		if ref.String() != tt.ref {
			t.Errorf("%s shows itself as %s", tt.ref, ref)
		}
		b, err := ref.Read()
		switch {
		case tt.problem == "" && (err != nil || string(b) != tt.want):
			t.Errorf("%s: %q, %v, want %q", ref, b, err, tt.want)
		case tt.problem != "" && (err == nil || !strings.Contains(err.Error(), tt.problem) || b != nil):
			t.Errorf("%s: %q, %v, want an error with %q", ref, b, err, tt.problem)
		case err != nil && strings.Contains(err.Error(), "hunter2"):
			t.Errorf("the secret is in the error: %v", err)
		}
	}

	t.Setenv("CREDENTIALS_DIRECTORY", "")
	ref, _ := parseSecretRef("credential:good")
	if _, err := ref.Read(); err == nil || !strings.Contains(err.Error(), "LoadCredential=good:") {
		t.Errorf("outside of systemd: %v", err)
	}
}
