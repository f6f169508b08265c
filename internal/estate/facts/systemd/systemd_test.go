package systemd

import (
	"archive/tar"
	"compress/gzip"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

var here = facts.Place{Source: "app", Path: "units", Scope: "app1", Seen: time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)}

// debian returns the units of Debian 12.
func debian(t *testing.T) []facts.File {
	t.Helper()
	f, err := os.Open("testdata/systemd-units-debian12.tar.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	var all []facts.File
	for r := tar.NewReader(z); ; {
		h, err := r.Next()
		if err == io.EOF {
			return all
		}
		if err != nil {
			t.Fatal(err)
		}
		if h.Typeflag == tar.TypeReg {
			b, err := io.ReadAll(r)
			if err != nil {
				t.Fatal(err)
			}
			all = append(all, facts.File{Path: h.Name, Data: b})
		}
	}
}

func TestDebian(t *testing.T) {
	files := debian(t)
	units, err := parse(here, files)
	if err != nil {
		t.Fatal(err)
	}
	// The known number is of the units alone; what other files add to them is two
	// more.
	alone, err := parse(here, slices.DeleteFunc(slices.Clone(files), func(f facts.File) bool { return strings.Contains(f.Path, ".d/") }))
	if err != nil {
		t.Fatal(err)
	}
	if n := len(order(alone)); n != 483 {
		t.Errorf("%d edges of order without drop-ins, want 483", n)
	}
	edges := order(units)
	if len(units) != 248 || len(edges) != 485 {
		t.Errorf("%d units with %d edges of order, want 248 with 485", len(units), len(edges))
	}
	if knot := knots(edges); len(knot) > 0 {
		t.Errorf("a knot where there is none: %q", knot)
	}
	f, err := Read(here, files)
	if err != nil {
		t.Fatal(err)
	}
	if len(f.Links) > 0 || len(f.Doubts) > 0 || len(f.Components) != 1 {
		t.Errorf("want the host alone, got %d components, links %v, doubts %q", len(f.Components), f.Links, f.Doubts)
	}
	var got []string
	for _, e := range f.Components[0].Evidence {
		got = append(got, e.Place+": "+e.Detail)
	}
	for _, want := range []string{
		"units: network-online.target: waits for the network: chrony-dnssrv@.service, docker.service",
		"units: nss-lookup.target: waits for names of hosts: nginx.service, rpc-statd-notify.service, rpc-statd.service",
		"units: nss-user-lookup.target: waits for users and groups: cron.service",
		"units: remote-fs.target: waits for remote files: ",
		"units: time-sync.target: waits for the right time: ",
	} {
		if !strings.Contains(strings.Join(got, "\n"), want) {
			t.Errorf("%q is not in the evidence:\n%s", want, strings.Join(got, "\n"))
		}
	}
}

// spell writes links as "from -> to need", one a line.
func spell(f estate.Facts) string {
	var b strings.Builder
	for _, l := range f.Links {
		fmt.Fprintf(&b, "%s -> %s %s\n", l.From.ID, l.To.ID, l.Need)
	}
	return b.String()
}

func TestOwnUnits(t *testing.T) {
	text := func(path, text string) facts.File { return facts.File{Path: path, Data: []byte(text)} }
	f, err := Read(here, []facts.File{
		text("/etc/systemd/system/erp.service", "# Requires=old.service\n[Unit]\nDescription=x\nRequires=postgresql.service \\\n  redis.service\nAfter=postgresql.service network-online.target\n"+
			"Wants=mail.service\nAfter=log.service\n[Service]\nAfter=not.service\nEnvironment=PASSWORD=hunter2\n"),
		text("/etc/systemd/system/erp.service.d/more.conf", "[Unit]\nBindsTo=license.service\n"),
		text("/etc/systemd/system/erp.service.wants/metrics.service", ""),
		text("/usr/lib/systemd/system/erp.service", "[Unit]\nRequires=hidden.service\n"),
		text("/usr/lib/systemd/system/nginx.service", "[Unit]\nRequires=hidden.service\n"),
		text("/etc/systemd/network/x.service", "[Unit]\nRequires=hidden.service\n"),
	})
	if err != nil {
		t.Fatal(err)
	}
	want := `service/app1/erp -> host/app1 hosting
service/app1/erp -> service/app1/license start
service/app1/erp -> service/app1/log soft
service/app1/erp -> service/app1/mail soft
service/app1/erp -> service/app1/metrics soft
service/app1/erp -> service/app1/postgresql start
service/app1/erp -> service/app1/redis start
service/app1/license -> host/app1 hosting
service/app1/log -> host/app1 hosting
service/app1/mail -> host/app1 hosting
service/app1/metrics -> host/app1 hosting
service/app1/postgresql -> host/app1 hosting
service/app1/redis -> host/app1 hosting
`
	if diff := cmp.Diff(want, spell(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string(nil), f.Doubts); diff != "" {
		t.Errorf("doubts: -want +got\n%s", diff)
	}
}

func TestKnots(t *testing.T) {
	for _, tt := range []struct{ name, edges, want string }{
		{"none", "a>b b>c a>c", ""},
		{"two", "a>b b>a c>a b>d", "a b"},
		{"itself", "a>a b>a", "a"},
		{"two knots and what is between", "a>b b>a b>c c>d d>e e>d", "a b c d e"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var edges []edge
			for _, e := range strings.Fields(tt.edges) {
				after, before, _ := strings.Cut(e, ">")
				edges = append(edges, edge{after, before})
			}
			if got := strings.Join(knots(edges), " "); got != tt.want {
				t.Errorf("the knot of %s is %q, want %q", tt.edges, got, tt.want)
			}
		})
	}
	f, err := Read(here, []facts.File{
		{Path: "/etc/systemd/system/a.service", Data: []byte("[Unit]\nAfter=b.service\n")},
		{Path: "/etc/systemd/system/b.service", Data: []byte("[Unit]\nBefore=x.service\nAfter=a.service\n")},
	})
	if err != nil || len(f.Doubts) != 1 || !strings.Contains(f.Doubts[0], "a.service, b.service") {
		t.Errorf("got doubts %q, %v", f.Doubts, err)
	}
}

func TestKnows(t *testing.T) {
	for name, want := range map[string]bool{
		"/etc/systemd/system/erp.service": true, "lib/systemd/system/x@.timer": true, "/etc/systemd/system/erp.service.d/a.conf": true,
		"/etc/systemd/system/multi-user.target.wants/a.service": true, "/etc/systemd/system/erp.txt": false, "/etc/systemd/journald.conf": false,
		"/etc/systemd/system/a.d/b/c.conf": false, "/x/etc/systemd/system/erp.service": false,
	} {
		if got := Knows(name); got != want {
			t.Errorf("Knows(%q) = %v, want %v", name, got, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add("erp.service", "[Unit]\nAfter=a.service\\\n b.service\n", "[Unit]\nBefore=erp.service\n")
	f.Add("erp.service.d/x.conf", "[Unit]\nRequires=%i.service\n", "[Unit]\n")
	f.Fuzz(func(t *testing.T, name, one, other string) {
		files := []facts.File{{Path: "/etc/systemd/system/" + name, Data: []byte(one)}, {Path: "/etc/systemd/system/erp.service", Data: []byte(other)}}
		got, err := Read(here, files)
		if err != nil {
			return
		}
		again, err := Read(here, files)
		if err != nil || !cmp.Equal(got, again) {
			t.Errorf("read twice: %v\n%s", err, cmp.Diff(got, again))
		}
		if slices.ContainsFunc(got.Links, func(l estate.Link) bool { return l.From == l.To }) {
			t.Error("a unit needs itself")
		}
	})
}
