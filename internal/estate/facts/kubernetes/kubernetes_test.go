package kubernetes

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/factstest"
)

func read(t *testing.T, texts ...string) estate.Facts {
	t.Helper()
	var files []facts.File
	for i, text := range texts {
		files = append(files, facts.File{Path: fmt.Sprintf("%d.yaml", i), Data: []byte(text)})
	}
	f, err := Read(factstest.Place, files)
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	return f
}

func TestRealManifests(t *testing.T) {
	for _, name := range []string{"k8s-bookinfo", "k8s-onlineboutique"} {
		f, err := Read(factstest.Place, factstest.Files(t, name+".yaml"))
		if err != nil {
			t.Fatal(err)
		}
		factstest.Golden(t, name, f)
	}
}

// deployment is a workload with a container of its name, whose pods have the
// name for a label; more is put into the container.
func deployment(name, more string) string {
	return fmt.Sprintf(`---
apiVersion: apps/v1
kind: Deployment
metadata: {name: %[1]s}
spec:
  template:
    metadata: {labels: {app: %[1]s}}
    spec: {containers: [{name: main, image: registry/%[1]s, %[2]s}]}
`, name, more)
}

func aService(name, spec string) string {
	return fmt.Sprintf("---\napiVersion: v1\nkind: Service\nmetadata: {name: %s}\nspec: {%s}\n", name, spec)
}

func TestNeeds(t *testing.T) {
	db := deployment("db", "ports: [{name: pg, containerPort: 5432}]") + aService("db", "selector: {app: db}, ports: [{port: 80, targetPort: pg}]")
	env := func(value string) string { return "env: [{name: X_URL, value: '" + value + "'}]" }
	for _, tt := range []struct{ name, manifests, want string }{
		{"a URL", deployment("a", env("http://db")) + db, "a -> db run"},
		{"a port of the Service", deployment("a", env("db:80")) + db, "a -> db run 5432/tcp"},
		{"a namespace", deployment("a", env("http://db.default")) + db, "a -> db run"},
		{"the whole name", deployment("a", env("db.default.svc.cluster.local:80")) + db, "a -> db run 5432/tcp"},
		{"a pod by name", deployment("a", env("http://db-0.db.default.svc")) + db, "a -> db run"},
		{"another namespace", deployment("a", env("http://db.other")) + db, ""},
		{"another domain", deployment("a", env("http://db.default.example.com")) + db, ""},
		{"a name that is none", deployment("a", "env: [{name: DB, value: db}]") + db, ""},
		{"a command", deployment("a", "command: [serve], args: [--db-host, db]") + db, "a -> db run"},
		{"itself", deployment("db", env("db:80")) + aService("db", "selector: {app: db}"), ""},
		{"an init container", strings.Replace(deployment("a", ""), "containers:", "initContainers: [{command: [sh, -c, 'until nc -zv db 80; do sleep 1; done']}], containers:", 1) + db, "a -> db start 5432/tcp"},
		{"a sidecar", strings.Replace(deployment("a", ""), "containers:", "initContainers: [{restartPolicy: Always, args: ['db:80']}], containers:", 1) + db, "a -> db run 5432/tcp"},
		{"a key of a ConfigMap", deployment("a", "env: [{name: X, valueFrom: {configMapKeyRef: {name: c, key: k}}}]") + db +
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {k: 'http://db', l: 'http://a'}\n", "a -> db run"},
		{"a ConfigMap of its own", deployment("a", "envFrom: [{configMapRef: {name: c}}]") + db +
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {DB_HOST: db}\n", "a -> db run"},
		{"a shared ConfigMap", deployment("a", "envFrom: [{configMapRef: {name: c}}]") + deployment("b", "envFrom: [{configMapRef: {name: c}}]") + db +
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {DB_HOST: db}\n", "a -> db soft, b -> db soft"},
		{"a file of a ConfigMap", strings.Replace(deployment("a", ""), "containers:", "volumes: [{configMap: {name: c}}], containers:", 1) + db +
			"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  nginx.conf: |\n    # http://no\n    proxy_pass http://db/x;\n", "a -> db run"},
		{"two workloads of one Service", deployment("a", env("http://r")) + deployment("r1", "") + strings.ReplaceAll(deployment("r2", ""), "app: r2", "app: r1") + aService("r", "selector: {app: r1}"), "a -> r1 run, a -> r2 run"},
		{"a Service with more labels", deployment("a", env("http://db")) + deployment("db", "") + aService("db", "selector: {app: db, tier: x}"), "a -> db run"},
		{"a Service without pods", deployment("a", env("http://old:1")) + aService("old", ""), "a -> old run 1/tcp"},
		{"a name outside", deployment("a", env("http://mail:25")) + aService("mail", "type: ExternalName, externalName: mail.example.com"), "a -> mail.example.com run 25/tcp"},
		{"telemetry", deployment("a", env("http://jaeger:80")) + deployment("jaeger", "") + aService("jaeger", "selector: {app: jaeger}"), "a -> jaeger telemetry 80/tcp"},
		{"a port of telemetry", deployment("a", env("http://db:4317")) + db, "a -> db telemetry 4317/tcp"},
		{"a Secret", deployment("a", "envFrom: [{secretRef: {name: s}}], env: [{name: X, valueFrom: {secretKeyRef: {name: s, key: k}}}]") + db +
			"---\napiVersion: v1\nkind: Secret\nmetadata: {name: s}\nstringData: {k: 'http://db'}\n", ""},
	} {
		var got []string
		for _, l := range factstest.Links(read(t, tt.manifests)) {
			got = append(got, strings.ReplaceAll(l, "service/default/", ""))
		}
		if g := strings.Join(got, ", "); g != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, g, tt.want)
		}
	}
}

// A dump of a cluster is a list, and has the pods that others made beside those.
func TestDump(t *testing.T) {
	dump := `{"apiVersion": "v1", "kind": "List", "items": [
{"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"template": {"metadata": {"labels": {"app": "web"}}, "spec": {"containers": [{"image": "web"}]}}}},
{"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": "web-5d", "namespace": "shop", "ownerReferences": [{"kind": "Deployment", "name": "web"}]}, "spec": {"template": {"metadata": {"labels": {"app": "web"}}}}},
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "web-5d-x", "namespace": "shop", "labels": {"app": "web"}, "ownerReferences": [{"kind": "ReplicaSet", "name": "web-5d"}]}, "spec": {}},
{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "orphan", "namespace": "shop", "ownerReferences": [{"kind": "ReplicaSet", "name": "gone"}]}, "spec": {}},
{"apiVersion": "batch/v1", "kind": "CronJob", "metadata": {"name": "night", "namespace": "shop"}, "spec": {"jobTemplate": {"spec": {"template": {"spec": {"containers": [{"args": ["http://web.shop"]}]}}}}}},
{"apiVersion": "v1", "kind": "Service", "metadata": {"name": "web", "namespace": "shop"}, "spec": {"selector": {"app": "web"}}}
]}`
	at := factstest.Place
	at.Scope = "prod"
	f, err := Read(at, []facts.File{{Data: []byte(dump)}})
	if err != nil {
		t.Fatal(err)
	}
	want := `service/prod/shop/night
	declared, file: line 6: CronJob shop/night
service/prod/shop/orphan
	declared, file: line 5: Pod shop/orphan
service/prod/shop/web
	declared, file: line 2: Deployment shop/web
service/prod/shop/night -> service/prod/shop/web run
	derived, file: line 6: command -> web.shop
`
	if diff := cmp.Diff(want, factstest.Text(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestIngress(t *testing.T) {
	f := read(t, deployment("web", "ports: [{containerPort: 8080}]")+aService("web", "selector: {app: web}")+deployment("grafana", "")+aService("grafana", "selector: {app: grafana}"), `
apiVersion: networking.k8s.io/v1
kind: Ingress
metadata: {name: shop}
spec:
  defaultBackend: {service: {name: gone}}
  rules:
    - host: shop.example.com
      http: {paths: [{path: /, backend: {service: {name: web, port: {number: 80}}}}]}
    - host: both.example.com
      http: {paths: [{backend: {serviceName: grafana}}]}
---
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: r}
spec: {hostnames: [both.example.com, "*.example.com"], rules: [{backendRefs: [{name: web, namespace: default}]}]}
---
apiVersion: route.openshift.io/v1
kind: Route
metadata: {name: o}
spec: {host: o.example.com, to: {kind: Service, name: web}}
`)
	want := `resource/default/httproute/r
	declared, 1.yaml: line 13: HTTPRoute default/r
resource/default/ingress/shop =shop.example.com
	declared, 1.yaml: line 2: Ingress default/shop
resource/default/route/o =o.example.com
	declared, 1.yaml: line 18: Route default/o
service/default/grafana #telemetry
	declared, 0.yaml: line 15: Deployment default/grafana
service/default/web 8080/tcp
	declared, 0.yaml: line 2: Deployment default/web
resource/default/httproute/r -> service/default/web run
	declared, 1.yaml: line 16: backend -> default/web
resource/default/ingress/shop -> service/default/grafana telemetry
	declared, 1.yaml: line 11: backend -> default/grafana
resource/default/ingress/shop -> service/default/web run
	declared, 1.yaml: line 9: backend -> default/web
resource/default/route/o -> service/default/web run
	declared, 1.yaml: line 21: backend -> default/web
? Ingress default/shop leads to the Service default/gone, which was not given to read
`
	if diff := cmp.Diff(want, factstest.Text(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A password in each place where a manifest can hold one is nowhere in the facts.
func TestSecrets(t *testing.T) {
	text := deployment("a", `env: [{name: URL, value: 'postgres://u:hunter2@db/hunter2'}, {name: DB_PASSWORD, value: hunter2}], command: [x, '--db=http://hunter2@db', -p, hunter2], envFrom: [{configMapRef: {name: c}}, {secretRef: {name: s}}]`) +
		deployment("db", "") + aService("db", "selector: {app: db}") + `---
apiVersion: v1
kind: ConfigMap
metadata: {name: c, annotations: {last: hunter2}}
data:
  app.conf: |
    hunter2 http://db/
    pass = hunter2@db:80
  TOKEN: hunter2
---
apiVersion: v1
kind: Secret
metadata: {name: s}
stringData: {hunter2: hunter2}
`
	f, err := Read(factstest.Place, []facts.File{{Path: "x.yaml", Data: []byte(text)}})
	if err != nil || len(f.Links) == 0 {
		t.Fatalf("%v\n%s", err, factstest.Text(f))
	}
	factstest.Secretless(t, f, err, "hunter2")
}

func TestNotKubernetes(t *testing.T) {
	for _, text := range []string{"", "services: {a: }\n", "kind: Pod\n", "- a\n", "a: [hunter2\n", "{{ if hunter2 }}\n"} {
		f, err := Read(factstest.Place, []facts.File{{Path: "x", Data: []byte(text)}})
		if err == nil {
			t.Errorf("%q was read: %s", text, factstest.Text(f))
		}
		factstest.Secretless(t, f, err, "hunter2")
	}
}

// What refers to each other many times over is refused, or costs little.
func TestBombs(t *testing.T) {
	var all, users, configs strings.Builder
	for i := range 100 {
		fmt.Fprintf(&all, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%d, labels: {app: x}}\nspec: {containers: [{args: ['http://s']}]}\n", i)
		fmt.Fprintf(&users, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%d}\nspec: {containers: [{envFrom: [{configMapRef: {name: c}}], env: [{name: A, valueFrom: {configMapKeyRef: {name: c, key: k}}}]}]}\n", i)
	}
	var crowd, names strings.Builder
	for i := range 1001 {
		fmt.Fprintf(&crowd, "---\napiVersion: v1\nkind: Pod\nmetadata: {name: p%d, labels: {app: x}}\n%s", i, aService(fmt.Sprintf("s%d", i), "selector: {app: x, tier: y}"))
		fmt.Fprintf(&names, "http://s%d ", i)
	}
	for i := range 400 {
		fmt.Fprintf(&configs, "  k%d: http://s%d\n", i, i)
	}
	big := "---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata:\n  k: '" + strings.Repeat("url: http://s and ", 5_000) + "'\n"
	for name, text := range map[string]string{
		"all call all":        all.String() + aService("s", "selector: {app: x}"),
		"one text for all":    users.String() + big + configs.String() + aService("s", ""),
		"a list of itself":    "apiVersion: v1\nkind: List\nitems: &a [{apiVersion: v1, kind: List, items: *a}, {apiVersion: v1, kind: List, items: *a}]\n",
		"much to compare":     deployment("a", "env: [{name: A, value: '"+names.String()+"'}]") + crowd.String(),
		"many labels to find": deployment("a", "env: [{name: X, value: 'http://s'}]") + aService("s", "selector: {"+strings.Repeat("a: b, ", 10_000)+"}"),
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := Read(factstest.Place, []facts.File{{Path: "x", Data: []byte(text)}}); err == nil {
				factstest.Sound(t, f)
			} else if !strings.Contains(err.Error(), "more than") {
				t.Error(err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	f.Add([]byte(deployment("a", "env: [{name: X_HOST, value: 'db.default.svc:80'}], envFrom: [{configMapRef: {name: c}}]") + aService("db", "selector: {app: a}, ports: [{port: 80, targetPort: p}]") +
		"---\napiVersion: v1\nkind: ConfigMap\nmetadata: {name: c}\ndata: {a: 'http://db', b: \"x\\nhost: db\\n\"}\n"))
	f.Add([]byte("apiVersion: v1\nkind: List\nitems:\n- {apiVersion: v1, kind: Ingress, metadata: {name: i}, spec: {defaultBackend: {service: {name: s}}}}\n- {apiVersion: v1, kind: Service, metadata: {name: s}, spec: {type: ExternalName, externalName: a.b}}\n"))
	f.Fuzz(func(t *testing.T, b []byte) {
		files := []facts.File{{Path: "x.yaml", Data: b}}
		got, err := Read(factstest.Place, files)
		if err != nil {
			return
		}
		factstest.Sound(t, got)
		if again, err := Read(factstest.Place, files); err != nil || !cmp.Equal(got, again) {
			t.Errorf("read twice: %v\n%s", err, cmp.Diff(got, again))
		}
	})
}
