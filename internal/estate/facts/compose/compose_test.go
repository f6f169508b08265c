package compose

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/factstest"
)

func read(t *testing.T, files ...facts.File) estate.Facts {
	t.Helper()
	f, err := Read(factstest.Place, files)
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	return f
}

// one is a project of one file, and one whose second file is .env.
func one(text string) facts.File    { return facts.File{Path: "compose.yaml", Data: []byte(text)} }
func dotEnv(text string) facts.File { return facts.File{Path: ".env", Data: []byte(text)} }

func TestRealProjects(t *testing.T) {
	for name, files := range map[string][]string{
		"cycle":     {"compose-cycle-declared.yaml"},
		"dify":      {"compose-dify.yaml"},
		"gitlab":    {"compose-gitlab-registry.yml"},
		"n8n":       {"compose-n8n-postgres-falsecycle.yaml"},
		"nextcloud": {"compose-nextcloud-redis-mariadb.yaml"},
		"oteldemo":  {"compose-oteldemo.yaml", "compose-oteldemo.full.yaml", "compose-oteldemo.observability.yaml", "compose-oteldemo.env"},
	} {
		all := factstest.Files(t, files...)
		if name == "oteldemo" {
			all[3].Path = ".env"
		}
		factstest.Golden(t, name, read(t, all...))
	}
}

// The demo is a knot of 19 services only because of telemetry: with that set
// apart nothing waits for itself, and the knot is there without.
func TestTelemetryMakesTheKnot(t *testing.T) {
	all := factstest.Files(t, "compose-oteldemo.yaml", "compose-oteldemo.full.yaml", "compose-oteldemo.observability.yaml", "compose-oteldemo.env")
	all[3].Path = ".env"
	f := read(t, all...)
	if n := inRings(f, func(l estate.Link) bool { return true }); n != 19 {
		t.Errorf("%d services in the knot with telemetry, want 19", n)
	}
	if n := inRings(f, func(l estate.Link) bool { return l.Need.Orders() }); n != 0 {
		t.Errorf("%d services in a knot without telemetry, want none", n)
	}
}

// inRings counts the components that need themselves over others.
func inRings(f estate.Facts, keep func(estate.Link) bool) int {
	reach := make(map[estate.ID]map[estate.ID]bool)
	for changed := true; changed; {
		changed = false
		for _, l := range f.Links {
			if !keep(l) {
				continue
			}
			from, to := l.From.ID, l.To.ID
			if reach[from] == nil {
				reach[from] = make(map[estate.ID]bool)
			}
			for _, id := range append(keys(reach[to]), to) {
				if !reach[from][id] {
					reach[from][id], changed = true, true
				}
			}
		}
	}
	n := 0
	for id := range reach {
		if reach[id][id] {
			n++
		}
	}
	return n
}

func keys(m map[estate.ID]bool) (all []estate.ID) {
	for id := range m {
		all = append(all, id)
	}
	return all
}

func TestNeeds(t *testing.T) {
	for _, tt := range []struct{ name, project, want string }{
		{"a list", "a: {depends_on: [b]}\nb: {}", "a -> b start"},
		{"conditions", "a: {depends_on: {b: {condition: service_healthy}, c: {required: false}}}\nb: {}\nc: {}", "a -> b start, a -> c soft"},
		{"links", "a: {links: ['b:db']}\nb: {}", "a -> b start"},
		{"what a link calls it", "a: {links: ['b:db'], environment: {X_HOST: db}}\nb: {}", "a -> b run, a -> b start"},
		{"volumes", "a: {volumes_from: ['b:ro', 'container:x']}\nb: {}", "a -> b start"},
		{"a network", "a: {network_mode: 'service:b', pid: 'service:c', ipc: host}\nb: {}\nc: {}", "a -> b start, a -> c start"},
		{"itself", "a: {depends_on: [a], environment: [X=http://a:1]}", ""},
		{"a name of its container", "a: {environment: [X_URL=http://the-db/]}\nb: {container_name: the-db}", "a -> b run"},
		{"a name of its host", "a: {environment: [X=db.example.com:5432]}\nb: {hostname: db, domainname: example.com}", "a -> b run 5432/tcp"},
		{"an alias", "a: {command: [serve, --db-host, store]}\nb: {networks: {n: {aliases: [store]}}}", "a -> b run"},
		{"an alias that is a service", "a: {environment: [X=http://b]}\nb: {}\nc: {networks: {n: {aliases: [b]}}}", "a -> b run"},
		{"an alias of two", "a: {environment: [X=http://x]}\nb: {networks: {n: {aliases: [x]}}}\nc: {networks: {n: {aliases: [x]}}}", "a -> b run, a -> c run"},
		{"a command of words", "a: {command: redis-cli -h b}\nb: {}", "a -> b run"},
		{"an entrypoint that waits", "a: {entrypoint: [sh, -c, 'until nc -z b 5432; do sleep 1; done']}\nb: {}", "a -> b run 5432/tcp"},
		{"a name that is none", "a: {environment: [DB=b, USER=b, 'TEXT=go to b']}\nb: {}", ""},
		{"upper case", "a: {environment: [X=http://B:80]}\nb: {}", "a -> b run 80/tcp"},
		{"telemetry by name", "a: {depends_on: [jaeger]}\njaeger: {environment: [X=http://a:1]}", "a -> jaeger telemetry, jaeger -> a telemetry 1/tcp"},
		{"telemetry by image", "a: {depends_on: [b]}\nb: {image: 'prom/prometheus:v3'}", "a -> b telemetry"},
		{"telemetry by port", "a: {environment: [X=http://b:4318]}\nb: {}", "a -> b telemetry 4318/tcp"},
		{"a health check", "a: {healthcheck: {test: curl http://b:80}}\nb: {}", ""},
		{"extends", "a: {extends: base, depends_on: [c]}\nbase: {depends_on: [b]}\nb: {}\nc: {}", "a -> b start, a -> c start, base -> b start"},
		{"extends itself", "a: {extends: {service: a}, depends_on: [b]}\nb: {}", "a -> b start"},
		{"merged", "a: {<<: &x {depends_on: [b]}}\nc: {<<: *x}\nb: {}", "a -> b start, c -> b start"},
	} {
		text := "services:\n  " + strings.ReplaceAll(tt.project, "\n", "\n  ")
		var got []string
		for _, l := range factstest.Links(read(t, one(text))) {
			got = append(got, strings.ReplaceAll(l, "service/", ""))
		}
		if g := strings.Join(got, ", "); g != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, g, tt.want)
		}
	}
}

func TestComponents(t *testing.T) {
	f := read(t, one(`name: shop
services:
  web:
    hostname: www.example.com
    ports: ["8080:80", "127.0.0.1:8443:443/tcp", {target: 53, protocol: udp}, "3000-3005:3000-3005"]
    expose: [9000]
  loki: {}
`))
	want := `service/shop/loki #telemetry
	declared, compose.yaml: line 7: services.loki
service/shop/web 53/udp 80/tcp 443/tcp 9000/tcp =www.example.com
	declared, compose.yaml: line 3: services.web
`
	if diff := cmp.Diff(want, factstest.Text(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// Later files add to earlier ones, by name, as docker merges them.
func TestMerge(t *testing.T) {
	base := one("services:\n  a: {depends_on: [b], environment: {X_HOST: b, Y_HOST: c}, command: 'run http://b'}\n  b: {}\n  c: {}\n  d: {}\n")
	for _, tt := range []struct{ name, over, want string }{
		{"nothing", "{}", "a b start|a b run|a c run"},
		{"adds", "{depends_on: {d: {}}}", "a b start|a d start|a b run|a c run"},
		{"another value", "{environment: [X_HOST=d]}", "a b start|a b run|a c run|a d run"},
		{"another command", "{command: 'run http://d'}", "a b start|a b run|a c run|a d run"},
		{"both", "{command: [], environment: [X_HOST=]}", "a b start|a c run"},
		{"instead", "{depends_on: !override [d]}", "a d start|a b run|a c run"},
		{"no more", "{depends_on: !reset null, environment: !reset []}", "a b run"},
	} {
		over := facts.File{Path: "compose.override.yml", Data: []byte("services:\n  a: " + tt.over + "\n")}
		got := make(map[string]bool)
		for _, l := range factstest.Links(read(t, base, over)) {
			got[strings.ReplaceAll(strings.ReplaceAll(l, "service/", ""), " -> ", " ")] = true
		}
		want := make(map[string]bool)
		for _, l := range strings.Split(tt.want, "|") {
			want[l] = true
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s: -want +got\n%s", tt.name, diff)
		}
	}
}

func TestInclude(t *testing.T) {
	files := []facts.File{
		{Path: "compose.yaml", Data: []byte("include: [db/compose.yaml, {path: [gone.yaml]}, 'https://u:hunter2@example.com/x.yaml']\nservices:\n  web: {depends_on: [db], extends: {file: common.yaml, service: base}}\n")},
		{Path: "db/compose.yaml", Data: []byte("include: [../compose.yaml, compose.yaml]\nservices:\n  db: {env_file: [settings.env, {path: gone.env}]}\n  cache: {}\n")},
		{Path: "common.yaml", Data: []byte("services:\n  base: {env_file: common.env}\n  cache: {}\n")},
		{Path: "db/settings.env", Data: []byte("# a comment\nURL='redis://:hunter2@cache:6379'\n")},
		{Path: "common.env", Data: []byte("export CACHE_HOST=cache # the one\n")},
	}
	f, err := Read(factstest.Place, files)
	if err != nil {
		t.Fatal(err)
	}
	factstest.Secretless(t, f, err, "hunter2")
	links := factstest.Links(f)
	for _, want := range []string{"service/web -> service/db start", "service/db -> service/cache run 6379/tcp", "service/web -> service/cache run"} {
		if !slices.Contains(links, want) {
			t.Errorf("%s is not among %q", want, links)
		}
	}
	want := []string{
		"compose.yaml includes a file elsewhere, which was not given to read",
		"compose.yaml includes gone.yaml, which was not given to read",
		"db takes settings from gone.env, which was not given to read",
	}
	if diff := cmp.Diff(want, f.Doubts); diff != "" {
		t.Errorf("doubts: -want +got\n%s", diff)
	}
}

// Files that other files name are taken from those that are given, and from
// nowhere else: not from this folder, which has one of that name, and not from
// the environment of this process.
func TestNothingElseIsRead(t *testing.T) {
	t.Setenv("FACTS_TEST_HOST", "db")
	f := read(t, one("include: [testdata/compose-n8n-postgres-falsecycle.yaml]\nservices:\n  a:\n    extends: {file: testdata/compose-cycle-declared.yaml, service: service1}\n    env_file: testdata/compose-oteldemo.env\n    environment: [FACTS_TEST_HOST, 'X_HOST=$FACTS_TEST_HOST', 'Y=http://${HOME}']\n  db: {}\n"))
	if len(f.Links) > 0 || len(f.Components) != 2 || len(f.Doubts) != 3 {
		t.Errorf("got\n%s", factstest.Text(f))
	}
}

func TestRings(t *testing.T) {
	f := read(t, one("services:\n  a: {depends_on: [b]}\n  b: {depends_on: [a, c]}\n  c: {depends_on: {d: {required: false}}}\n  d: {depends_on: [c]}\n  e: {depends_on: [e2, gone]}\n  e2: {depends_on: [e3]}\n  e3: {depends_on: [e]}\n"))
	want := []string{
		"e needs gone, which is no service of the project",
		"these wait for each other, and docker refuses the project for it: a -> b -> a",
		"these wait for each other, and docker refuses the project for it: e -> e2 -> e3 -> e",
	}
	if diff := cmp.Diff(want, f.Doubts); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestValues(t *testing.T) {
	var v values
	v.read("A=1\nexport B = two words # not this\nC=\"q $A # this\"\nD='$A'\nE=${A}${B:-x}\nF=\nG\n#H=1\nI=\"first\nsecond\"\nJ=after\nK=a#b\n")
	want := map[string]string{"A": "1", "B": "two words", "C": "q 1 # this", "D": "$A", "E": "1two words", "F": "", "I": "first\nsecond", "J": "after", "K": "a#b"}
	if diff := cmp.Diff(want, v.known); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	for in, want := range map[string]string{
		"":             "",
		"x":            "x",
		"$A-$B-${A}":   "1-two words-1",
		"$$A":          "$A",
		"${Z}$Z":       "",
		"${Z:-d}":      "d",
		"${Z-d}":       "d",
		"${F:-d}":      "d",
		"${F-d}":       "",
		"${A:-d}":      "1",
		"${Z:-${A}x}":  "1x",
		"${Z:-${Y:-z}": "${Z:-z", // never closed
		"${A:+y}":      "y",
		"${Z:+y}":      "",
		"${Z?no}":      "",
		"${A?no}":      "1",
		"$":            "$",
		"$-":           "$-",
		"${":           "${",
		"a$1":          "a$1",
	} {
		if got := v.expand(in); got != want {
			t.Errorf("%q is %q, want %q", in, got, want)
		}
	}
}

// A password in each place where a project can hold one is nowhere in the facts.
func TestSecrets(t *testing.T) {
	f, err := Read(factstest.Place, []facts.File{one(`
services:
  web:
    image: registry.example.com/x:hunter2
    environment:
      DB_URL: postgres://app:hunter2@db:5432/hunter2?password=hunter2
      DB_PASSWORD: hunter2
      DSN: "Host=db;Password=hunter2"
      BARE:
    command: ["--db=postgres://hunter2:hunter2@db/x", "--requirepass", "hunter2", "-phunter2"]
    entrypoint: PGPASSWORD=hunter2 psql -h db -U hunter2
    build: {context: "https://hunter2@git/x", args: {TOKEN: hunter2}}
    labels: {a: "Basic(hunter2)"}
    healthcheck: {test: "redis-cli -a hunter2 -h db"}
    env_file: [web.env]
    configs: [c]
    volumes: [{type: bind, target: /x, content: "hunter2 http://hunter2@db:80"}]
  db: {environment: [POSTGRES_PASSWORD=hunter2, "hunter2"]}
configs:
  c: {content: "password hunter2\nhunter2: db:5432:*:u:hunter2\nurl = http://hunter2:hunter2@db/"}
secrets:
  s: {environment: hunter2}
x-any: {key: hunter2}
`), dotEnv("BARE=redis://:hunter2@db\nP=hunter2"), {Path: "web.env", Data: []byte("URL=http://u:hunter2@db\n")}})
	if err != nil || len(f.Links) == 0 {
		t.Fatalf("%v\n%s", err, factstest.Text(f))
	}
	factstest.Secretless(t, f, err, "hunter2")
}

func TestNotCompose(t *testing.T) {
	for name, text := range map[string]string{"a list": "- a\n", "words": "hello hunter2", "other keys": "apiVersion: v1\nkind: hunter2\n", "broken": "services: [hunter2\n"} {
		f, err := Read(factstest.Place, []facts.File{one(text)})
		if err == nil {
			t.Errorf("%s was read: %s", name, factstest.Text(f))
		}
		factstest.Secretless(t, f, err, "hunter2")
	}
	for _, text := range []string{"", "services: {}\n", "networks: {a: }\n", "services: {a: null, b: [], c: x}\n"} {
		read(t, one(text))
	}
}

// What is small and means much is refused, or costs little.
func TestBombs(t *testing.T) {
	doubling := "A0=xxxxxxxxxxxxxxxx\n"
	for i := range 60 {
		doubling += fmt.Sprintf("A%d=$A%d$A%d\n", i+1, i, i)
	}
	var crowd, chain, fans strings.Builder
	for i := range 400 {
		fmt.Fprintf(&crowd, "  s%d: {hostname: x, environment: [X=http://x]}\n", i)
		fmt.Fprintf(&chain, "  s%04d: {depends_on: [s%04d], extends: s%04d}\n", i, (i+1)%400, (i+1)%400)
		fmt.Fprintf(&fans, "  s%d: {env_file: [big.env]}\n", i)
	}
	for name, files := range map[string][]facts.File{
		"doubling values": {one("services: {a: {}}\n"), dotEnv(doubling)},
		"open braces":     {one("services:\n  a: {environment: ['X=" + strings.Repeat("${", 500_000) + "']}\n")},
		"a great default": {one("services:\n  a: {environment: ['X=" + strings.Repeat("${A:-", 5000) + strings.Repeat("}", 5000) + "']}\n")},
		"a crowd":         {one("services:\n" + crowd.String())},
		"a long ring":     {one("services:\n" + chain.String())},
		"one for all":     {one("services:\n" + fans.String()), {Path: "big.env", Data: []byte(strings.Repeat("A=b\n", 100_000))}},
		"a great base":    {one("services:\n  base: {environment: [" + strings.Repeat("X=http://base,", 20_000) + "]}\n" + strings.ReplaceAll(fans.String(), "env_file: [big.env]", "extends: base"))},
		"one text of many": {one("services:\n" + strings.ReplaceAll(fans.String(), "env_file: [big.env]", "configs: [c]") +
			"configs: {c: {content: '" + strings.Repeat("url: http://s1/ and more ", 100_000) + "'}}\n")},
		"aliases": {one("x: &x {depends_on: [b]}\nservices: {a: [*x, *x]}\n")},
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := Read(factstest.Place, files); err == nil {
				factstest.Sound(t, f)
			} else if !strings.Contains(err.Error(), "more than") {
				t.Error(err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range factstest.Files(f, "compose-n8n-postgres-falsecycle.yaml", "compose-nextcloud-redis-mariadb.yaml", "compose-gitlab-registry.yml") {
		f.Add(file.Data, []byte("GITLAB_HOST=registry\n"))
	}
	f.Add([]byte("include: [compose.yaml]\nservices:\n  a: {extends: a, env_file: .env, environment: {X: '${A:-${B}}'}, configs: [c]}\nconfigs: {c: {content: 'host: a'}}"), []byte("A='x\nB=$A\"\n"))
	f.Fuzz(func(t *testing.T, a, b []byte) {
		files := []facts.File{{Path: "compose.yaml", Data: a}, {Path: ".env", Data: b}}
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
