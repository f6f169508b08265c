package estate

import (
	"slices"
	"strings"
)

// Software is what keeps the data of a component, where it is known how such
// data are pulled: as what it says itself, not as the files that it works on.
type Software string

const (
	PostgreSQL Software = "postgresql"
	MariaDB    Software = "mariadb"
	MySQL      Software = "mysql"
	MongoDB    Software = "mongodb"
	Redis      Software = "redis" // Valkey, too
	OpenLDAP   Software = "openldap"
)

// publishedAs has the names under which each is published and installed.
var publishedAs = map[Software][]string{
	PostgreSQL: {"postgresql", "postgres", "pgsql", "postgis", "pgvector", "timescaledb", "timescaledb-ha"},
	MariaDB:    {"mariadb"},
	MySQL:      {"mysql", "mysql-server", "percona", "percona-server"},
	MongoDB:    {"mongodb", "mongo", "mongodb-community-server"},
	Redis:      {"redis", "valkey", "redis-stack", "redis-stack-server"},
	OpenLDAP:   {"openldap", "slapd"},
}

// SoftwareCalled returns what is published under a name, such as postgres; ""
// if that is nothing of these.
func SoftwareCalled(name string) Software {
	name = strings.ToLower(name)
	for s, names := range publishedAs {
		if slices.Contains(names, name) {
			return s
		}
	}
	return ""
}

// isKnown reports whether it is one of these, or not known at all.
func (s Software) isKnown() bool { return s == "" || publishedAs[s] != nil }
