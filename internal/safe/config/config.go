// Package config reads the safe's configuration: one strict YAML file.
//
// What it returns needs no further checking: every value has its type, every
// default is filled in. A mistake is reported with file, line, column, what
// was expected and the nearest known name, all mistakes of a file at once.
//
// It does not resolve secrets, look at the folders that are named or reach any
// host, and it looks at include and exclude lines only superficially: the
// source that matches them has the last word. One table per mapping drives
// the reading, the suggestions and the JSON Schema.
package config

import (
	_ "embed"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"strconv"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/estate/facts"
	"strongroom/internal/safe"
	"strongroom/internal/safe/keep"
)

// maxFile bounds a configuration: room for some thousand sources.
const maxFile = 1 << 20

// DefaultDir is where state, keys and memories are unless dir says otherwise.
const DefaultDir = "/var/lib/strongroom"

// A Config is the configuration of one safe.
type Config struct {
	Safe    string // the safe's name, as mails and pages show it
	Store   string // absolute path of the store's folder
	Dir     string // absolute path of the folder for state, keys and memories
	State   State
	Keep    keep.Rules // for sources without their own
	Mail    *Mail      // nil if no mail is sent
	Serve   *Serve     // nil if nobody can reach the safe
	Sources []Source   // in the order of the file

	Components   []Component // in the order of the file
	Applications []Application
}

// State says which database holds the state.
type State string

// SQLite is a file in Dir.
const SQLite State = "sqlite"

// A Source is something to be pulled.
type Source struct {
	Name            safe.SourceName
	Spec            Spec
	Keep            keep.Rules // its own, or else those of the Config
	Reread          time.Duration
	Refresh         time.Duration
	AllowUnreadable bool
	Limits          Limits
	Checkpoint      time.Duration // how much work a crash may cost
	Compression     Compression
	Parity          bool
}

// A Spec says what a source pulls, and from where. It is an SFTP, a Command, a
// Facts, a FactsAPI or a Local.
type Spec interface {
	// Kind returns the source's kind as it is written in the configuration.
	Kind() string
}

// SFTP pulls files and folders of a host.
type SFTP struct {
	Login
	Paths
	Connections int // how many may be open at once
}

func (SFTP) Kind() string { return "sftp" }

// Command pulls the output of one command of a host.
type Command struct {
	Login
	Name       string // of the entry
	Text       string // what is sent to be run; "" if the host forces the command
	EndsWith   string // how one of the last lines begins; "" for any
	AllowEmpty bool
	Stall      time.Duration // how long there may be no output
}

func (Command) Kind() string { return "command" }

// Facts looks at a host: what it is, what it is told to talk to, and whom it
// talks to.
type Facts struct {
	Login
	Files []string      // absolute paths of further files to look at
	Looks int           // at its connections
	Pause time.Duration // between two looks
}

func (Facts) Kind() string { return "facts" }

// FactsAPI asks an API that knows what depends on what.
type FactsAPI struct {
	URL    *url.URL // http or https, without a user
	Format facts.API
	Scope  string    // what names are unique in
	Token  SecretRef // zero if the API asks for none
	Scheme string    // of the header Authorization, before the token
	CA     string    // the file of the authority in PEM; "" for those of the system
}

func (FactsAPI) Kind() string { return "facts-api" }

// Where returns the address for people: without its query, which may hold what
// is nobody's business.
func (a FactsAPI) Where() string { return a.URL.Scheme + "://" + a.URL.Host + a.URL.EscapedPath() }

// Local pulls files and folders of the safe's own host.
type Local struct {
	Paths
}

func (Local) Kind() string { return "local" }

// Paths are patterns as they are written: each begins with / or **, and has
// neither control characters nor ".." in it.
type Paths struct {
	Include []string // at least one
	Exclude []string
}

// A Login is how a source gets into a host, by SSH.
type Login struct {
	Host     Host
	HostKeys []ssh.PublicKey // at least one; the host must show one of them
	Key      SecretRef       // the private key to log in with
}

// A Host is where a source connects to, and as whom.
type Host struct {
	User string
	Name string // a name or an IP address, without brackets
	Port int
}

// Addr returns name and port for a dialer.
func (h Host) Addr() string { return net.JoinHostPort(h.Name, strconv.Itoa(h.Port)) }

func (h Host) String() string { return h.User + "@" + h.Addr() }

// Limits bound one collection; one that reaches a limit is not complete. Zero
// means that there is no limit.
type Limits struct {
	Bytes    int64
	Entries  int64
	Duration time.Duration
	Rate     int64 // bytes per second
}

// Compression is how hard the collector tries to make content small. Fastest,
// the default, compares with what other programs of the kind do by default;
// files become about 5 % smaller at Balanced for half as much time again.
type Compression string

const (
	Fastest  Compression = "fastest"
	Balanced Compression = "balanced"
	Better   Compression = "better"
)

// Load reads the configuration file at path. A file with mistakes gives
// Errors.
func Load(path string) (*Config, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	defer f.Close() // nothing was written
	b, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err != nil {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	return Parse(path, b)
}

// Parse reads a configuration; errors call it name. They are of type Errors.
func Parse(name string, b []byte) (*Config, error) {
	d := newDecoder(name, b)
	root := d.parse(b)
	if len(d.errs) > 0 {
		return nil, d.finish()
	}
	c := Config{Dir: DefaultDir, State: SQLite, Keep: keep.Default()}
	d.config(root, &c)
	if err := d.finish(); err != nil {
		return nil, err
	}
	return &c, nil
}

//go:embed example.yaml
var example string

// Example returns a configuration with comments, to begin with.
func Example() string { return example }
