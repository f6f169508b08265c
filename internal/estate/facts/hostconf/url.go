package hostconf

import "strings"

// ports are those that a URL means if it names none.
var ports = map[string]uint16{
	"http": 80, "https": 443, "ldap": 389, "ldaps": 636, "postgres": 5432, "postgresql": 5432, "mysql": 3306, "mariadb": 3306,
	"redis": 6379, "rediss": 6379, "mongodb": 27017, "amqp": 5672, "amqps": 5671, "nats": 4222, "smtp": 25, "smtps": 465,
	"submission": 587, "imap": 143, "imaps": 993, "sqlserver": 1433, "mssql": 1433, "clickhouse": 9000, "memcached": 11211,
	"ftp": 21, "sftp": 22, "ssh": 22, "nfs": 2049, "kafka": 9092, "zookeeper": 2181, "oracle": 1521, "git": 9418, "cassandra": 9042,
}

// parseURL returns the scheme of a URL, and the hosts that it names: several
// only for databases that have them, such as
// mongodb://user:password@db1,db2:27017/shop. The password may have characters
// that it should not have, and is never part of what is returned.
func parseURL(s string) (scheme string, targets []target, ok bool) {
	before, rest, ok := strings.Cut(s, "://")
	if !ok {
		return "", nil, false
	}
	scheme = strings.ToLower(before)
	if _, last, nested := cutLast(scheme, ":"); nested { // jdbc:postgresql://
		scheme = last
	}
	scheme, _, _ = strings.Cut(scheme, "+")
	if scheme == "" || strings.Trim(scheme, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" {
		return "", nil, false
	}
	end := len(rest)
	if i := strings.IndexAny(rest, "/?#; \t\"'"); i >= 0 {
		end = i
	}
	switch at := strings.LastIndexByte(rest, '@'); {
	case at < 0:
	case at < end:
		rest = rest[at+1 : end]
		end = len(rest)
	case strings.Contains(rest[:end], ":"):
		return "", nil, false // what looks like host:port may be user:password with a slash in it
	}
	for host := range strings.SplitSeq(rest[:end], ",") {
		if host != "" {
			targets = append(targets, parseTarget(host, ports[scheme]))
		}
	}
	return scheme, targets, len(targets) > 0
}
