package score

import (
	"cmp"
	"encoding/csv"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/backstage"
	"strongroom/internal/estate/facts/compose"
	"strongroom/internal/estate/facts/cyclonedx"
	"strongroom/internal/estate/facts/hubble"
	"strongroom/internal/estate/facts/jaeger"
	"strongroom/internal/estate/facts/kiali"
	"strongroom/internal/estate/facts/kubernetes"
	"strongroom/internal/estate/facts/sockets"
	"strongroom/internal/estate/facts/terraform"
)

// A row is one file, or several that are read together, for which the tables
// have the right dependencies.
type row struct {
	dataset string // as the tables name it
	from    string // what is read, if that is not what the table's name says
	read    func(t *testing.T) []estate.Facts
	// name spells an end as the tables do; "" leaves links of that end out.
	name func(estate.End) string
	// beyond are dependencies that the tables lack and that are right, by
	// "from -> to", each with why; missing are those that the tables have and
	// that the reader rightly does not find.
	beyond, missing map[string]string
}

var rows = []row{
	{dataset: "backstage-catalog", read: readBackstage, name: refOf},
	{dataset: "compose-cycle-declared", read: readCompose("compose-cycle-declared.yaml"), name: lastName},
	{dataset: "compose-dify", read: readCompose("compose-dify.yaml"), name: lastName},
	{dataset: "compose-gitlab-registry", read: readCompose("compose-gitlab-registry.yml"), name: lastName},
	{dataset: "compose-n8n", read: readCompose("compose-n8n-postgres-falsecycle.yaml"), name: lastName},
	{dataset: "compose-nextcloud", read: readCompose("compose-nextcloud-redis-mariadb.yaml"), name: lastName},
	{dataset: "compose-oteldemo", name: lastName, beyond: map[string]string{
		"accounting -> astronomy-db": "its DB_CONNECTION_STRING begins with Host=astronomy-db"},
		read: readCompose("compose-oteldemo.yaml", "compose-oteldemo.full.yaml", "compose-oteldemo.observability.yaml", "compose-oteldemo.env")},
	{dataset: "cyclonedx-saasbom", read: readCycloneDX, name: lastName},
	{dataset: "hubble", read: readHubble, name: lastName},
	{dataset: "jaeger-small", read: readJaeger, name: lastName},
	{dataset: "kiali-bookinfo", read: readKiali, name: lastName},
	{dataset: "k8s-bookinfo", read: readKubernetes("k8s-bookinfo.yaml"), name: lastName, missing: map[string]string{
		"productpage-v1 -> details": unnamed, "productpage-v1 -> reviews": unnamed, "reviews-v2 -> ratings": unnamed, "reviews-v3 -> ratings": unnamed,
	}},
	{dataset: "k8s-onlineboutique", read: readKubernetes("k8s-onlineboutique.yaml"), name: lastName},
	{dataset: "ss-hosts", read: readSockets, name: nameOfSocket},
	{dataset: "terraform-graph", read: readTerraform("terraform-graph.dot"), name: addressOf},
	{dataset: "tfplan-config-depends-on", read: readTerraform("tfplan-config-depends-on.json"), name: addressOf},
	{dataset: "tfplan-module-depends-on", read: readTerraform("tfplan-module-depends-on.json"), name: addressOf},
	{dataset: "tfstate-v4-aws-cyclic-sg", read: readTerraform("tfstate-v4-aws-cyclic-sg.json"), name: addressOf},
	{dataset: "tfstate-v4-terraform_data", read: readTerraform("tfstate-v4-terraform_data.json"), name: addressOf},
}

// unnamed is why nothing is found of an application whose addresses are in its
// programs.
const unnamed = "the manifest names no peer: only who watches the calls can know it"

var place = facts.Place{Source: "test", Path: "test", Seen: time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)}

// files reads files of the test data of a reader.
func files(t *testing.T, reader string, names ...string) []facts.File {
	t.Helper()
	var all []facts.File
	for _, name := range names {
		b, err := os.ReadFile(filepath.Join("..", reader, "testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, facts.File{Path: name, Data: b})
	}
	return all
}

// one is for what Read returns.
func one(t *testing.T) func(estate.Facts, error) []estate.Facts {
	return func(f estate.Facts, err error) []estate.Facts {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return []estate.Facts{f}
	}
}

// lastName is the name for most ends: what stands after the scope.
func lastName(e estate.End) string {
	name := e.ID.Name()
	return name[strings.LastIndexByte(name, '/')+1:]
}

// readCompose reads a project, whose last file is .env if its name says so.
func readCompose(names ...string) func(t *testing.T) []estate.Facts {
	return func(t *testing.T) []estate.Facts {
		all := files(t, "compose", names...)
		if last := &all[len(all)-1]; strings.HasSuffix(last.Path, ".env") {
			last.Path = ".env"
		}
		return one(t)(compose.Read(place, all))
	}
}

func readKubernetes(name string) func(t *testing.T) []estate.Facts {
	return func(t *testing.T) []estate.Facts { return one(t)(kubernetes.Read(place, files(t, "kubernetes", name))) }
}

func readTerraform(name string) func(t *testing.T) []estate.Facts {
	return func(t *testing.T) []estate.Facts {
		return one(t)(terraform.Read(place, files(t, "terraform", name)[0].Data))
	}
}

// addressOf is the whole name: addresses have no slash in them.
func addressOf(e estate.End) string { return e.ID.Name() }

func readBackstage(t *testing.T) []estate.Facts {
	return one(t)(backstage.Read(place, files(t, "backstage", "backstage-catalog.yaml")))
}

// refOf spells an end as Backstage refers to it.
func refOf(e estate.End) string {
	kind := map[estate.Kind]string{estate.Service: "component", estate.Resource: "resource"}[e.ID.Kind()]
	return kind + ":" + e.ID.Name()
}

func readCycloneDX(t *testing.T) []estate.Facts {
	return one(t)(cyclonedx.Read(place, files(t, "cyclonedx", "cyclonedx-saasbom.json")[0].Data))
}

func readSockets(t *testing.T) []estate.Facts {
	var all []estate.Facts
	for _, host := range []string{"app1", "db1", "dns1", "ldap1", "web1"} {
		at := place
		at.Scope = host
		all = append(all, one(t)(sockets.Read(at, files(t, "sockets", host+".ip-j-addr.json", host+".ss-tnpH.txt", host+".ss-tlnpH.txt")))...)
	}
	return all
}

func readHubble(t *testing.T) []estate.Facts {
	return one(t)(hubble.Read(place, files(t, "hubble", "hubble-export-cilium-docs.jsonl")[0].Data))
}

func readJaeger(t *testing.T) []estate.Facts {
	return one(t)(jaeger.Read(place, files(t, "jaeger", "small.json")[0].Data))
}

// readKiali names what is called as the table does, by its service, of which
// Kiali sees the versions.
func readKiali(t *testing.T) []estate.Facts {
	all := one(t)(kiali.Read(place, files(t, "kiali", "kiali-bookinfo-versionedApp.json")[0].Data))
	for i := range all[0].Links {
		to := &all[0].Links[i].To
		to.ID = estate.ID(strings.TrimRight(string(to.ID), "0123456789"))
		to.ID = estate.ID(strings.TrimSuffix(string(to.ID), "-v"))
	}
	return all
}

// nameOfSocket knows the hosts by their addresses, as a map does.
func nameOfSocket(e estate.End) string {
	if e.ID != "" {
		return e.ID.Name()
	}
	host, _ := e.Alias.Host()
	return map[estate.Alias]string{"10.77.0.1": "web1", "10.77.0.2": "app1", "10.77.0.3": "db1", "10.77.0.4": "ldap1", "10.77.0.53": "dns1"}[host]
}

// A kind is how the tables say that a dependency can be known.
type kind string

const (
	declared  kind = "declared"
	telemetry kind = "telemetry"
	setting   kind = "undeclared-ref"
	derived   kind = "derived"
	known     kind = "true"
	trap      kind = "false-positive"
	unseen    kind = "true-not-in-manifest"
)

var kinds = []kind{declared, telemetry, setting, derived, known, unseen}

// is says whether what was found of a pair is of that kind.
func (k kind) is(links []estate.Link) bool {
	for _, l := range links {
		has := func(b estate.Basis) bool {
			return slices.ContainsFunc(l.Evidence, func(e estate.Evidence) bool { return e.Basis == b })
		}
		switch {
		case k == known,
			k == unseen,
			k == telemetry && l.Need == estate.Telemetry,
			k == declared && l.Need != estate.Telemetry && has(estate.Declared),
			k == setting && l.Need != estate.Telemetry && has(estate.Derived),
			k == derived && has(estate.Derived):
			return true
		}
	}
	return false
}

// tables returns what is known: by dataset and "from -> to", the kind.
func tables(t *testing.T) map[string]map[string]kind {
	t.Helper()
	all := make(map[string]map[string]kind)
	for _, name := range []string{"EXPECTED-EDGES.tsv", "MORE-EDGES.tsv"} {
		f, err := os.Open(filepath.Join("testdata", name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		r := csv.NewReader(f)
		r.Comma, r.LazyQuotes = '\t', true
		lines, err := r.ReadAll()
		if err != nil {
			t.Fatal(err)
		}
		for _, line := range lines[1:] {
			k := kind(line[3])
			if k != trap && !slices.Contains(kinds, k) {
				t.Fatalf("%s: %q is no kind of dependency", name, k)
			}
			if all[line[0]] == nil {
				all[line[0]] = make(map[string]kind)
			}
			all[line[0]][line[1]+" -> "+line[2]] = k
		}
	}
	return all
}

// TestScore fails if a reader misses what it should find, or finds what is not
// there. What it prints is the table of `make facts`.
func TestScore(t *testing.T) {
	known := tables(t)
	var notes []string
	if testing.Verbose() {
		fmt.Printf("%-28s %-16s %8s %6s %9s %7s\n", "read", "known how", "expected", "found", "precision", "recall")
	}
	var done []string
	for _, r := range rows {
		want := known[r.dataset]
		if want == nil {
			t.Errorf("no table has %s", r.dataset)
			continue
		}
		done = append(done, r.dataset)
		notes = append(notes, r.score(t, want)...)
	}
	if testing.Verbose() {
		fmt.Println(strings.Join(notes, "\n"))
	}
	for _, dataset := range slices.Sorted(maps.Keys(known)) {
		if !slices.Contains(done, dataset) {
			t.Errorf("nobody reads %s", dataset)
		}
	}
}

// score counts one row, and returns what is to be said of it.
func (r row) score(t *testing.T, want map[string]kind) (notes []string) {
	name := cmp.Or(r.from, r.dataset)
	found := make(map[string][]estate.Link)
	for _, f := range r.read(t) {
		for _, l := range f.Links {
			from, to := r.name(l.From), r.name(l.To)
			if from != "" && to != "" {
				found[from+" -> "+to] = append(found[from+" -> "+to], l)
			}
		}
	}
	total, missed := make(map[kind]int), make(map[kind]int)
	for _, edge := range slices.Sorted(maps.Keys(want)) {
		k := want[edge]
		total[k]++
		switch reason, known := r.missing[edge]; {
		case k == trap && found[edge] != nil:
			t.Errorf("%s: found the trap %s: %v", name, edge, found[edge])
		case k == trap:
			notes = append(notes, fmt.Sprintf("%s: %s is a trap, and was not found", name, edge))
		case k.is(found[edge]) && known:
			t.Errorf("%s: %s is found, so it is not missing", name, edge)
		case k.is(found[edge]):
		case known:
			missed[k]++
			notes = append(notes, fmt.Sprintf("%s: %s is missed: %s", name, edge, reason))
		default:
			missed[k]++
			t.Errorf("%s: %s is %s and was not found as that: %v", name, edge, k, found[edge])
		}
	}
	// A wrong kind is counted where the dependency was expected, as missed, so
	// what is wrong here is only what no table has.
	wrong := 0
	for _, edge := range slices.Sorted(maps.Keys(found)) {
		if k, ok := want[edge]; ok && k != trap {
			continue
		}
		wrong++
		if reason, ok := r.beyond[edge]; ok {
			notes = append(notes, fmt.Sprintf("%s: %s is not in the table: %s", name, edge, reason))
		} else if _, ok := want[edge]; !ok {
			t.Errorf("%s: found %s, which is not there: %v", name, edge, found[edge])
		}
	}
	for edge := range r.beyond {
		if found[edge] == nil {
			t.Errorf("%s: %s is not found", name, edge)
		}
	}
	if !testing.Verbose() {
		return nil
	}
	right := 0
	for _, k := range kinds {
		if n := total[k]; n > 0 {
			right += n - missed[k]
			fmt.Printf("%-28s %-16s %8d %6d %9s %7.3f\n", name, k, n, n-missed[k], "", float64(n-missed[k])/float64(n))
		}
	}
	precision := "none"
	if right+wrong > 0 {
		precision = fmt.Sprintf("%.3f", float64(right)/float64(right+wrong))
	}
	fmt.Printf("%-28s %-16s %8s %6d %9s\n", name, "all that it found", "", right+wrong, precision)
	return notes
}
