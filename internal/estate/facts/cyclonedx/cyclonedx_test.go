package cyclonedx

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate/facts/factstest"
)

func TestRealBill(t *testing.T) {
	f, err := Read(factstest.Place, factstest.Files(t, "cyclonedx-saasbom.json")[0].Data)
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	factstest.Golden(t, "cyclonedx-saasbom", f)
}

// Of a bill of software, what runs is taken, and libraries are counted.
func TestLibraries(t *testing.T) {
	f, err := Read(factstest.Place, []byte(`{"bomFormat": "CycloneDX",
"metadata": {"component": {"bom-ref": "shop", "type": "application", "name": "Shop"}},
"components": [
  {"bom-ref": "pkg:npm/left-pad", "type": "library", "name": "left-pad"},
  {"bom-ref": "pkg:oci/db", "type": "container", "name": "db", "components": [{"bom-ref": "lib", "type": "library"}]},
  {"bom-ref": "os", "type": "operating-system", "name": "debian"}],
"services": [
  {"bom-ref": "a", "name": "grafana", "endpoints": ["https://x.example.com/a", "https://u:hunter2@a.example.com:8443/?token=hunter2", "http://10.0.0.5", "hunter2", "urn:x"]},
  {"bom-ref": "b", "name": "hunter", "endpoints": ["https://x.example.com/b"], "properties": [{"value": "hunter2"}]}],
"dependencies": [
  {"ref": "shop", "dependsOn": ["pkg:npm/left-pad", "pkg:oci/db", "gone", "a", "shop"]},
  {"ref": "pkg:npm/left-pad", "dependsOn": ["lib"]},
  {"ref": "pkg:oci/db", "dependsOn": ["os"], "provides": ["b"]}]}`))
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	factstest.Secretless(t, f, nil, "hunter2")
	want := `application/shop "Shop"
	declared, file: line 2: bom-ref shop
host/os "debian"
	declared, file: line 6: bom-ref os
service/a =10.0.0.5:80/tcp =a.example.com:8443/tcp #telemetry "grafana"
	declared, file: line 8: bom-ref a
service/b "hunter"
	declared, file: line 9: bom-ref b
service/pkg:oci/db "db"
	declared, file: line 5: bom-ref pkg:oci/db
application/shop -> service/a telemetry
	declared, file: line 11: dependsOn: shop -> a
application/shop -> service/pkg:oci/db run
	declared, file: line 11: dependsOn: shop -> pkg:oci/db
service/pkg:oci/db -> host/os run
	declared, file: line 13: dependsOn: pkg:oci/db -> os
? 1 dependencies are of references that nothing in the bill has
? 2 libraries and other parts that do not run by themselves were left out
`
	if diff := cmp.Diff(want, factstest.Text(f)); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestNotABill(t *testing.T) {
	for text, want := range map[string]string{
		`<bom xmlns="http://cyclonedx.org/schema/bom/1.4">hunter2</bom>`: "XML",
		`{"spdxVersion": "hunter2"}`:                                     "no bill",
		`{"bomFormat": "CycloneDX", hunter2`:                             "not valid",
		``:                                                               "no bill",
		`[]`:                                                             "no bill",
		`{"bomFormat": "CycloneDX", "x": ` + strings.Repeat("[", 1000):             "",
		`{"bomFormat": "CycloneDX", "x": [` + strings.Repeat("1,", 1_000_001):      "more than",
		fmt.Sprintf(`{"bomFormat": "CycloneDX"} {"bomFormat": "CycloneDX%s"}`, ""): "no bill",
	} {
		f, err := Read(factstest.Place, []byte(text))
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("Read(%.40q) = %v, want %q", text, err, want)
		}
		factstest.Secretless(t, f, err, "hunter2")
	}
}

func FuzzRead(f *testing.F) {
	f.Add(factstest.Files(f, "cyclonedx-saasbom.json")[0].Data)
	f.Add([]byte(`{"bomFormat": "CycloneDX", "components": [{"bom-ref": "a", "type": "device", "components": [{"bom-ref": "a", "type": "library"}]}], "dependencies": [{"ref": "a", "dependsOn": ["a", "b"]}]}`))
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
