package facts

import (
	"testing"

	"strongroom/internal/estate"
)

func TestSoftware(t *testing.T) {
	for image, want := range map[string]estate.Software{
		"":                           "",
		"postgres":                   estate.PostgreSQL,
		"postgres:16-alpine":         estate.PostgreSQL,
		"docker.io/library/postgres": estate.PostgreSQL,
		"registry.acme.example:5000/bitnami/PostgreSQL@sha256:00": estate.PostgreSQL,
		"postgis/postgis:16-3.4":                                  estate.PostgreSQL,
		"mariadb:11":                                              estate.MariaDB,
		"mysql/mysql-server:8.0":                                  estate.MySQL,
		"mongo:7":                                                 estate.MongoDB,
		"valkey/valkey:8":                                         estate.Redis,
		"bitnami/openldap:2.6":                                    estate.OpenLDAP,
		"prometheuscommunity/postgres-exporter":                   "", // tells of one
		"postgres/admin":                                          "",
		"nginx":                                                   "",
	} {
		if got := Software(image); got != want {
			t.Errorf("%q runs %q, want %q", image, got, want)
		}
	}
}
