package daemon

import (
	"testing"
	"time"

	"strongroom/internal/estate"
	"strongroom/internal/safe/config"
)

// The safe gets into a host by the source that has read its own files, and not
// by that of the name server, whose zones have its name, too.
func TestReach(t *testing.T) {
	const key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAILVoLUx+Rg87QzJrU37o4mtJoa/AWO3T+c+SG4UaUIoW"
	login := func(host string) string {
		return "host: strongroom@" + host + ", host_key: " + key + ", key: \"file:/k\" }\n"
	}
	c, err := config.Parse("strongroom.yaml", []byte("safe: acme\nstore: /srv/store\nsources:\n"+
		"  zones: { kind: sftp, include: [ /etc/bind ], "+login("10.0.0.53")+
		"  db1: { kind: facts, "+login("10.0.0.5")+
		"  conf: { kind: sftp, include: [ /etc ], "+login("10.0.0.5")+
		"  some: { kind: sftp, include: [ /srv ], exclude: [ /srv/cache ], "+login("10.0.0.5")+
		"  dump: { kind: command, name: x.sql, "+login("10.0.0.6")))
	if err != nil {
		t.Fatal(err)
	}
	told := func(source, place string) []estate.Evidence {
		now := time.Date(2026, 11, 22, 3, 0, 0, 0, time.UTC)
		return []estate.Evidence{{Basis: estate.Declared, Source: source, Place: place, First: now, Last: now}}
	}
	m := estate.Draw([]estate.Facts{
		{Components: []estate.Component{{ID: "host/db1", Evidence: told("zones", "etc/bind/db.acme.example: db1.acme.example A")}}},
		{Components: []estate.Component{{ID: "host/db1", Evidence: told("db1", "etc/machine-id")}, {ID: "service/db1/shop", Evidence: told("db1", "srv/shop/compose.yaml: line 3")}},
			Links: []estate.Link{{From: estate.End{ID: "service/db1/shop"}, To: estate.End{ID: "host/db1"}, Need: estate.Hosting, Evidence: told("db1", "srv/shop/compose.yaml")}}},
		{Components: []estate.Component{{ID: "host/web1", Evidence: told("zones", "etc/bind/db.acme.example: web1.acme.example A")}, {ID: "host/app1", Evidence: told("dump", "etc/machine-id")}}},
	}, estate.Statements{})
	all := reachOf(c, m)
	for id, want := range map[estate.ID]string{"host/db1": "strongroom@10.0.0.5:22", "service/db1/shop": "strongroom@10.0.0.5:22", "host/web1": "", "host/app1": ""} {
		if got := all[id].Host; got != want {
			t.Errorf("the safe gets into %s as %q, want %q", id, got, want)
		}
	}
	if got := all["service/db1/shop"].Reads; len(got) != 1 || got[0].Source != "conf" {
		t.Errorf("of its host is read %v, want what conf pulls", got)
	}
}
