package formats_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/formats"
)

var place = facts.Place{Source: "shop-files", Path: "shop-files", Scope: "10.0.0.7", Seen: time.Date(2026, 7, 1, 2, 0, 0, 0, time.UTC)}

// host is what a collection of a host with a project of compose shows.
var host = []facts.File{
	{Path: "etc/hostname", Data: []byte("Shop1.acme.example\n")},
	{Path: "etc/machine-id", Data: []byte("9f86d081884c7d659a2feaa0c55ad015\n")},
	{Path: "etc/resolv.conf", Data: []byte("nameserver 10.0.0.53\n")},
	{Path: "proc/net/tcp", Data: []byte("  sl  local_address rem_address   st\n   0: 0700000A:8DCC 0400000A:0185 01\n")},
	{Path: "proc/net/fib_trie", Data: []byte("|-- 10.0.0.7\n /32 host LOCAL\n")},
	{Path: "srv/shop/docker-compose.yml", Data: []byte("services:\n  web:\n    depends_on: [db]\n    env_file: conf/shop.env\n  db: {image: postgres:16}\n")},
	{Path: "srv/shop/docker-compose.override.yml", Data: []byte("services:\n  web:\n    environment: {CACHE_HOST: \"${CACHE}\"}\n  cache: {image: valkey:8}\n")},
	{Path: "srv/shop/.env", Data: []byte("CACHE=cache\nPASSWORD=hush\n")},
	{Path: "srv/shop/conf/shop.env", Data: []byte("DATABASE_URL=postgres://shop:hush@db:5432/shop\nSMTP_HOST=mail.acme.example\n")},
	{Path: "srv/shop/readme.txt", Data: []byte("services: {}")},
}

// spell writes what was found, one a line.
func spell(f estate.Facts) string {
	var b strings.Builder
	for _, c := range f.Components {
		fmt.Fprintln(&b, c.ID, c.Aliases)
	}
	for _, l := range f.Links {
		fmt.Fprintf(&b, "%s%s -> %s%s %s\n", l.From.ID, l.From.Alias, l.To.ID, l.To.Alias, l.Need)
	}
	for _, d := range f.Doubts {
		fmt.Fprintln(&b, "?", d)
	}
	return b.String()
}

const found = `host/shop1 [10.0.0.7 machine:9f86d081884c7d659a2feaa0c55ad015 shop1.acme.example]
service/shop1/shop/cache []
service/shop1/shop/db []
service/shop1/shop/web []
host/shop1 -> 10.0.0.4 run
host/shop1 -> 10.0.0.53 run
service/shop1/shop/cache -> host/shop1 hosting
service/shop1/shop/db -> host/shop1 hosting
service/shop1/shop/web -> mail.acme.example run
service/shop1/shop/web -> host/shop1 hosting
service/shop1/shop/web -> service/shop1/shop/cache run
service/shop1/shop/web -> service/shop1/shop/db run
service/shop1/shop/web -> service/shop1/shop/db start
`

func TestHost(t *testing.T) {
	for _, f := range host[:len(host)-1] {
		if !formats.Wants(f.Path) {
			t.Errorf("%s is not wanted", f.Path)
		}
	}
	reversed := slices.Clone(host)
	slices.Reverse(reversed)
	for _, files := range [][]facts.File{host, reversed} {
		got, err := formats.Read(place, files)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(found, spell(got)); diff != "" {
			t.Errorf("-want +got:\n%s", diff)
		}
		if strings.Contains(fmt.Sprint(got), "hush") {
			t.Error("a password is among the facts")
		}
	}
}

// What a repository holds, which belongs to no host.
func TestRepository(t *testing.T) {
	files := []facts.File{
		{Path: "infra/erp/terraform.tfstate", Data: []byte(`{"version":4,"terraform_version":"1.11.4","resources":[
			{"mode":"managed","type":"aws_instance","name":"web","instances":[{"attributes":{"password":"hush"},"dependencies":["aws_vpc.main"]}]},
			{"mode":"managed","type":"aws_vpc","name":"main","instances":[{"attributes":{}}]}]}`)},
		{Path: "infra/dependencies.csv", Data: []byte("from,to,port,kind\nhost/erp,10.0.0.5,5432,run\n")},
		{Path: "deploy/k8s/shop.yaml", Data: []byte(`
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec: {template: {metadata: {labels: {app: web}}, spec: {containers: [{name: web, env: [{name: DB_HOST, value: db}]}]}}}
---
apiVersion: apps/v1
kind: Deployment
metadata: {name: db}
spec: {template: {metadata: {labels: {app: db}}, spec: {containers: [{name: db}]}}}
---
apiVersion: v1
kind: Service
metadata: {name: db}
spec: {selector: {app: db}, ports: [{port: 5432}]}
`)},
		{Path: "catalog-info.yaml", Data: []byte("apiVersion: backstage.io/v1alpha1\nkind: Component\nmetadata: {name: web}\nspec: {type: service, owner: team-a, dependsOn: ['resource:db']}\n")},
		{Path: "bom.json", Data: []byte(`{"bomFormat":"CycloneDX","specVersion":"1.6","services":[{"bom-ref":"a","name":"a"},{"bom-ref":"b","name":"b"}],"dependencies":[{"ref":"a","dependsOn":["b"]}]}`)},
	}
	for _, f := range files {
		if !formats.Wants(f.Path) {
			t.Errorf("%s is not wanted", f.Path)
		}
	}
	got, err := formats.Read(facts.Place{Source: "repo", Path: "repo", Seen: place.Seen}, files)
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for line := range strings.Lines(spell(got)) {
		if strings.Contains(line, "->") || strings.HasPrefix(line, "?") {
			links = append(links, strings.TrimSpace(line))
		}
	}
	want := []string{
		"host/erp -> 10.0.0.5 run",
		"host/repo/infra/erp/aws_instance.web -> resource/repo/infra/erp/aws_vpc.main start",
		"service/repo/a -> service/repo/b run",
		"service/repo/default/web -> resource/repo/default/db run",
		"service/repo/default/web -> service/repo/default/db run",
	}
	slices.Sort(links)
	if diff := cmp.Diff(want, links); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
	if strings.Contains(fmt.Sprint(got), "hush") {
		t.Error("a password is among the facts")
	}
}

// What cannot be read is a doubt, and the rest is found all the same.
func TestFilesThatAreNone(t *testing.T) {
	files := append(slices.Clone(host),
		facts.File{Path: "proc/net/tcp6", Data: []byte("nothing of the kind\n")},
		facts.File{Path: "srv/other/compose.yaml", Data: []byte("services: [")},
		facts.File{Path: "etc/bind/db.acme.example", Data: []byte("$INCLUDE /etc/shadow\n")},
	)
	got, err := formats.Read(place, files)
	if err != nil {
		t.Fatal(err)
	}
	text := spell(got)
	if !strings.HasPrefix(text, found) || strings.Count(text, "? ") < 3 {
		t.Errorf("got\n%s", text)
	}
	for _, want := range []string{"proc/net/tcp6", "srv/other/compose.yaml", "zone"} {
		if !strings.Contains(text[len(found):], want) {
			t.Errorf("no doubt about %s:\n%s", want, text)
		}
	}
}

// Without a name of its own, a host has the one by which the safe reaches it.
func TestHostWithoutName(t *testing.T) {
	for _, name := range []string{"", "localhost\n", "# none\n"} {
		got, err := formats.Read(place, []facts.File{{Path: "etc/hostname", Data: []byte(name)}, host[1]})
		if err != nil || len(got.Components) != 1 || got.Components[0].ID != "host/10.0.0.7" {
			t.Errorf("called %q: %v, %v", name, got.Components, err)
		}
	}
}

// A zone of addresses is called by how they begin, and its records by how they
// end.
func TestZoneOfAddresses(t *testing.T) {
	zone := facts.File{Path: "etc/bind/db.192.168.1", Data: []byte("@ NS dns1.acme.example.\n7 PTR shop1.acme.example.\n")}
	if !formats.Wants(zone.Path) {
		t.Error("it is not wanted")
	}
	got, err := formats.Read(place, []facts.File{zone})
	if err != nil {
		t.Fatal(err)
	}
	want := "host/shop1.acme.example [192.168.1.7 shop1.acme.example]\nservice/dns/1.168.192.in-addr.arpa []\nservice/dns/1.168.192.in-addr.arpa -> dns1.acme.example hosting\n"
	if diff := cmp.Diff(want, spell(got)); diff != "" {
		t.Errorf("-want +got:\n%s", diff)
	}
}

func TestWanted(t *testing.T) {
	for _, name := range []string{
		"etc/hosts", "etc/chrony/sources.d/ntp.sources", "run/systemd/resolve/resolv.conf", "sys/class/dmi/id/product_uuid", "usr/lib/os-release",
		"usr/lib/systemd/system/ssh.service", "usr/local/lib/systemd/system/erp.service", "lib/systemd/system/ssh.service", "etc/systemd/system/erp.service.d/a.conf",
		"var/lib/pgsql/data/pg_hba.conf", "var/lib/pgsql/16/data/pg_hba.conf", "etc/postgresql/16/main/pg_hba.conf", "etc/bind/db.acme.example", "var/named/acme.example.zone",
		"opt/app/settings.env", "compose.yaml", "opt/app/docker-compose.yml", "var/lib/shop/.env", "var/lib/shop/compose.yml", "proc/net/tcp", "srv/glances/web1/proc/net/tcp6",
	} {
		if !formats.Wants(name) {
			t.Errorf("%q is not wanted", name)
		}
	}
}

func TestUnwanted(t *testing.T) {
	for _, name := range []string{"home/ada/tcp", "var/lib/postgresql/db.acme.example", "etc/bind/db.local", "srv/shop/.env.example", "etc/shadow", ""} {
		if formats.Wants(name) {
			t.Errorf("%q is wanted", name)
		}
	}
}

func TestAPIs(t *testing.T) {
	at := func(s string) *url.URL {
		u, err := url.Parse(s)
		if err != nil {
			t.Fatal(err)
		}
		return u
	}
	for api, want := range map[facts.API]string{facts.Jaeger: "jaeger.json", facts.Kiali: "kiali.json", facts.Hubble: "hubble.jsonl"} {
		u := at("https://a.example/x?y=z")
		if got := formats.Questions(api, u); len(got) != 1 || got[0].URL != u || got[0].Name != want {
			t.Errorf("%s is asked %v", api, got)
		}
	}
	var asked []string
	for _, q := range formats.Questions(facts.NetBox, at("https://a.example/netbox/")) {
		asked = append(asked, q.Name+" "+q.URL.String())
	}
	if !slices.Contains(asked, "dcim.power-feeds.json https://a.example/netbox/api/dcim/power-feeds/?limit=500") {
		t.Errorf("NetBox is asked %q", asked)
	}
	if q := formats.Questions(facts.NetBox, at("https://a.example"))[0]; q.URL.Path != "/api/dcim/device-roles/" {
		t.Errorf("without a path NetBox is asked for %q", q.URL.Path)
	}

	p := place
	p.Scope = "prod"
	for _, test := range []struct {
		api   facts.API
		files []facts.File
		want  string
	}{
		{facts.Jaeger, []facts.File{
			{Path: "jaeger.json", Data: []byte(`{"data":[{"parent":"a","child":"b","callCount":1}]}`)},
			{Path: "jaeger.json.0002", Data: []byte(`{"data":[{"parent":"b","child":"c","callCount":1}]}`)},
		}, "service/prod/a []\nservice/prod/b []\nservice/prod/c []\nservice/prod/a -> service/prod/b run\nservice/prod/b -> service/prod/c run\n"},
		{facts.NetBox, []facts.File{
			{Path: "virtualization.clusters.json", Data: []byte(`{"count":1,"results":[{"id":1,"name":"hv"}]}`)},
			{Path: "dcim.devices.json", Data: []byte(`{"count":1,"results":[{"id":1,"name":"n1","cluster":{"id":1}}]}`)},
			{Path: "virtualization.virtual-machines.json", Data: []byte(`{"count":2,"results":[{"id":1,"name":"a","cluster":{"id":1}}]}`)},
			{Path: "virtualization.virtual-machines.json.0002", Data: []byte(`{"count":2,"results":[{"id":2,"name":"b","cluster":{"id":1}}]}`)},
		}, "cluster/prod/hv []\nhost/a []\nhost/b []\nhost/n1 []\ncluster/prod/hv -> host/n1 hosting\nhost/a -> cluster/prod/hv hosting\nhost/b -> cluster/prod/hv hosting\n"},
	} {
		got, err := formats.ReadAPI(p, test.api, test.files)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, spell(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.api, diff)
		}
	}
	for _, api := range append(slices.Clone(facts.APIs), "zipkin") {
		if _, err := formats.ReadAPI(p, api, []facts.File{{Path: "x", Data: []byte("<html>hush</html>")}}); err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("a page to log in at as an answer of %s: %v", api, err)
		}
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range host {
		f.Add(file.Path, file.Data)
	}
	f.Fuzz(func(t *testing.T, name string, data []byte) {
		got, err := formats.Read(place, append(slices.Clone(host), facts.File{Path: name, Data: data}))
		if err != nil {
			return
		}
		for _, c := range got.Components {
			if _, err := estate.ParseID(string(c.ID)); err != nil {
				t.Errorf("%q: %v", name, err)
			}
		}
	})
}

// Every file of a collection is asked about.
func BenchmarkWants(b *testing.B) {
	for b.Loop() {
		formats.Wants("srv/data/accounts/2026/11/0000012345-invoice-for-somebody.pdf")
	}
}
