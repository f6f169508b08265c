package terraform

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts/factstest"
)

func read(t *testing.T, text string) estate.Facts {
	t.Helper()
	f, err := Read(factstest.Place, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	return f
}

func TestRealFiles(t *testing.T) {
	for _, f := range factstest.Files(t, "terraform-graph.dot", "tfplan-config-depends-on.json", "tfplan-module-depends-on.json", "tfstate-v4-aws-cyclic-sg.json", "tfstate-v4-terraform_data.json") {
		got, err := Read(factstest.Place, f.Data)
		if err != nil {
			t.Fatalf("%s: %v", f.Path, err)
		}
		factstest.Golden(t, f.Path, got)
	}
}

// An old state has another layout, which is said, and half of it is not read.
func TestVersions(t *testing.T) {
	old := string(factstest.Files(t, "tfstate-v3-aws.json")[0].Data)
	for text, want := range map[string]string{
		old:                               "version 3",
		`{"version": 3}`:                  "version 3",
		`{"version": 1, "modules": []}`:   "version 3 or before",
		`{"version": 5, "resources": []}`: "version 5",
		`{"version": "4"}`:                "not laid out",
		`{}`:                              "neither",
		`[]`:                              "neither",
		``:                                "neither",
		`{"version": 4, "hunter2`:         "not valid JSON",
		"digraph {":                       "cut off",
		"resource \"a\" \"b\" {}":         "neither",
	} {
		f, err := Read(factstest.Place, []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) || len(f.Links) > 0 {
			t.Errorf("Read(%.40q) = %v, want %q", text, err, want)
		}
		factstest.Secretless(t, f, err, "hunter2")
	}
	if _, err := Read(factstest.Place, []byte(old)); !errors.Is(err, ErrOld) {
		t.Errorf("got %v, want ErrOld", err)
	}
}

func TestLinks(t *testing.T) {
	instance := func(name, groups string) string {
		return fmt.Sprintf(`{"mode": "managed", "type": "aws_instance", "name": %q, "instances": [{"dependencies": [%s]}]}`, name, groups)
	}
	group := func(name, ingress string) string {
		return fmt.Sprintf(`{"mode": "managed", "type": "aws_security_group", "name": %[1]q, "instances": [{"attributes": {"id": "sg-%[1]s", "ingress": [%s], "egress": []}}]}`, name, ingress)
	}
	rule := func(attributes string) string {
		return `{"mode": "managed", "type": "aws_security_group_rule", "name": "r", "instances": [{"attributes": {` + attributes + `}}]}`
	}
	a, b := instance("a", `"aws_security_group.a"`), instance("b", `"aws_security_group.b"`)
	for _, tt := range []struct{ name, text, want string }{
		{"a module and an index", `{"version": 4, "resources": [{"module": "module.m[\"k.x\"]", "mode": "managed", "type": "x_y", "name": "z", "instances": [{"index_key": 0, "dependencies": ["module.m.data.x_d.e", "x_y.top"]}, {"index_key": 1, "dependencies": ["x_y.top"]}]}]}`,
			"resource/module.m.x_y.z -> resource/module.m.data.x_d.e start, resource/module.m.x_y.z -> resource/x_y.top start"},
		{"a group that lets in another", `{"version": 4, "resources": [` + strings.Join([]string{a, b, group("a", ""), group("b", `{"from_port": 5432, "to_port": 5432, "protocol": "tcp", "security_groups": ["sg-a"]}`)}, ",") + `]}`,
			"host/a -> host/b run 5432/tcp"},
		{"a rule", `{"version": 4, "resources": [` + strings.Join([]string{a, b, group("a", ""), group("b", ""), rule(`"type": "ingress", "security_group_id": "sg-b", "source_security_group_id": "sg-a", "from_port": 0, "to_port": 65535`)}, ",") + `]}`,
			"host/a -> host/b run"},
		{"a rule for what goes out", `{"version": 4, "resources": [` + strings.Join([]string{a, b, group("a", ""), group("b", ""), rule(`"type": "egress", "security_group_id": "sg-b", "source_security_group_id": "sg-a"`)}, ",") + `]}`,
			"host/b -> host/a run"},
		{"a rule that is there twice", `{"version": 4, "resources": [` + strings.Join([]string{a, b, group("a", ""), group("b", `{"from_port": 9100, "to_port": 9100, "protocol": "tcp", "security_groups": ["sg-a"]}`), rule(`"security_group_id": "sg-b", "source_security_group_id": "sg-a"`)}, ",") + `]}`,
			"host/a -> host/b telemetry 9100/tcp"},
		{"a group that lets in itself", `{"version": 4, "resources": [` + strings.Join([]string{a, instance("a2", `"aws_security_group.a"`), group("a", `{"self": true, "security_groups": ["sg-a"]}`)}, ",") + `]}`, ""},
		{"telemetry", `{"version": 4, "resources": [` + strings.Join([]string{a, b, group("a", ""), group("b", `{"from_port": 9100, "to_port": 9100, "protocol": "tcp", "security_groups": ["sg-a"]}`)}, ",") + `]}`,
			"host/a -> host/b telemetry 9100/tcp"},
		{"attributes of another type", `{"version": 4, "resources": [` + strings.Join([]string{a, b, `{"type": "aws_security_group", "name": "a", "instances": [{"attributes": {"id": 7, "ingress": "x"}}]}`, rule(`"security_group_id": {}, "source_security_group_id": []`)}, ",") + `]}`, ""},
		{"a state that was shown", `{"format_version": "1.0", "values": {"root_module": {"resources": [{"address": "a_b.c[0]", "depends_on": ["module.m.a_b.d", "bad"]}], "child_modules": [{"resources": [{"address": "module.m[\"x\"].a_b.d", "depends_on": ["a_b.e"]}]}]}}}`,
			"resource/a_b.c -> resource/module.m.a_b.d start, resource/module.m.a_b.d -> resource/a_b.e start"},
		{"an old graph", "digraph {\n\tcompound = \"true\"\n\t\"[root] a_b.c (expand)\" [label = \"a_b.c\", shape = \"box\"]\n\t\"[root] a_b.c (expand)\" -> \"[root] a_b.d[\\\"k\\\"] (expand)\"\n\t\"[root] a_b.c (expand)\" -> \"[root] provider[\\\"registry/x\\\"]\"\n\t\"[root] a_b.c (expand)\" -> \"[root] var.x\"\n\t\"[root] root\" -> \"[root] a_b.c (expand)\"\n}\n",
			"resource/a_b.c -> resource/a_b.d start"},
	} {
		var got []string
		for _, l := range factstest.Links(read(t, tt.text)) {
			if !strings.Contains(l, "security_group") {
				got = append(got, strings.ReplaceAll(l, "aws_instance.", ""))
			}
		}
		if g := strings.Join(got, ", "); g != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, g, tt.want)
		}
	}
}

// References of a plan are followed through what modules are given and give back.
func TestPlan(t *testing.T) {
	f := read(t, `{"format_version": "1.2", "configuration": {"root_module": {
"resources": [
  {"address": "a_b.web", "expressions": {"x": {"references": ["a_b.db.id", "a_b.db", "var.none", "each.key", "local.l"]}, "block": [{"y": {"references": ["module.net.subnet"]}}], "p": {"constant_value": {"references": ["a_b.never"]}}}},
  {"address": "a_b.all", "depends_on": ["module.net"]},
  {"address": "data.a_d.e", "expressions": {"x": {"references": ["data.a_d.f.g[0]", "data.a_d.f"]}}}],
"module_calls": {"net": {
  "expressions": {"cidr": {"references": ["a_b.plan.cidr"]}},
  "depends_on": ["a_b.account"],
  "module": {
    "outputs": {"subnet": {"expression": {"references": ["a_b.subnet.id"]}}},
    "resources": [{"address": "a_b.subnet", "expressions": {"c": {"references": ["var.cidr"]}}}]}}}}}}`)
	want := []string{
		"resource/a_b.all -> resource/module.net.a_b.subnet start",
		"resource/a_b.web -> resource/a_b.db start",
		"resource/a_b.web -> resource/module.net.a_b.subnet start",
		"resource/data.a_d.e -> resource/data.a_d.f start",
		"resource/module.net.a_b.subnet -> resource/a_b.account start",
		"resource/module.net.a_b.subnet -> resource/a_b.plan start",
	}
	if diff := cmp.Diff(want, factstest.Links(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

// A password in each place where these files can hold one is nowhere in the facts.
func TestSecrets(t *testing.T) {
	for _, text := range []string{
		`{"version": 4, "outputs": {"hunter2": {"value": "hunter2"}}, "resources": [{"module": "module.a[\"hunter2\"]", "type": "aws_db_instance", "name": "db", "instances": [{"index_key": "hunter2", "attributes": {"id": "hunter2", "password": "hunter2"}, "sensitive_attributes": ["hunter2"], "private": "hunter2", "dependencies": ["random_password.p[\"hunter2\"]"]}]},
		{"type": "aws_security_group", "name": "g", "instances": [{"attributes": {"id": "hunter2", "description": "hunter2", "ingress": [{"security_groups": ["hunter2"], "description": "hunter2"}]}}]}]}`,
		`{"format_version": "1.0", "values": {"outputs": {"p": {"value": "hunter2"}}, "root_module": {"resources": [{"address": "a_b.c[\"hunter2\"]", "index": "hunter2", "values": {"p": "hunter2"}, "depends_on": ["a_b.d[\"hunter2\"]"]}]}}}`,
		`{"format_version": "1.0", "variables": {"p": {"value": "hunter2"}}, "planned_values": {"root_module": {"resources": [{"values": "hunter2"}]}}, "configuration": {"root_module": {"resources": [{"address": "a_b.c", "expressions": {"p": {"constant_value": "hunter2"}, "q": {"references": ["a_b.d[\"hunter2\"].x"]}}}]}}}`,
		"digraph {\n \"a_b.c[\\\"hunter2\\\"]\" [label=\"hunter2\"];\n \"a_b.c[\\\"hunter2\\\"]\" -> \"a_b.d\";\n}",
	} {
		f, err := Read(factstest.Place, []byte(text))
		if err != nil || len(f.Links) == 0 {
			t.Errorf("%v\n%s", err, factstest.Text(f))
		}
		factstest.Secretless(t, f, err, "hunter2")
	}
}

// What refers to each other many times over is refused, or costs little.
func TestBombs(t *testing.T) {
	var groups, calls strings.Builder
	for i := range 250 {
		fmt.Fprintf(&groups, `,{"type": "aws_instance", "name": "i%d", "instances": [{"dependencies": ["aws_security_group.a", "aws_security_group.b"]}]}`, i)
	}
	for range 30 {
		calls.WriteString(`{"outputs": {"o": {"expression": {"references": ["module.m.o", "module.m.o"]}}}, "module_calls": {"m": {"module": `)
	}
	for name, text := range map[string]string{
		"all let in all": `{"version": 4, "resources": [{"type": "aws_security_group", "name": "a", "instances": [{"attributes": {"id": "a", "ingress": [{"security_groups": ["b"]}]}}]},
{"type": "aws_security_group", "name": "b", "instances": [{"attributes": {"id": "b"}}]}` + groups.String() + `]}`,
		"outputs of outputs": `{"format_version": "1", "configuration": {"root_module": {"resources": [{"address": "a_b.c", "depends_on": ["module.m.o"]}], "module_calls": {"m": {"module": ` + calls.String() + `{}` + strings.Repeat("}}}", 30) + `}}}}}`,
		"many values":        `{"version": 4, "resources": [` + strings.Repeat("{},", 2_000_000) + `{}]}`,
		"deep":               `{"version": 4, "resources": ` + strings.Repeat("[", 1_000_000),
		"a deep expression":  `{"format_version": "1", "configuration": {"root_module": {"resources": [{"address": "a_b.c", "expressions": ` + strings.Repeat(`{"a":`, 5000) + "1" + strings.Repeat("}", 5000) + `}]}}}`,
	} {
		t.Run(name, func(t *testing.T) {
			if f, err := Read(factstest.Place, []byte(text)); err == nil {
				factstest.Sound(t, f)
			} else if !strings.Contains(err.Error(), "more than") && name != "deep" {
				t.Error(err)
			}
		})
	}
}

func FuzzRead(f *testing.F) {
	for _, file := range factstest.Files(f, "terraform-graph.dot", "tfplan-config-depends-on.json", "tfplan-module-depends-on.json", "tfstate-v4-terraform_data.json") {
		f.Add(file.Data)
	}
	f.Add([]byte(`{"version": 4, "resources": [{"type": "aws_security_group", "name": "a", "instances": [{"attributes": {"id": "a", "ingress": [{"security_groups": ["b"]}]}}]}]}`))
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
