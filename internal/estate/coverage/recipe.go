package coverage

import (
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"strongroom/internal/estate"
	"strongroom/internal/safe"
	"strongroom/internal/safe/config"
)

// A recipe is what would be pulled of a component for one matter. If there are
// neither a dump nor paths, a person has to say where that lies.
type recipe struct {
	matter  config.Matter
	suffix  string   // of the source's name
	dump    *dump    // or else
	include []string // paths
	exclude []string
	lenient bool     // what the account may not read is left out
	notes   []string // what people should know of it
}

// A dump is a command that the host runs, whose output is pulled.
type dump struct {
	entry   string   // what its output is called
	ends    string   // how that ends; "" if that cannot be told
	command string   // a line of shell; it reads nothing
	as      string   // whom it runs as on the host; "" for the account that logs in
	grants  []string // what root runs before, so that the account may do that
	notes   []string // what people should know of it
}

// A way is how the data of some software are pulled: by the account that logs in
// to their host, or within their container. What a container is told by its
// environment never stands on a command line, where all of its host would see it.
type way struct {
	onHost      dump
	inContainer string
}

const (
	postgresDump = "pg_dumpall --no-role-passwords --no-password --lock-wait-timeout=600000"
	mariaDump    = " --all-databases --single-transaction --routines --events"
)

var ways = map[estate.Software]way{
	estate.PostgreSQL: {
		onHost: dump{
			entry: "postgresql.sql", ends: "-- PostgreSQL database cluster dump complete", command: "exec " + postgresDump,
			grants: []string{
				"runuser -u postgres -- createuser " + dumper,
				`runuser -u postgres -- psql --command='GRANT pg_read_all_data TO "` + dumper + `"'`,
			},
			notes: []string{"Passwords of roles are not in it."},
		},
		inContainer: `exec ` + postgresDump + ` --username="${POSTGRES_USER:-postgres}"`,
	},
	estate.MariaDB: {
		onHost: dump{
			entry: "mariadb.sql", ends: "-- Dump completed", command: "exec mariadb-dump" + mariaDump,
			grants: []string{`mariadb --execute="CREATE USER IF NOT EXISTS '` + dumper + `'@localhost IDENTIFIED VIA unix_socket; GRANT SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON *.* TO '` + dumper + `'@localhost"`},
		},
		inContainer: `export MYSQL_PWD="${MARIADB_ROOT_PASSWORD:-${MYSQL_ROOT_PASSWORD:-}}"; exec mariadb-dump --user=root` + mariaDump,
	},
	estate.MySQL: {
		onHost: dump{
			entry: "mysql.sql", ends: "-- Dump completed", command: "exec mysqldump --no-tablespaces" + mariaDump,
			grants: []string{`mysql --execute="CREATE USER IF NOT EXISTS '` + dumper + `'@localhost IDENTIFIED WITH auth_socket; GRANT SELECT, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT ON *.* TO '` + dumper + `'@localhost"`},
		},
		inContainer: `export MYSQL_PWD="${MYSQL_ROOT_PASSWORD:-}"; exec mysqldump --user=root --no-tablespaces` + mariaDump,
	},
	estate.MongoDB: {
		onHost: dump{entry: "mongodb.archive", command: "exec mongodump --archive --quiet",
			notes: []string{"If it asks who is there, let the script say so with --config and a file that only its account can read."}},
		inContainer: "exec mongodump --archive --quiet",
	},
	estate.Redis: {
		onHost: dump{entry: "redis.rdb", command: "exec redis-cli --rdb -",
			notes: []string{"If it is a cache that fills again, waive it instead. If it asks for a password, let the script set REDISCLI_AUTH."}},
		inContainer: "exec redis-cli --rdb -",
	},
	estate.OpenLDAP: {
		onHost:      dump{entry: "directory.ldif", command: "exec slapcat", as: "openldap"},
		inContainer: "exec slapcat",
	},
}

// recipes returns what would be pulled of a component of which nobody has said
// what it takes.
func (in Input) recipes(c estate.Component) []recipe {
	var all []recipe
	declared, inFile := declarationOf(c)
	for _, d := range in.dumps(c, declared) {
		all = append(all, recipe{matter: config.Data, suffix: "dump", dump: &d, notes: d.notes})
	}
	isHost := c.ID.Kind() == estate.Host
	if isHost && slices.Contains(c.Roles, estate.DNS) {
		all = append(all, recipe{
			matter: config.Data, suffix: "zones", include: []string{"/etc/bind", "/var/lib/bind/**"}, exclude: []string{"**/*.key", "**/*.private"},
			notes: []string{"Debian lets everybody read zones. Their keys stay out."},
		})
	}
	switch {
	case isHost:
		all = append(all, recipe{
			matter: config.Configuration, suffix: "conf", include: []string{"/etc", "/usr/local"}, lenient: true,
			notes: []string{"What only root may read (shadow, private keys) stays out: those are secrets, to be kept in another way."},
		})
	case inFile:
		all = append(all, recipe{matter: config.Configuration, suffix: "conf", include: declared.folder()})
	}
	if len(all) == 0 {
		all = append(all, recipe{matter: config.Data, suffix: "files"})
	}
	return all
}

// recipesFor returns what would be pulled to close a miss.
func (in Input) recipesFor(item Item, c estate.Component) []recipe {
	all := in.recipes(c)
	if item.Matter == "" {
		return all
	}
	all = slices.DeleteFunc(all, func(r recipe) bool { return r.matter != item.Matter })
	if len(all) == 0 {
		return []recipe{{matter: item.Matter, suffix: string(item.Matter)}}
	}
	return all
}

// dumps returns how a component's data are dumped, if it has any and there is a
// way.
func (in Input) dumps(c estate.Component, at declaration) (all []dump) {
	for _, s := range in.softwareOf(c) {
		w := ways[s]
		d := w.onHost
		if at.within != nil {
			// Who may run something in a container is root on its host, so root's
			// script does that, and the account may start nothing else.
			d.command, d.as, d.grants = at.within(w.inContainer), "root", nil
			d.notes = append([]string{at.note}, d.notes...)
		}
		all = append(all, d)
	}
	return all
}

// guesses are what usually listens on a port.
var guesses = map[uint16]estate.Software{5432: estate.PostgreSQL, 3306: estate.MariaDB, 27017: estate.MongoDB, 6379: estate.Redis}

// softwareOf returns what a component runs of which there are ways to dump it:
// what is known of it, or else what its roles, its ports and its name say.
func (in Input) softwareOf(c estate.Component) []estate.Software {
	switch {
	case c.Software != "":
		return []estate.Software{c.Software}
	case slices.Contains(c.Roles, estate.Collector):
		return nil
	}
	var all []estate.Software
	add := func(s estate.Software) {
		if s != "" && !slices.Contains(all, s) {
			all = append(all, s)
		}
	}
	if slices.Contains(c.Roles, estate.Directory) && !slices.Contains(c.Roles, estate.DomainMaster) {
		add(estate.OpenLDAP)
	}
	ports := slices.Clone(c.Listens)
	for _, d := range in.Map.NeededBy(c.ID) {
		ports = append(ports, d.Ports...)
	}
	for _, p := range ports {
		add(guesses[p.Number])
	}
	if len(all) == 0 {
		add(estate.SoftwareCalled(path.Base(c.ID.Name())))
	}
	return all
}

// A declaration is the place in a file that declares a component.
type declaration struct {
	source safe.SourceName             // that the file was seen in
	file   string                      // an absolute path, as that source sees it
	within func(command string) string // a line of shell that runs one in the container
	note   string                      // on that line
}

var (
	ofCompose    = regexp.MustCompile(`^services\.([A-Za-z0-9][A-Za-z0-9._-]*)$`)
	ofKubernetes = regexp.MustCompile(`^([A-Z][A-Za-z]*) ([a-z0-9][a-z0-9-]*)/([a-z0-9][a-z0-9.-]*)$`)
)

// declarationOf returns where a component is declared, if that is in a project of
// compose or a manifest of Kubernetes. Somebody else wrote these, so a name of
// theirs that could not be one is none.
func declarationOf(c estate.Component) (declaration, bool) {
	for _, e := range c.Evidence {
		at := strings.LastIndex(e.Place, ": line ")
		source, err := safe.ParseSourceName(e.Source)
		if e.Basis != estate.Declared || at <= 0 || err != nil || len(e.Place) > estate.MaxDetail || strings.ContainsFunc(e.Place, isUnseen) {
			continue
		}
		d := declaration{source: source, file: path.Join("/", e.Place[:at])}
		if m := ofCompose.FindStringSubmatch(e.Detail); m != nil {
			d.note = fmt.Sprintf("Its project is in %s, as %s sees it.", path.Dir(d.file), d.source)
			d.within = func(command string) string {
				return fmt.Sprintf("exec docker compose --project-directory %s exec -T %s sh -c %s </dev/null", shellQuote(path.Dir(d.file)), m[1], shellQuote(command))
			}
			return d, true
		}
		if m := ofKubernetes.FindStringSubmatch(e.Detail); m != nil {
			d.note = "Its host is one with kubectl, where root's account of the cluster need do no more than this."
			d.within = func(command string) string {
				return fmt.Sprintf("exec kubectl --namespace %s exec %s/%s -- sh -c %s </dev/null", m[2], strings.ToLower(m[1]), m[3], shellQuote(command))
			}
			return d, true
		}
	}
	return declaration{}, false
}

func isUnseen(r rune) bool { return r == utf8.RuneError || !unicode.IsPrint(r) }

// folder returns the line of include for where the file lies, none if that is
// everything.
func (d declaration) folder() []string {
	folder := path.Dir(d.file)
	if folder == "/" {
		return nil
	}
	return []string{wildcards.Replace(folder)}
}

// wildcards are taken literally after a backslash.
var wildcards = strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`)

// shellQuote writes a word of a shell, in which nothing means anything.
func shellQuote(s string) string { return "'" + strings.ReplaceAll(s, "'", `'\''`) + "'" }
