package hubble

import (
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts/factstest"
)

func TestDocumented(t *testing.T) {
	b, err := os.ReadFile("testdata/hubble-export-cilium-docs.jsonl")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(factstest.Place, b)
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	if diff := cmp.Diff([]string{"service/default/xwing -> service/default/deathstar soft 80/tcp"}, factstest.Links(f)); diff != "" {
		t.Fatalf("-want +got\n%s", diff)
	}
	seen := time.Date(2023, 8, 21, 12, 12, 18, 510175415, time.UTC)
	want := []estate.Evidence{{Basis: estate.Observed, Source: "files", Place: "file: xwing to deathstar", Detail: "wanted, and refused: policy denied", First: seen, Last: seen, Count: 1}}
	if diff := cmp.Diff(want, f.Links[0].Evidence); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestFlows(t *testing.T) {
	const (
		web = `"source":{"namespace":"shop","workloads":[{"name":"web","kind":"Deployment"}],"pod_name":"web-5d4f8c7b9-x2x4z"}`
		db  = `"destination":{"namespace":"shop","pod_name":"db-0"}`
		ip  = `"IP":{"source":"10.0.0.1","destination":"10.0.0.2"}`
		out = `"l4":{"TCP":{"source_port":40000,"destination_port":5432}}`
	)
	for _, tt := range []struct{ name, flow, want string }{
		{"a call", ip + `,` + web + `,` + db + `,` + out + `,"is_reply":false,"verdict":"FORWARDED"`, "service/shop/web -> service/shop/db run 5432/tcp"},
		{"in lower case", `"ip":{"source":"10.0.0.1"},` + web + `,` + db + `,"l4":{"tcp":{"source_port":40000,"destination_port":5432}},"verdict":"forwarded"`, "service/shop/web -> service/shop/db run 5432/tcp"},
		{"a reply", ip + `,` + web + `,` + db + `,` + out + `,"is_reply":true,"verdict":"FORWARDED"`, ""},
		{"a reply of old", ip + `,` + web + `,` + db + `,` + out + `,"reply":true,"verdict":"FORWARDED"`, ""},
		{"a reply by its flags", ip + `,` + web + `,` + db + `,"l4":{"TCP":{"source_port":5432,"destination_port":1000,"flags":{"SYN":true,"ACK":true}}}`, ""},
		{"a reply by its ports", ip + `,` + web + `,` + db + `,"l4":{"TCP":{"source_port":5432,"destination_port":40000}}`, ""},
		{"refused", ip + `,` + web + `,` + db + `,` + out + `,"verdict":"DROPPED","drop_reason_desc":"POLICY_DENIED"`, "service/shop/web -> service/shop/db soft 5432/tcp"},
		{"to a name", ip + `,` + web + `,"destination":{"labels":["reserved:world"]},"destination_names":["pay.example.com"],` + out, "service/shop/web -> pay.example.com run 5432/tcp"},
		{"to an address", ip + `,` + web + `,"destination":{"labels":["reserved:world"]},` + out, "service/shop/web -> 10.0.0.2 run 5432/tcp"},
		{"to a service", ip + `,` + web + `,"destination":{},"destination_service":{"name":"db","namespace":"shop"},` + out, "service/shop/web -> service/shop/db run 5432/tcp"},
		{"from a machine", ip + `,"source":{},` + db + `,` + out, "10.0.0.1 -> service/shop/db run 5432/tcp"},
		{"from a user", `"IP":{"source":"203.0.113.1","destination":"10.0.0.2"},"source":{"labels":["reserved:world"]},` + db + `,` + out, ""},
		{"names by UDP", ip + `,` + web + `,"destination":{"namespace":"kube-system","pod_name":"coredns-5d78c9869d-4zxpk"},"l4":{"UDP":{"source_port":40000,"destination_port":53}}`, "service/shop/web -> service/kube-system/coredns run 53/udp"},
		{"telemetry", ip + `,` + web + `,"destination":{"cluster_name":"east","namespace":"o11y","pod_name":"otel-collector-7hk2x"},` + out, "service/shop/web -> service/east/o11y/otel-collector telemetry 5432/tcp"},
		{"to itself", ip + `,` + web + `,"destination":{"namespace":"shop","pod_name":"web-5d4f8c7b9-w2x4z"},` + out, ""},
		{"no port", ip + `,` + web + `,` + db + `,"l4":{"ICMPv4":{"type":8}}`, ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			f, err := Read(factstest.Place, []byte(`{"flow":{`+tt.flow+`},"node_name":"n","time":"2026-07-01T00:00:00Z"}`+"\n"+`{"node_status":{},"node_name":"n"}`))
			if err != nil {
				t.Fatal(err)
			}
			factstest.Sound(t, f)
			if got := strings.Join(factstest.Links(f), "\n"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

func TestWorkloads(t *testing.T) {
	for pod, want := range map[string]string{
		"xwing": "xwing", "deathstar-7848d6c4d5-th9v2": "deathstar", "cilium-x7k2p": "cilium", "db-12": "db",
		"web-front": "web-front", "api-gateway": "api-gateway", "": "", "-": "-",
	} {
		if got := (endpoint{Pod: pod}).workload(); got != want {
			t.Errorf("pod %q is of %q, want %q", pod, got, want)
		}
	}
}

// A flow that is seen at both ends, and often, is one dependency.
func TestCount(t *testing.T) {
	line := func(at string) string {
		return `{"flow":{"time":"` + at + `","IP":{"source":"10.0.0.1","destination":"10.0.0.2"},"l4":{"TCP":{"source_port":40000,"destination_port":80}},"source":{"pod_name":"a"},"destination":{"pod_name":"b"}}}` + "\n"
	}
	f, err := Read(factstest.Place, []byte(line("2026-07-01T03:00:00Z")+line("2026-07-01T01:00:00Z")+line("2026-07-01T02:00:00Z")))
	if err != nil {
		t.Fatal(err)
	}
	e := f.Links[0].Evidence[0]
	if e.Count != 3 || e.First.Hour() != 1 || e.Last.Hour() != 3 {
		t.Errorf("evidence is %+v, want three from one o'clock to three", e)
	}
}

func TestNotFlows(t *testing.T) {
	for text, want := range map[string]string{
		"":                                "no flows",
		"{}":                              "line 1 is no flow",
		"hunter2":                         "line 1 is no flow",
		`{"flow":{"time":"hunter2"}` + "": "line 1 is no flow",
		`{"flow":{"l4":"hunter2"}}`:       "line 1 is no flow",
	} {
		if _, err := Read(factstest.Place, []byte(text)); err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("Read(%q) = %v, want an error with %q", text, err, want)
		}
	}
}

func FuzzRead(f *testing.F) {
	b, err := os.ReadFile("testdata/hubble-export-cilium-docs.jsonl")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Fuzz(func(t *testing.T, b []byte) {
		got, err := Read(factstest.Place, b)
		if err != nil {
			return
		}
		factstest.Sound(t, got)
		if again, err := Read(factstest.Place, b); err != nil || !cmp.Equal(got, again) {
			t.Errorf("read twice: %v\n%s", err, cmp.Diff(got, again))
		}
	})
}
