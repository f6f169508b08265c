package main

import (
	"fmt"
	"strings"
)

// compose says what the ERP is made of, in the words of docker. It lies among
// the files that are collected anyway.
const compose = `services:
  web:
    image: registry.acme.example/erp:14
    depends_on: [ db ]
    environment:
      CACHE_HOST: cache
      LDAP_HOST: login
  db:
    image: postgres:17
  cache:
    image: valkey/valkey:8
  login:
    image: bitnami/openldap:2.6
    depends_on: [ names ]
  names:
    image: internetsystemsconsortium/bind9:9.20
    depends_on: [ login ]
`

// said is what the configuration says of it: all is covered but the database.
// What is known of one host only has the name by which the safe reaches that.
func said() string {
	const waived = `{ what: configuration, by: kim, until: 2999-12-31, reason: it is in the compose file }`
	var b strings.Builder
	b.WriteString("components:\n")
	fmt.Fprintf(&b, "  service/127.0.0.1/erp/web: { owner: otto, must_hold: { data: [ %s ] } }\n", erp)
	for _, name := range []string{"cache", "login", "names"} {
		role := map[string]string{"login": "roles: [ directory ], ", "names": "roles: [ dns ], "}[name]
		fmt.Fprintf(&b, "  service/127.0.0.1/erp/%s: { %smust_hold: { configuration: missing }, waived: [ %s ] }\n", name, role, waived)
	}
	b.WriteString("applications:\n  erp:\n    consists_of: [ service/127.0.0.1/erp/web ]\n    levels: { rpo: 26h }\n")
	return b.String()
}

// cover shows what depends on what, and that one thing is not in the safe.
func (d *demo) cover() error {
	d.say("Among what was collected is a file that says what the ERP is made of. The safe has read it on its way into the store, where nobody can read it now, and draws a map:")
	if err := d.shows("strongroom map show service/127.0.0.1/erp/web", 0, "needs service/127.0.0.1/erp/db, to start", "production/srv/erp/compose.yaml", "needs service/127.0.0.1/erp/login, to serve"); err != nil {
		return err
	}
	d.say("Who was first, the directory or the name server? Each waits for the other. It is known how such a knot is opened, so the order says what to do:")
	if err := d.shows("strongroom map order erp", 0, "Knot of 2 components: service/127.0.0.1/erp/login, service/127.0.0.1/erp/names", "Layer 1"); err != nil {
		return err
	}
	d.say("One thing was left out on purpose: nobody collects the database. Coverage finds that out, and ends with 3, so that a timer notices:")
	if err := d.shows("strongroom coverage erp", 3, "missing", "service/127.0.0.1/erp/db", "nobody has said what it takes to rebuild it"); err != nil {
		return err
	}
	d.say("It is a finding, too, of which people are told once and not every night. It is open until it is mended, or somebody takes it on themselves for a while:")
	if err := d.shows("strongroom findings list", 3, "coverage.missing", "service/127.0.0.1/erp/db"); err != nil {
		return err
	}
	d.say("It is proposed what closes that: what to put into the configuration, and what root runs on the host, where a key of its own can start that dump and nothing else. The file that declares the database is in the safe already:")
	return d.shows("strongroom coverage erp --propose", 0, "erp-db-dump", "exec -T db", "pg_dumpall", "must_hold:", "on the host, as root")
}

// shows runs a command on the safe, whose output must have these words.
func (d *demo) shows(line string, status int, words ...string) error {
	out, err := d.shell("safe", line, status)
	if err != nil {
		return err
	}
	for _, want := range words {
		if !strings.Contains(out, want) {
			return fmt.Errorf("%s does not say %q", line, want)
		}
	}
	return nil
}
