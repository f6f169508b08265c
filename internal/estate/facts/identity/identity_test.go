package identity

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

var here = facts.Place{Source: "app", Scope: "10.0.0.2", Seen: time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)}

func TestRead(t *testing.T) {
	f, err := Read(here, []facts.File{
		{Path: "/etc/hostname", Data: []byte("app1\n")},
		{Path: "/etc/hosts", Data: []byte("127.0.0.1 localhost\n127.0.1.1\tapp1.example.com app1\n10.0.0.9 db1.example.com db1\n")},
		{Path: "/etc/machine-id", Data: []byte("9f86d081884c7d659a2feaa0c55ad015\n")},
		{Path: "/sys/class/dmi/id/product_uuid", Data: []byte("00000000-0000-0000-0000-000000000000\n")},
		{Path: "/etc/os-release", Data: []byte("NAME=\"Debian GNU/Linux\"\nPRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\n")},
		{Path: "/etc/shadow", Data: []byte("root:hunter2")},
	})
	if err != nil {
		t.Fatal(err)
	}
	declared := func(path, detail string) estate.Evidence {
		return estate.Evidence{Basis: estate.Declared, Source: "app", Place: path, Detail: detail, First: here.Seen, Last: here.Seen}
	}
	want := estate.Facts{Components: []estate.Component{{
		ID:      "host/10.0.0.2",
		Label:   "app1",
		Aliases: []estate.Alias{"app1.example.com", "machine:9f86d081884c7d659a2feaa0c55ad015"},
		Evidence: []estate.Evidence{
			declared("/etc/hosts", "app1.example.com"),
			declared("/etc/machine-id", "machine:9f86d081884c7d659a2feaa0c55ad015"),
			declared("/etc/os-release", "Debian GNU/Linux 12 (bookworm)"),
		},
	}}}
	if diff := cmp.Diff(want, f); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestFullNameInHostname(t *testing.T) {
	f, err := Read(here, []facts.File{{Path: "etc/hostname", Data: []byte("app1.example.com\n")}})
	if err != nil {
		t.Fatal(err)
	}
	if c := f.Components[0]; c.Label != "app1" || !cmp.Equal(c.Aliases, []estate.Alias{"app1.example.com"}) {
		t.Errorf("got %+v", c)
	}
}

func TestTooMuch(t *testing.T) {
	if _, err := Read(here, []facts.File{{Path: "/etc/hosts", Data: make([]byte, maxFile+1)}}); err == nil || !strings.Contains(err.Error(), "/etc/hosts") {
		t.Errorf("got %v, want an error about the file", err)
	}
}

func FuzzRead(f *testing.F) {
	f.Add("/etc/hosts", "127.0.1.1 a.b\n")
	f.Add("/etc/machine-id", "9f86d081884c7d65")
	f.Add("/etc/hostname", "app1.example.com")
	f.Add("/etc/os-release", "PRETTY_NAME='x'")
	f.Fuzz(func(t *testing.T, path, text string) {
		got, err := Read(here, []facts.File{{Path: path, Data: []byte(text)}})
		if err != nil {
			return
		}
		for _, c := range got.Components {
			for _, a := range c.Aliases {
				if parsed, err := estate.ParseAlias(string(a)); err != nil || parsed != a {
					t.Errorf("alias %q is not one: %v", a, err)
				}
			}
		}
	})
}
