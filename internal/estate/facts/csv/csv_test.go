package csv

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate/facts/factstest"
)

func TestRead(t *testing.T) {
	f, err := Read(factstest.Place, []byte("\ufefffrom,to,port,kind\r\nhost/erp-app,10.0.0.5,5432,run\r\nweb1.example.com, host/erp-app ,8080/tcp,start\n\n\"service/shop/a\",host/a,,hosting\nhost/a,10.0.0.53,53/udp,soft\n"))
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	want := []string{
		"web1.example.com -> host/erp-app start 8080/tcp",
		"host/a -> 10.0.0.53 soft 53/udp",
		"host/erp-app -> 10.0.0.5 run 5432/tcp",
		"service/shop/a -> host/a hosting",
	}
	if diff := cmp.Diff(want, factstest.Links(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if got, want := f.Links[0].Evidence[0].Place, "file: line 3"; got != want {
		t.Errorf("the first is from %q, want %q", got, want)
	}
}

func TestRefused(t *testing.T) {
	for text, want := range map[string]string{
		"":                       "line 1: a table of dependencies begins with",
		"to,from,port,kind\n":    "line 1: a table",
		"from;to;port;kind\n":    "line 1: a table",
		"host/a,host/b,,run\n":   "line 1: a table",
		"+host/a,host/b\n":       "line 2: there are 2 columns",
		"+host/a,host/b,,run,\n": "line 2: there are 5 columns",
		"+host/a,host/b,,run\n\n\ndb1,host/b,,run\n": "line 5: from: \"db1\" is neither",
		"+host/a,hots/b,,run\n":                      "line 2: to: \"hots/b\" is not a component",
		"+host/a,host/b,,needs\n":                    "line 2: kind: \"needs\" is none of",
		"+host/a,host/b,,\n":                         "line 2: kind",
		"+host/a,host/b,0,run\n":                     "line 2: port",
		"+host/a,host/b,http,run\n":                  "line 2: port",
		"+host/a,host/b,80/sctp,run\n":               "line 2: port",
		"+host/a,host/a,80,run\n":                    "line 2: host/a needs itself",
		"+host/a,\"host/b,80,run\n":                  "line",
	} {
		text = strings.Replace(text, "+", "from,to,port,kind\n", 1)
		f, err := Read(factstest.Place, []byte(text))
		if err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("Read(%q) = %v, want an error with %q", text, err, want)
		}
		if len(f.Links) > 0 {
			t.Errorf("Read(%q) has links beside its error", text)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte("from,to,port,kind\nhost/erp-app,10.0.0.5,5432,run\nweb1.example.com,\"host/erp-app\",8080/tcp,start\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Read(factstest.Place, b)
		if err == nil {
			factstest.Sound(t, got)
		}
	})
}
