package pattern

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/source"
)

func TestCompileRefuses(t *testing.T) {
	for _, line := range []string{
		"", "etc", "./etc", "~/x", "/", "//", "//etc", "/etc//erp", "/etc/../shadow", "/..", "/.", "/etc/.", `/etc/\.\.`,
		"/etc/\x00", "/a**", "/**b/c", "**b/c", "*/c", "***", "/a/***", "/[a", "/[", "/[z-a]", `/a\`, "/" + strings.Repeat("n", 256), strings.Repeat("/a", 2049),
	} {
		if _, err := Compile([]string{line}, nil); err == nil {
			t.Errorf("include line %.60q was accepted", line)
		}
		if _, err := Compile([]string{"/ok"}, []string{line}); err == nil {
			t.Errorf("exclude line %.60q was accepted", line)
		}
	}
	if _, err := Compile(nil, []string{"/a"}); err == nil {
		t.Error("a list without include lines was accepted")
	}
}

// answer walks path down from the root and says what became of it: "in", "out"
// (excluded, at this name or above), "way" (something beneath may be wanted)
// or "no".
func answer(l *List, path string) string {
	place := l.Root()
	names := strings.Split(strings.TrimPrefix(path, "/"), "/")
	for i, name := range names {
		v := place.Match(name)
		switch {
		case v.Excluded:
			return "out"
		case i == len(names)-1 && v.Included:
			return "in"
		case v.Beneath == nil:
			return "no"
		case i == len(names)-1:
			return "way"
		}
		place = v.Beneath
	}
	panic("unreachable: a path has at least one name")
}

func TestMatch(t *testing.T) {
	tests := []struct {
		include, exclude string // separated by blanks
		want             string // path=answer
	}{
		{"/etc/erp", "", "/etc=way /etc/erp=in /etc/erp/a=in /etc/erp/a/b=in /etc/erpx=no /etc/other=no /usr=no"},
		{"/etc/erp/", "", "/etc/erp=in /etc/erp/a=in"},
		{"/srv/up/**", "", "/srv=way /srv/up=way /srv/up/a=in /srv/up/a/b=in /srv/upx=no"},
		{"/home/*/.ssh/authorized_keys", "", "/home/u=way /home/u/.ssh=way /home/u/.ssh/authorized_keys=in /home/u/.ssh/id=no /home/u/x=no"},
		{"/srv/**/conf/*.yml", "", "/srv/conf/a.yml=in /srv/a/conf/b.yml=in /srv/a/b/conf/c.yml=in /srv/a/b=way /srv/conf/a.txt=way /srv/a/conf/conf/x.yml=in"},
		{"/**/x", "", "/x=in /a/x=in /a/b/x/c=in /a=way"},
		{"**/x", "", "/x=in /a/x=in /a/b/x/c=in /a=way"},
		{"**", "/tmp", "/a=in /a/b=in /tmp=out"},
		{"/srv", "**/*.tmp", "/srv/a.tmp=out /srv/a/b.tmp=out /srv/a/b.tmpx=in"},
		{"/a/**/**/b", "", "/a/b=in /a/c/b=in"},
		{"/srv", "/srv/cache", "/srv/a=in /srv/cache=out /srv/cache/x=out"},
		{"/srv", "/srv/cache/**", "/srv/cache=in /srv/cache/x=out"},
		{"/srv", "/srv/**/*.tmp", "/srv/a.tmp=out /srv/a/b.tmp=out /srv/a/b.tmpx=in"},
		{"/srv/a/b", "/srv/a", "/srv=way /srv/a=out /srv/a/b=out"},
		{"/srv /srv/a", "", "/srv/a/b=in /srv/b=in"},
		{"/d/?.[a-c0]", "", "/d/x.a=in /d/x.0=in /d/x.d=no /d/xx.a=no"},
		{"/d/[!a]b", "", "/d/xb=in /d/ab=no"},
		{"/d/[]x-]", "", "/d/]=in /d/-=in /d/x=in /d/y=no"},
		{`/d/\*\[`, "", "/d/*[=in /d/a[=no"},
		{"/d/*a*b*", "", "/d/ab=in /d/xaxbx=in /d/ba=no"},
		{"/d/\xff*", "", "/d/\xff\xfe=in /d/\xfe=no"},
	}
	for _, tt := range tests {
		l, err := Compile(strings.Fields(tt.include), strings.Fields(tt.exclude))
		if err != nil {
			t.Fatalf("include %q, exclude %q: %v", tt.include, tt.exclude, err)
		}
		for pair := range strings.FieldsSeq(tt.want) {
			path, want, _ := strings.Cut(pair, "=")
			if got := answer(l, path); got != want {
				t.Errorf("include %q, exclude %q: %s is %q, want %q", tt.include, tt.exclude, path, got, want)
			}
		}
	}
}

func TestNamesAvoidsListing(t *testing.T) {
	l, err := Compile([]string{"/etc/erp", "/srv/a", "/srv/b", `/srv/a\*`, "/home/*/x"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	names, all := l.Root().Names()
	if want := []string{"etc", "home", "srv"}; all || !cmp.Equal(names, want) {
		t.Errorf("names in / are %q (all: %v), want %q", names, all, want)
	}
	names, all = l.Root().Match("srv").Beneath.Names()
	if want := []string{"a", "a*", "b"}; all || !cmp.Equal(names, want) {
		t.Errorf("names in /srv are %q (all: %v), want %q", names, all, want)
	}
	for _, folder := range []string{"home", "etc"} {
		place := l.Root().Match(folder).Beneath
		if folder == "etc" {
			place = place.Match("erp").Beneath
		}
		if _, all := place.Names(); !all {
			t.Errorf("the folder under %s must be listed, and Names says otherwise", folder)
		}
	}
}

func TestNamed(t *testing.T) {
	l, err := Compile([]string{"/var/run/x", "/srv/*/data", "/opt/**/y"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{"var/run": true, "srv/a": true, "opt/a": false, "var/run/x": false} {
		place := l.Root()
		var v Verdict
		for name := range strings.SplitSeq(path, "/") {
			v = place.Match(name)
			place = v.Beneath
		}
		if v.Named != want {
			t.Errorf("%s: named %v, want %v", path, v.Named, want)
		}
	}
}

func TestTally(t *testing.T) {
	l, err := Compile([]string{"/a", "/a/b", "/c"}, []string{"/a/x"})
	if err != nil {
		t.Fatal(err)
	}
	tally := l.NewTally()
	a := l.Root().Match("a")
	for _, v := range []Verdict{a, a.Beneath.Match("b"), a.Beneath.Match("b").Beneath.Match("d"), a.Beneath.Match("x"), a.Beneath.Match("y")} {
		tally.Count(v)
	}
	want := []source.Match{{Pattern: "/a", Entries: 4}, {Pattern: "/a/b", Entries: 2}, {Pattern: "/c"}, {Pattern: "/a/x", Exclude: true, Entries: 1}}
	if diff := cmp.Diff(want, tally.Matches()); diff != "" {
		t.Errorf("matches (-want +got):\n%s", diff)
	}
}

// TestNoExplosion matches what would take a backtracking matcher for ever.
func TestNoExplosion(t *testing.T) {
	begin := time.Now()
	l, err := Compile([]string{"/" + strings.Repeat("a*", 120) + "b", strings.Repeat("/**/a", 400) + "/b"}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if got := answer(l, "/"+strings.Repeat("a", 255)); got != "way" {
		t.Errorf("a name of 255 a is %q, want \"way\"", got)
	}
	if got := answer(l, strings.Repeat("/a", 1000)); got != "way" {
		t.Errorf("a path of 1000 folders is %q, want \"way\"", got)
	}
	if took := time.Since(begin); took > 5*time.Second {
		t.Errorf("matching took %v", took)
	}
}

// reference translates a line to a regular expression over whole paths: an
// independent statement of what it means.
func reference(line string) *regexp.Regexp {
	var re strings.Builder
	re.WriteString(`(?s)\A`)
	parts := strings.Split(strings.TrimSuffix(strings.TrimPrefix(line, "/"), "/"), "/")
	for i, part := range parts {
		switch {
		case part == "**" && i == len(parts)-1:
			re.WriteString(`/[^/]+`)
		case part == "**":
			re.WriteString(`(/[^/]+)*`)
		default:
			re.WriteString("/")
			for _, c := range []byte(part) {
				switch c {
				case '*':
					re.WriteString(`[^/]*`)
				case '?':
					re.WriteString(`[^/]`)
				default:
					re.WriteString(regexp.QuoteMeta(string(rune(c))))
				}
			}
		}
	}
	re.WriteString(`(/.*)?\z`)
	return regexp.MustCompile(re.String())
}

func FuzzMatch(f *testing.F) {
	f.Add("/a/**/b*", "/a/x/y/bc")
	f.Add("/**/a/**", "/a/a/a")
	f.Add("**/a", "/b/a")
	f.Add("/*?*", "/xyz/a")
	f.Add("/[a-", "/a")
	f.Add(`/\*[!x]`, "/*y")
	f.Fuzz(func(t *testing.T, line, path string) {
		l, err := Compile([]string{line}, nil)
		if err != nil || !strings.HasPrefix(path, "/") || strings.Contains(path+"/", "//") {
			return
		}
		got := answer(l, path) // must not panic or hang, whatever it says
		for _, c := range []byte(line + path) {
			if c >= 0x80 || strings.IndexByte(`[\`, c) >= 0 {
				return // beyond what the reference speaks
			}
		}
		if want := reference(line).MatchString(path); (got == "in") != want {
			t.Errorf("line %q, path %q: %q, and the reference says %v", line, path, got, want)
		}
	})
}
