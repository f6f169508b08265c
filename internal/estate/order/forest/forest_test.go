package forest

import (
	"math/rand/v2"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

func example(t testing.TB) []Controller {
	t.Helper()
	b, err := os.ReadFile("testdata/candidates.csv")
	if err != nil {
		t.Fatal(err)
	}
	table, err := Read(b)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestExample is Microsoft's example, with its answer and its reasons.
func TestExample(t *testing.T) {
	got := Choose(example(t))
	if got.Chosen != "DC_5" {
		t.Fatalf("chosen %s, want DC_5", got.Chosen)
	}
	want := []Criterion{
		{Name: "writable", Mandatory: true, Met: true, Why: "it is writable"},
		{Name: "backup", Mandatory: true, Met: true, Why: "there is a backup of it"},
		{Name: "virtual", Met: true, Why: "it is a virtual machine with Windows Server 2012 or newer, and so a source for clones"},
		{Name: "system", Met: true, Why: "Windows Server 2022 is the newest system among those that can be restored"},
		{Name: "dns", Met: true, Why: "it is a DNS server, so names come back with it"},
		{Name: "full", Met: true, Why: "it is a full installation"},
		{Name: "catalog", Met: true, Why: "it is not a global catalog, which therefore need not be removed (a slight advantage)"},
	}
	if diff := cmp.Diff(want, got.Ranking[0].Criteria, cmpopts.IgnoreUnexported(Criterion{})); diff != "" {
		t.Errorf("criteria (-want +got):\n%s", diff)
	}
	var ranking []string
	for _, r := range got.Ranking {
		ranking = append(ranking, r.Name)
	}
	if diff := cmp.Diff("DC_5 DC_2 DC_1", strings.Join(ranking[:3], " ")); diff != "" {
		t.Errorf("ranking (-want +got):\n%s", diff)
	}
	for _, r := range got.Ranking[3:] {
		if r.Possible || !strings.HasPrefix(r.Behind, "It cannot be the first: ") {
			t.Errorf("%s: %+v", r.Name, r)
		}
	}
	if got, want := got.Ranking[1].Behind, "DC_5 comes first: of DC_5, Windows Server 2022 is the newest system among those that can be restored; "+
		"of this one, Windows Server 2019 is not the newest system among those that can be restored."; got != want {
		t.Errorf("DC_2: %s\nwant %s", got, want)
	}
}

func TestRowsInAnyOrder(t *testing.T) {
	table := example(t)
	want := Choose(table)
	for seed := range uint64(50) {
		rand.New(rand.NewPCG(seed, 1)).Shuffle(len(table), func(i, j int) { table[i], table[j] = table[j], table[i] })
		if diff := cmp.Diff(want, Choose(table), cmpopts.IgnoreUnexported(Criterion{})); diff != "" {
			t.Fatalf("seed %d (-want +got):\n%s", seed, diff)
		}
	}
}

// TestAltered changes the example, as "DC_5.backup=No", and has the answers that
// follow by hand: what is mandatory first, then virtual, system, DNS, access,
// installation and catalog, each only among those that are alike before it.
func TestAltered(t *testing.T) {
	for _, c := range []struct{ name, changes, want string }{
		{"its backup is lost: of DC_1 and DC_2, alike in age, the one with DNS", "DC_5.backup=No", "DC_2"},
		{"it is read-only", "DC_5.rodc=Yes", "DC_2"},
		{"it is not known to be writable", "DC_5.rodc=", "DC_2"},
		{"its disk needs the network", "DC_5.network_unlock=Yes", "DC_2"},
		{"then neither has DNS, nor anything else that differs: by name", "DC_5.backup=No DC_2.dns=No", "DC_1"},
		{"the catalog decides between what is alike", "DC_5.backup=No DC_2.dns=No DC_1.gc=Yes DC_2.gc=No", "DC_2"},
		{"it is older: DC_2 is as new, and all else as well but the catalog", "DC_5.os=Windows_Server_2019", "DC_5"},
		{"it is the oldest", "DC_5.os=Windows_Server_2016", "DC_2"},
		{"a second release is newer than the first", "DC_5.os=Windows_Server_2012 DC_1.os=Windows_Server_2012_R2 DC_2.os=Windows_Server_2012", "DC_1"},
		{"it is a machine of its own: no source for clones", "DC_5.vm=No", "DC_2"},
		{"all are: the newest", "DC_5.vm=No DC_1.vm=No DC_2.vm=No", "DC_5"},
		{"too old to be cloned", "DC_5.os=Windows_Server_2008_R2", "DC_2"},
		{"a newer one without DNS goes before an older one with it", "DC_4.backup=Yes DC_5.backup=No", "DC_4"},
		{"of two new ones the one with DNS, though it is Server Core", "DC_3.backup=Yes DC_4.backup=Yes DC_5.backup=No", "DC_3"},
		{"of two new ones with DNS the full installation", "DC_3.backup=Yes", "DC_5"},
		{"it cannot be reached, another as new can", "DC_3.backup=Yes DC_3.accessible=Yes DC_5.accessible=No", "DC_3"},
		{"read-only ones never, however new", "DC_5.backup=No DC_1.backup=No DC_2.backup=No RODC_2.backup=Yes", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := Choose(altered(t, c.changes))
			if got.Chosen != c.want {
				t.Errorf("%s: chosen %q, want %q: %s", c.changes, got.Chosen, c.want, got.Why)
			}
			if (got.Chosen == "") != (len(got.Missing) > 0) || (got.Chosen == "") != (len(got.Advice) == 0) {
				t.Errorf("%s: %+v", c.changes, got)
			}
		})
	}
}

func altered(t *testing.T, changes string) []Controller {
	t.Helper()
	table := example(t)
	for change := range strings.FieldsSeq(changes) {
		what, value, _ := strings.Cut(change, "=")
		name, column, _ := strings.Cut(what, ".")
		for i := range table {
			if table[i].Name != name {
				continue
			}
			r := row{fields: []string{strings.ReplaceAll(value, "_", " ")}, place: map[string]int{column: 0}}
			c := &table[i]
			switch column {
			case "os":
				c.System = r.text(column)
			case "gc":
				c.Catalog = r.is(column)
			case "rodc":
				c.ReadOnly = r.is(column)
			case "backup":
				c.Backup = r.is(column)
			case "dns":
				c.DNS = r.is(column)
			case "vm":
				c.Virtual = r.is(column)
			case "accessible":
				c.Accessible = r.is(column)
			case "network_unlock":
				c.NetworkUnlock = r.is(column)
			default:
				t.Fatalf("no column %s", column)
			}
		}
	}
	return table
}

func TestNone(t *testing.T) {
	got := Choose(altered(t, "DC_1.backup=No DC_2.backup= DC_5.network_unlock=Yes"))
	want := []string{
		"DC_1: there is no backup of it.",
		"DC_2: the table does not say whether there is a backup of it.",
		"DC_3: there is no backup of it.",
		"DC_4: there is no backup of it.",
		"DC_5: its disk is opened by BitLocker Network Unlock, which needs a directory that is not there yet.",
		"RODC_1: it is read-only: a writable domain controller cannot be restored from its backup.",
		"RODC_2: it is read-only: a writable domain controller cannot be restored from its backup; there is no backup of it.",
	}
	if diff := cmp.Diff(want, got.Missing); diff != "" || got.Chosen != "" {
		t.Errorf("chosen %q, missing (-want +got):\n%s", got.Chosen, diff)
	}
	if got := Choose(nil); got.Chosen != "" || len(got.Missing) != 1 {
		t.Errorf("no table: %+v", got)
	}
}

func TestRead(t *testing.T) {
	got, err := Read([]byte("\xef\xbb\xbfBackup, RODC,dc,os,fsmo\nyes,NO,a,,None\n,,b,Windows Server 2022,PDC\n"))
	want := []Controller{
		{Name: "a", ReadOnly: No, Backup: Yes},
		{Name: "b", System: "Windows Server 2022", Roles: "PDC"},
	}
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
	for _, c := range []struct{ table, want string }{
		{"", "reading the names of the columns: EOF"},
		{"dc,os,rodc", `the column "backup" is missing`},
		{"dc,os,rodc,backup,colour", `there is no column "colour"`},
		{"dc,os,rodc,backup,dc", `there are two columns "dc"`},
		{"dc,os,rodc,backup\na,,maybe,", `line 2: rodc is "maybe", and may be Yes, No or empty`},
		{"dc,os,rodc,backup\n,,No,", "line 2: the domain controller has no name"},
		{"dc,os,rodc,backup\na,,,\na,,,", `line 3: "a" is there twice`},
		{"dc,os,rodc,backup\na,b", "wrong number of fields"},
	} {
		if _, err := Read([]byte(c.table)); err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%q: %v, want %s", c.table, err, c.want)
		}
	}
}

// FuzzRead reads anything, and chooses from what it is.
func FuzzRead(f *testing.F) {
	b, err := os.ReadFile("testdata/candidates.csv")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(b)
	f.Add([]byte("dc,os,rodc,backup\n\"a\nb\",,,"))
	f.Fuzz(func(t *testing.T, b []byte) {
		table, err := Read(b)
		if err != nil {
			return
		}
		c := Choose(table)
		if len(c.Ranking) != len(table) || c.Why == "" || (c.Chosen == "") != (len(c.Missing) > 0) {
			t.Errorf("%q: %+v", b, c)
		}
	})
}
