package kiali

import (
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate/facts/factstest"
)

func TestBookinfo(t *testing.T) {
	b, err := os.ReadFile("testdata/kiali-bookinfo-versionedApp.json")
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(factstest.Place, b)
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	// 18 edges without three that lead to where they begin and four with an end
	// that is not known.
	want := []string{
		"service/east/bookinfo/productpage-v1 -> service/east/bookinfo/details-v1 run 9080/tcp",
		"service/east/bookinfo/productpage-v1 -> service/east/bookinfo/reviews-v1 run 9080/tcp",
		"service/east/bookinfo/productpage-v1 -> service/east/bookinfo/reviews-v2 run 9080/tcp",
		"service/east/bookinfo/productpage-v1 -> service/east/bookinfo/reviews-v3 run 9080/tcp",
		"service/east/bookinfo/productpage-v1 -> service/east/bookinfo/tcp-v1 run 9080/tcp",
		"service/east/bookinfo/reviews-v2 -> service/east/bookinfo/ratings-v1 run 9080/tcp",
		"service/east/bookinfo/reviews-v3 -> service/east/bankapp/deposit-v1 run 9080/tcp",
		"service/east/bookinfo/reviews-v3 -> service/east/bankapp/pricing-v1 run 9080/tcp",
		"service/east/bookinfo/reviews-v3 -> service/east/bookinfo/ratings-v1 run 9080/tcp",
		"service/east/istio-system/ingressgateway-unknown -> service/east/bookinfo/productpage-v1 run 9080/tcp",
		"service/east/istio-system/ingressgateway-unknown -> service/east/bookinfo/tcp-v1 run 9080/tcp",
	}
	if diff := cmp.Diff(want, factstest.Links(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if diff := cmp.Diff([]string{"4 calls are from or to what Kiali does not know"}, f.Doubts); diff != "" {
		t.Errorf("doubts: -want +got\n%s", diff)
	}
}

func TestNodes(t *testing.T) {
	f, err := Read(factstest.Place, []byte(`{"elements":{"nodes":[
		{"data":{"id":"1","nodeType":"service","cluster":"east","namespace":"shop","service":"api"}},
		{"data":{"id":"2","nodeType":"service","cluster":"east","namespace":"shop","service":"pay.example.com","isServiceEntry":{"location":"MESH_EXTERNAL"}}},
		{"data":{"id":"3","nodeType":"workload","cluster":"west","namespace":"shop","workload":"api"}},
		{"data":{"id":"4","nodeType":"workload","namespace":"shop","workload":"otel-collector"}}],
		"edges":[{"data":{"source":"1","target":"2"}},{"data":{"source":"1","target":"3"}},{"data":{"source":"1","target":"4"}},{"data":{"source":"1","target":"9"}}]}}`))
	if err != nil {
		t.Fatal(err)
	}
	want := []string{
		"service/east/shop/api -> external/east/shop/pay.example.com run",
		"service/east/shop/api -> service/shop/otel-collector telemetry",
		"service/east/shop/api -> service/west/shop/api run",
	}
	if diff := cmp.Diff(want, factstest.Links(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestNotAGraph(t *testing.T) {
	for _, text := range []string{``, `{}`, `[]`, `{"elements":1}`, `{"error":"no"}`} {
		if _, err := Read(factstest.Place, []byte(text)); err == nil || !strings.Contains(err.Error(), "not a graph") {
			t.Errorf("Read(%q) = %v, want an error", text, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(`{"elements":{"nodes":[{"data":{"id":"1","workload":"a"}},{"data":{"id":"2","service":"b"}}],"edges":[{"data":{"source":"1","target":"2","traffic":{"responses":{"200":{"hosts":{"b:80":"1"}}}}}}]}}`))
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
