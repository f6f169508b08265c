package facts_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
)

func spell[M fmt.Stringer](all []M) string {
	var words []string
	for _, m := range all {
		words = append(words, m.String())
	}
	return strings.Join(words, " ")
}

// A name in a value is a host only if it looks like one, or the setting says so.
func TestHosts(t *testing.T) {
	for _, tt := range []struct{ setting, value, want string }{
		{"POSTGRES_HOST", "db", "db"},
		{"POSTGRES_DB", "n8n", ""}, // a database that has the name of a service
		{"POSTGRES_USER", "gitlab", ""},
		{"DB_ADAPTER", "postgresql", ""},
		{"KAFKA_TOPIC", "orders", ""},
		{"redisHost", "cache", "cache"},
		{"PGHOST", "db", "db"},
		{"REDIS_HOST_1", "cache1", "cache1"},
		{"ES_HOSTS", "es1, es2", "es1 es2"},
		{"", "db", ""},
		{"", "db:5432", "db:5432"},
		{"BROKERS", "k1:9092,k2:9092", "k1:9092 k2:9092"},
		{"VOTERS", "1@kafka:9093", "kafka:9093"},
		{"X", "redis://:s3cret@Redis:6379/1", "redis:6379"},
		{"X", "postgres://u:p@db/app?sslmode=disable", "db"},
		{"X", "mongodb://u:p@m1:27017,m2:27017/x", "m1:27017 m2:27017"},
		{"X", "jdbc:postgresql://db:5432/app", "db:5432"},
		{"X", "Host=db;Username=u;Password=redis:6379;Database=web", "db"},
		{"X", "host=db port=5432 dbname=web", "db"},
		{"X", "user:pw@tcp(db:3306)/app", "db:3306"},
		{"X", "http://*:8080", ""},
		{"X", "http://localhost:8080/x", "localhost:8080"}, // no service is called that
		{"X", "10:30", ""},
		{"X", "a:b:c", ""},
		{"X", "db:99999", ""},
		{"X", "db:0", ""},
		{"IMAGE", "redis:7", ""},
		{"DB_PASSWORD", "redis:6379", ""},
		{"API_TOKEN", "http://web:80", ""},
		{"CORS_ALLOW_ORIGINS", "http://web:3000", ""}, // who may call, not who is called
		{"ALLOWED_HOSTS", "web", ""},
		{"NO_PROXY", "db,redis", ""},
		{"HTTP_PROXY", "http://squid:3128", "squid:3128"},
		{"KAFKA_ADVERTISED_LISTENERS", "PLAINTEXT://kafka:9092", ""},
		{"SERVER_NAME", "web", ""},
		{"DATA_DIR", "/var/lib/db:80/x", ""},
	} {
		if got := spell(facts.Hosts(tt.setting, tt.value)); got != tt.want {
			t.Errorf("Hosts(%q, %q) = %q, want %q", tt.setting, tt.value, got, tt.want)
		}
	}
}

func TestCommandHosts(t *testing.T) {
	for command, want := range map[string]string{
		"postgres -c max_connections=100":                              "",
		"until nc -zv rabbitmq 5672; do sleep 2; done":                 "rabbitmq:5672",
		"sh -c 'PGPASSWORD=x psql -h db -U app'":                       "db",
		"wait-for-it.sh db:5432 -- ./server":                           "db:5432",
		"/bin/server --redis=redis://:pw@cache:6379 --auth-server idp": "cache:6379 idp",
		"redis-server --requirepass hunter2":                           "",
		"/usr/bin/ping -c 1 gateway && echo web":                       "gateway",
		"start --uri file:./etc/x.json":                                "",
		"-currencyserviceAddr currencyservice:7000":                    "currencyservice:7000",
		"cache_peer sandbox parent 8194":                               "",
		"echo nc":                                                      "",
	} {
		if got := spell(facts.CommandHosts(command)); got != want {
			t.Errorf("CommandHosts(%q) = %q, want %q", command, got, want)
		}
	}
}

func TestTextHosts(t *testing.T) {
	text := `# redis://comment:1
server {
    listen 80;
    location / {
        proxy_pass http://api:5001;   # next
    }
}
; http://semicolon:1
sinks:
  logflare:
    endpoint: "http://analytics:4000/api"
  - host: db
db:5432:*:user:hunter2
hunter2 http://web:80
"password": "redis:6379"
"host": "mail",
http://first/
`
	var got []string
	for _, m := range facts.TextHosts(text) {
		got = append(got, fmt.Sprintf("%d %s %s", m.Line, m.Setting, m.Mention))
	}
	want := []string{"5 proxy_pass api:5001", "11 endpoint analytics:4000", "12 host db", "14 a line web:80", "16 host mail", "17 a line first"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// What a value can cost is bounded, whatever stands in it.
func TestHostsAreBounded(t *testing.T) {
	var b strings.Builder
	for i := range 200_000 {
		fmt.Fprintf(&b, "h%d:80,\n", i)
	}
	if got := len(facts.Hosts("X_HOSTS", b.String())); got != 1000 {
		t.Errorf("%d hosts in one value, want 1000", got)
	}
	if got := len(facts.CommandHosts(b.String())); got != 1000 {
		t.Errorf("%d hosts in one command, want 1000", got)
	}
	if got := len(facts.TextHosts(b.String())); got != 1000 {
		t.Errorf("%d hosts in one text, want 1000", got)
	}
}

func TestTelemetry(t *testing.T) {
	for _, tt := range []struct {
		name, image string
		want        bool
	}{
		{"otel-collector", "", true},
		{"collector", "ghcr.io/open-telemetry/opentelemetry-collector-releases/opentelemetry-collector-contrib:0.159.0", true},
		{"tracing", "quay.io/jaegertracing/jaeger:2.19.0", true},
		{"tracing", "jaegertracing/all-in-one@sha256:00", true},
		{"metrics", "localhost:5000/prom/prometheus", true},
		{"telemetry-docs", "", true},
		{"logs", "docker.io/timberio/vector:0.28.1", true},
		{"node-exporter", "", true},
		{"Grafana", "", true},
		// A shop of open-telemetry is a shop; words that others use are theirs.
		{"cart", "ghcr.io/open-telemetry/demo:latest-cart", false},
		{"tempo", "", false},
		{"vector", "", false},
		{"pdf-exporter", "", false},
		{"node", "", false},
		{"hotel", "", false},
		{"web", "registry/shop:otel", false},
		{"", "", false},
	} {
		if got := facts.Telemetry(tt.name, tt.image); (got != "") != tt.want {
			t.Errorf("Telemetry(%q, %q) = %q, want that %v", tt.name, tt.image, got, tt.want)
		}
	}
	if facts.TelemetryPort(estate.Port{Number: 4317, Protocol: "tcp"}) == "" || facts.TelemetryPort(estate.Port{Number: 5432, Protocol: "tcp"}) != "" {
		t.Error("4317 is for telemetry, 5432 is not")
	}
}

func FuzzHosts(f *testing.F) {
	f.Add("X_HOST", "redis://:pw@cache:6379,host=db nc -z a 5")
	f.Fuzz(func(t *testing.T, setting, value string) {
		for _, all := range [][]facts.Mention{facts.Hosts(setting, value), facts.CommandHosts(value)} {
			for _, m := range all {
				if !estate.IsHostName(m.Host) || m.Host != strings.ToLower(m.Host) {
					t.Errorf("%q is no host", m.Host)
				}
			}
		}
		for _, m := range facts.TextHosts(value) {
			if !estate.IsHostName(m.Host) || m.Line > strings.Count(value, "\n")+1 {
				t.Errorf("%v is no host of a line", m)
			}
		}
	})
}
