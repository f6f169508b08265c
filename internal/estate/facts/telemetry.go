package facts

import (
	"path"
	"slices"
	"strings"

	"strongroom/internal/estate"
)

// A teller is knowledge of what takes, keeps or shows what others tell of
// themselves. An arrow that touches such a component never orders a restore:
// everything talks to the collector, the collector looks at everything, and an
// estate that is read blindly is one great knot.
type teller struct {
	words []string // in this order, one after the other, in the name or the image
	why   string
}

var tellers = []teller{
	{[]string{"otel"}, "OpenTelemetry takes traces, metrics and logs"},
	{[]string{"otelcol"}, "the OpenTelemetry collector takes traces, metrics and logs"},
	{[]string{"opentelemetry"}, "OpenTelemetry takes traces, metrics and logs"},
	{[]string{"telemetry"}, "named for it"},
	{[]string{"opamp"}, "OpAMP manages telemetry agents"},
	{[]string{"jaeger"}, "Jaeger keeps and shows traces"},
	{[]string{"zipkin"}, "Zipkin keeps and shows traces"},
	{[]string{"prometheus"}, "Prometheus fetches metrics"},
	{[]string{"pushgateway"}, "Prometheus' gateway takes metrics"},
	{[]string{"alertmanager"}, "Prometheus' alerts"},
	{[]string{"node", "exporter"}, "shows metrics of a host"},
	{[]string{"blackbox", "exporter"}, "looks at others for Prometheus"},
	{[]string{"postgres", "exporter"}, "shows metrics of PostgreSQL"},
	{[]string{"mysqld", "exporter"}, "shows metrics of MySQL"},
	{[]string{"redis", "exporter"}, "shows metrics of Redis"},
	{[]string{"cadvisor"}, "shows metrics of containers"},
	{[]string{"grafana"}, "Grafana shows metrics"},
	{[]string{"loki"}, "Loki keeps logs"},
	{[]string{"promtail"}, "Promtail sends logs"},
	{[]string{"kiali"}, "Kiali shows a mesh"},
	{[]string{"thanos"}, "Thanos keeps metrics"},
	{[]string{"victoriametrics"}, "VictoriaMetrics keeps metrics"},
	{[]string{"telegraf"}, "Telegraf sends metrics"},
	{[]string{"statsd"}, "takes metrics"},
	{[]string{"collectd"}, "sends metrics"},
	{[]string{"netdata"}, "shows metrics of hosts"},
	{[]string{"zabbix"}, "Zabbix watches hosts"},
	{[]string{"nagios"}, "Nagios watches hosts"},
	{[]string{"icinga"}, "Icinga watches hosts"},
	{[]string{"icinga2"}, "Icinga watches hosts"},
	{[]string{"uptime", "kuma"}, "watches services"},
	{[]string{"fluentd"}, "Fluentd takes logs"},
	{[]string{"fluentbit"}, "Fluent Bit sends logs"},
	{[]string{"fluent", "bit"}, "Fluent Bit sends logs"},
	{[]string{"logstash"}, "Logstash takes logs"},
	{[]string{"filebeat"}, "sends logs"},
	{[]string{"metricbeat"}, "sends metrics"},
	{[]string{"graylog"}, "Graylog keeps logs"},
	{[]string{"syslog"}, "takes logs"},
	{[]string{"rsyslog"}, "takes logs"},
	{[]string{"signoz"}, "SigNoz keeps and shows traces"},
	{[]string{"datadog"}, "Datadog's agent sends metrics"},
	{[]string{"newrelic"}, "New Relic's agent sends metrics"},
}

// imageTellers are known by the image alone, since their names are words that
// others use too: a Tempo is a business's, a vector may be of a database.
var imageTellers = map[string]string{
	"grafana/tempo":            "Tempo keeps traces",
	"grafana/mimir":            "Mimir keeps metrics",
	"grafana/alloy":            "Alloy sends metrics and logs",
	"timberio/vector":          "Vector sends logs",
	"jaegertracing/all-in-one": "Jaeger keeps and shows traces",
}

// tellerPorts are ports that nothing else is usual on.
var tellerPorts = map[estate.Port]string{
	{Number: 514, Protocol: "udp"}:   "syslog",
	{Number: 514, Protocol: "tcp"}:   "syslog",
	{Number: 6514, Protocol: "tcp"}:  "syslog with TLS",
	{Number: 161, Protocol: "udp"}:   "SNMP",
	{Number: 162, Protocol: "udp"}:   "SNMP traps",
	{Number: 4317, Protocol: "tcp"}:  "OTLP",
	{Number: 4318, Protocol: "tcp"}:  "OTLP over HTTP",
	{Number: 5044, Protocol: "tcp"}:  "Beats",
	{Number: 6831, Protocol: "udp"}:  "Jaeger's agent",
	{Number: 8125, Protocol: "udp"}:  "StatsD",
	{Number: 9100, Protocol: "tcp"}:  "Prometheus' node exporter",
	{Number: 9411, Protocol: "tcp"}:  "Zipkin",
	{Number: 10050, Protocol: "tcp"}: "Zabbix' agent",
	{Number: 10051, Protocol: "tcp"}: "Zabbix",
	{Number: 12201, Protocol: "tcp"}: "GELF",
	{Number: 12201, Protocol: "udp"}: "GELF",
	{Number: 14250, Protocol: "tcp"}: "Jaeger's collector",
	{Number: 14268, Protocol: "tcp"}: "Jaeger's collector",
	{Number: 24224, Protocol: "tcp"}: "Fluentd",
	{Number: 25826, Protocol: "udp"}: "collectd",
}

// Telemetry says why a component takes, keeps or shows what others tell of
// themselves, by its name within its project and the images that it runs, and
// returns "" if nothing says that it does. Of an image, who publishes it and its
// tag say nothing: the demo shop of open-telemetry is a shop.
func Telemetry(name string, images ...string) string {
	if why := tellerWords(name); why != "" {
		return why
	}
	for _, image := range images {
		image = untagged(image)
		for known, why := range imageTellers {
			if image == known || strings.HasSuffix(image, "/"+known) {
				return why
			}
		}
		if why := tellerWords(path.Base(image)); why != "" {
			return why
		}
	}
	return ""
}

// untagged returns an image without its tag and its digest.
func untagged(image string) string {
	image, _, _ = strings.Cut(image, "@")
	if i := strings.LastIndexByte(image, ':'); i > strings.LastIndexByte(image, '/') {
		image = image[:i]
	}
	return image
}

// Software returns what an image runs, by what it is called in its registry.
func Software(image string) estate.Software {
	return estate.SoftwareCalled(path.Base(untagged(image)))
}

func tellerWords(name string) string {
	all := strings.FieldsFunc(strings.ToLower(name), func(r rune) bool { return strings.ContainsRune("-_./ ", r) })
	for _, t := range tellers {
		for i := range all {
			if len(all)-i >= len(t.words) && slices.Equal(all[i:i+len(t.words)], t.words) {
				return t.why
			}
		}
	}
	return ""
}

// TelemetryPort says what listens on a port that is used for telling others of
// oneself, or returns "".
func TelemetryPort(p estate.Port) string { return tellerPorts[p] }
