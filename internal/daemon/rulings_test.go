package daemon

import (
	"errors"
	"os"
	"strings"
	"testing"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/safe/config"
)

// What people say wins over what is discovered; and the configuration over what
// they said with commands, whenever that was.
func TestRulings(t *testing.T) {
	d := newDesk(t)
	night, err := d.collect("facts", 0)
	if err != nil {
		t.Fatal(err)
	}
	seen := estate.NewID(estate.Host, night.Snapshot.Run.String())
	needs := func(want ...estate.Need) {
		t.Helper()
		m, err := d.safe.Map(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		var got []estate.Need
		for _, dep := range m.Between("host/a", seen) {
			got = append(got, dep.Need)
		}
		if len(got) != len(want) || len(got) > 0 && got[0] != want[0] {
			t.Errorf("host/a needs it to %v, want %v", got, want)
		}
		for _, doubt := range m.Doubts {
			if strings.Contains(doubt, "contradict") && d.cfg.Components == nil {
				t.Error(doubt)
			}
		}
	}
	say := func(verdict estate.Verdict, need estate.Need) error {
		d.now = d.now.Add(time.Millisecond)
		return d.safe.Rule(t.Context(), estate.Ruling{Verdict: verdict, From: "host/a", To: seen, Need: need, Evidence: estate.Evidence{Detail: "why"}}, "ada")
	}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	needs(estate.Run)
	must(say(estate.Rejected, ""))
	needs()
	must(say(estate.Added, estate.Start)) // of the same two, but of one need
	must(say(estate.Rejected, ""))
	needs()
	must(say(estate.Rejected, estate.Soft)) // which takes back nothing of the others
	needs()
	taken, err := d.safe.WithdrawRulings(t.Context(), "host/a", seen, "wrong", "bo")
	if err != nil || len(taken) != 2 {
		t.Errorf("taken back: %v, %v", taken, err)
	}
	needs(estate.Run)
	if _, err := d.safe.WithdrawRulings(t.Context(), "host/a", seen, "wrong", "bo"); !errors.Is(err, ErrNothingSaid) {
		t.Errorf("nothing is left to take back: %v", err)
	}

	must(say(estate.Rejected, estate.Run))
	needs()
	d.cfg.Components = []config.Component{{ID: "host/a", DependsOn: []config.Relation{{To: seen, Need: estate.Run, By: "mia"}}}}
	d.safe.reconfigured()
	needs(estate.Run)
	var overruled *OverruledError
	if err := say(estate.Rejected, estate.Run); !errors.As(err, &overruled) || overruled.By.Source != "mia" {
		t.Errorf("what the configuration says otherwise: %v", err)
	}
	d.cfg.Components = []config.Component{{ID: "host/a", NotOn: []config.Relation{{To: seen, By: "mia"}}}}
	d.safe.reconfigured()
	if err := say(estate.Confirmed, estate.Run); !errors.As(err, &overruled) {
		t.Errorf("what the configuration says otherwise: %v", err)
	}
	d.cfg.Components = nil
	d.safe.reconfigured()
	for _, r := range []estate.Ruling{
		{Verdict: estate.Added, From: "host/a", To: "host/a", Need: estate.Run},
		{Verdict: estate.Added, From: "host/a", To: "b", Need: estate.Run},
		{Verdict: estate.Added, From: "host/a", To: "host/b"},
		{Verdict: estate.Added, From: "host/a", To: "host/b", Need: "hard"},
	} {
		if err := d.safe.Rule(t.Context(), r, "ada"); err == nil {
			t.Errorf("%+v was recorded", r)
		}
	}
}

// A version of the map is kept when it says something else, not when the same
// was seen again.
func TestVersionsOfTheMap(t *testing.T) {
	d := newDesk(t)
	kept := func() (days int) {
		t.Helper()
		for back := 0; back < 20; back++ {
			at := d.now.AddDate(0, 0, -back)
			if v, ok, err := d.safe.state.View(t.Context()).NewestMap(at); err != nil {
				t.Fatal(err)
			} else if ok && v.Taken.Unix()/86400 == at.Unix()/86400 {
				days++
			}
		}
		return days
	}
	if _, _, err := d.safe.MapAt(t.Context(), d.now); !errors.Is(err, ErrNoMap) {
		t.Errorf("before all collections: %v", err)
	}
	collect := func(part string) {
		t.Helper()
		if _, err := d.collect(part, 0); err != nil {
			t.Fatal(err)
		}
		if err := d.safe.KeepMap(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	began := d.now
	collect("facts")
	d.now = d.now.AddDate(0, 0, 1)
	collect("facts") // another host was seen
	d.now = d.now.AddDate(0, 0, 1)
	if err := d.safe.keepMap(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got := kept(); got != 2 {
		t.Errorf("%d versions are kept, want those of the 2 days with something new", got)
	}
	before, taken, err := d.safe.MapAt(t.Context(), began.Add(time.Hour))
	if err != nil || taken.Unix() < began.Unix() || taken.After(began.Add(time.Hour)) {
		t.Fatalf("the first is of %v, %v", taken, err)
	}
	now, err := d.safe.Map(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if c := estate.Diff(before, now, began); len(c.Needed) != 1 || len(c.Gone) > 0 {
		t.Errorf("since the first: %+v", c)
	}
	oldest, _, err := d.safe.MapAt(t.Context(), began.AddDate(-1, 0, 0))
	if err != nil || !estate.Same(oldest, before) {
		t.Errorf("before the first: %v", err)
	}
	b, err := packMap(now)
	if err != nil {
		t.Fatal(err)
	}
	for _, bad := range [][]byte{nil, b[:len(b)/2], []byte("{}")} {
		if _, err := unpackMap(bad); err == nil {
			t.Errorf("%d bytes were read as a map", len(bad))
		}
	}
}

// The collector gets the token and who vouches for the API, not where they are.
func TestWhatAnAPIIsAsked(t *testing.T) {
	dir := t.TempDir()
	write := func(name, content string) string {
		t.Helper()
		if err := os.WriteFile(dir+"/"+name, []byte(content), 0o400); err != nil {
			t.Fatal(err)
		}
		return dir + "/" + name
	}
	ask := func(more string) (string, string, error) {
		t.Helper()
		c, err := config.Parse("test.yaml", []byte("safe: test\nstore: /s\nsources: { a: { kind: facts-api, url: 'https://x/', format: netbox"+more+" } }"))
		if err != nil {
			t.Fatal(err)
		}
		task, err := askOf(c.Sources[0].Spec.(config.FactsAPI))
		return task.Authorization, string(task.Authority), err
	}
	token, ca := write("token", "hush\n"), write("ca", "pem")
	if header, authority, err := ask(", token: file:" + token + ", ca: " + ca); err != nil || header != "Token hush" || authority != "pem" {
		t.Errorf("it is asked with %q and %q, %v", header, authority, err)
	}
	if header, authority, err := ask(""); err != nil || header != "" || authority != "" {
		t.Errorf("without both it is asked with %q and %q, %v", header, authority, err)
	}
	for _, more := range []string{", token: file:/nowhere", ", ca: /nowhere", ", ca: " + write("empty", "")} {
		if _, _, err := ask(more); err == nil {
			t.Errorf("%s: no error", more)
		}
	}
}
