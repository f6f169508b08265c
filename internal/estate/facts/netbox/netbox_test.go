package netbox

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/factstest"
)

func TestCut(t *testing.T) {
	f, err := Read(factstest.Place, factstest.Files(t, "netbox-demo-v3.6.cut.json"))
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	factstest.Golden(t, "cut", f)
}

// The whole of the demonstration data: what stands where is found, and that no
// cluster has a device is said of each.
func TestWhole(t *testing.T) {
	b, err := os.ReadFile("../../../../../shared/testdata/facts/netbox-demo-v3.6.json")
	if os.IsNotExist(err) {
		t.Skip("the whole file is not beside the repository")
	}
	if err != nil {
		t.Fatal(err)
	}
	f, err := Read(factstest.Place, []facts.File{{Data: b}})
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	// A component is of the sort that its name begins with.
	sort := func(id estate.ID) string {
		if id.Kind() == estate.Power {
			first, _, _ := strings.Cut(id.Name(), "/")
			return first
		}
		return string(id.Kind())
	}
	got := make(map[string]int)
	for _, c := range f.Components {
		got[sort(c.ID)]++
	}
	for _, l := range f.Links {
		from, to := sort(l.From.ID), sort(l.To.ID)
		if to == "rack" {
			from = "device"
		}
		if strings.Contains(from+to, "dmi01") {
			from, to = "device", "pdu"
		}
		got[fmt.Sprintf("%s -> %s %s", from, to, l.Need)]++
	}
	clusters, racks := 0, 0
	for _, d := range f.Doubts {
		switch {
		case strings.HasPrefix(d, "cluster ") && strings.Contains(d, "has no device"):
			clusters++
		case strings.HasPrefix(d, "rack ") && strings.Contains(d, "no power feed"):
			racks++
		default:
			t.Errorf("an unexpected doubt: %s", d)
		}
	}
	for what, want := range map[string]int{
		"cluster": 32, "feed": 48, "panel": 4, "rack": 42, "site": 24,
		"host -> cluster hosting": 180, "device -> rack hosting": 72, "rack -> feed hosting": 24, "rack -> feed soft": 24,
		"feed -> panel hosting": 48, "panel -> site hosting": 4, "device -> pdu hosting": 26,
	} {
		if got[what] != want {
			t.Errorf("%d %s, want %d", got[what], what, want)
		}
	}
	if clusters != 32 || racks != 17 {
		t.Errorf("doubts about %d clusters and %d racks, want 32 and 17", clusters, racks)
	}
}

func page(path, results string) facts.File {
	return facts.File{Path: "https://netbox.example.com/api/" + path + "/?limit=500", Data: []byte(fmt.Sprintf(`{"count":%d,"next":null,"previous":null,"results":[%s]}`, strings.Count(results, `{"id"`)-strings.Count(results, `:{"id"`), results))}
}

func TestAPI(t *testing.T) {
	f, err := Read(factstest.Place, []facts.File{
		page("dcim/sites", `{"id":1,"name":"Berlin"}`),
		page("dcim/power-panels", `{"id":1,"name":"P1","site":{"id":1,"name":"Berlin"}}`),
		page("dcim/power-feeds", `{"id":1,"name":"A","type":{"value":"primary","label":"Primary"},"power_panel":{"id":1,"name":"P1"},"rack":{"id":1,"name":"R1"},"cable":null},`+
			`{"id":2,"name":"B","type":{"value":"redundant"},"power_panel":{"id":1,"name":"P1"},"rack":{"id":1,"name":"R1"}}`),
		page("dcim/racks", `{"id":1,"name":"R1","site":{"id":1,"name":"Berlin"},"status":{"value":"active"}}`),
		page("dcim/devices", `{"id":7,"name":"hv1.example.com","role":{"id":1,"name":"Server","slug":"server"},"rack":{"id":1,"name":"R1"},"site":{"id":1},"cluster":{"id":3,"name":"prod"},"status":{"value":"active"},"primary_ip4":{"id":1,"address":"10.0.0.7/24"},"tenant":{"id":1,"name":"ops"}},`+
			`{"id":8,"name":"sw1","role":{"id":2,"name":"Switch","slug":"tor-switch"},"rack":{"id":1,"name":"R1"},"site":{"id":1}}`),
		page("virtualization/clusters", `{"id":3,"name":"prod","type":{"id":1,"name":"VMware"}}`),
		page("virtualization/virtual-machines", `{"id":1,"name":"DB1","cluster":{"id":3,"name":"prod"},"device":null,"status":{"value":"active"},"primary_ip4":{"id":2,"address":"10.0.0.3/24"}},`+
			`{"id":2,"name":"lost","cluster":null,"device":null,"primary_ip4":{"id":3,"address":"10.0.0.9/24"}}`),
		page("virtualization/interfaces", `{"id":5,"name":"eth0","virtual_machine":{"id":1,"name":"DB1"}}`),
		page("ipam/ip-addresses", `{"id":2,"address":"10.0.0.3/24","dns_name":"db1.example.com","vrf":null,"assigned_object_type":"virtualization.vminterface","assigned_object_id":5},`+
			`{"id":3,"address":"10.0.0.9/24","vrf":{"id":1,"name":"customer"}}`),
		page("ipam/services", `{"id":1,"name":"postgres","protocol":{"value":"tcp"},"ports":[5432,5433],"parent_object_type":"virtualization.virtualmachine","parent_object_id":1},`+
			`{"id":2,"name":"https","protocol":{"value":"tcp"},"ports":[443],"device":{"id":7,"name":"hv1.example.com"}}`),
	})
	if err != nil {
		t.Fatal(err)
	}
	factstest.Sound(t, f)
	factstest.Golden(t, "api", f)
}

func TestSameNames(t *testing.T) {
	f, err := Read(factstest.Place, []facts.File{page("virtualization/virtual-machines", `{"id":1,"name":"db1"},{"id":2,"name":"DB1"},{"id":3,"name":"web1"}`)})
	if err != nil {
		t.Fatal(err)
	}
	var got []estate.ID
	for _, c := range f.Components {
		got = append(got, c.ID)
	}
	if diff := cmp.Diff([]estate.ID{"host/db1-1", "host/db1-2", "host/web1"}, got); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestPages(t *testing.T) {
	f, err := Read(factstest.Place, []facts.File{
		{Path: "/api/dcim/sites/", Data: []byte(`{"count":3,"next":"/api/dcim/sites/?offset=1","results":[{"id":1,"name":"a"}]}`)},
		{Path: "/api/dcim/sites/?offset=1", Data: []byte(`{"count":3,"next":"/api/dcim/sites/?offset=2","results":[{"id":2,"name":"b"}]}`)},
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"2 of 3 objects dcim.site were read: the other pages are missing"}, f.Doubts); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
}

func TestNotNetBox(t *testing.T) {
	for _, tt := range []struct{ path, text, want string }{
		{"/api/dcim/devices/", `{"detail":"Invalid token"}`, "no count and no results"},
		{"/api/dcim/cables/", `{"count":0,"results":[]}`, "its path tells what it lists"},
		{"/api/dcim/devices/", `x`, "not an answer of NetBox"},
		{"dump.json", `[{"a":1}]`, "object 0 has no model"},
		{"dump.json", `[{"model":"dcim.device","pk":1,"fields":{"name":1}}]`, "object 0, a dcim.device"},
	} {
		if _, err := Read(factstest.Place, []facts.File{{Path: tt.path, Data: []byte(tt.text)}}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("Read(%q) = %v, want an error with %q", tt.text, err, tt.want)
		}
	}
}

func FuzzRead(f *testing.F) {
	b, err := os.ReadFile("testdata/netbox-demo-v3.6.cut.json")
	if err != nil {
		f.Fatal(err)
	}
	f.Add("dump.json", b)
	f.Add("/api/dcim/devices/", []byte(`{"count":1,"results":[{"id":7,"name":"a","rack":{"id":1},"role":{"slug":"x"},"status":{"value":"active"},"primary_ip4":{"address":"10.0.0.7/24"}}]}`))
	f.Add("/api/ipam/services/", []byte(`{"count":1,"results":[{"id":7,"protocol":{"value":"tcp"},"ports":[1],"parent_object_type":["dcim","device"],"parent_object_id":1}]}`))
	f.Fuzz(func(t *testing.T, path string, b []byte) {
		files := []facts.File{{Path: path, Data: b}}
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
