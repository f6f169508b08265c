// Package estate has the words of the map: components, dependencies between
// them, and the evidence for both.
//
// Readers of facts say what they found in these words, order and coverage read
// them. A map is made of facts by Draw, which merges what is the same thing
// under two names and lets a person overrule what was discovered. Everything
// here is a value: nothing is read from anywhere, and there is no clock.
//
// It does not promise that the map is complete: what no fact speaks of is not
// on it.
package estate

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// A Kind is a sort of component.
type Kind string

const (
	Host        Kind = "host"        // a machine, real or virtual
	Service     Kind = "service"     // what runs on one and serves others
	Database    Kind = "database"    // a service that keeps data
	Application Kind = "application" // what the business asks for by name
	External    Kind = "external"    // what others run for us
	Resource    Kind = "resource"    // a part of a platform: a security group, a bucket, an address
	Network     Kind = "network"
	Storage     Kind = "storage"
	Cluster     Kind = "cluster" // hosts that run other components
	Power       Kind = "power"   // feeds, panels, racks, sites
	Person      Kind = "person"
)

// Kinds are all of them, in the order in which people read them.
var Kinds = []Kind{Application, Service, Database, Host, Cluster, Storage, Network, Power, Resource, External, Person}

// Valid reports whether there is such a kind.
func (k Kind) Valid() bool { return slices.Contains(Kinds, k) }

func spellKinds() string {
	words := make([]string, len(Kinds))
	for i, k := range Kinds {
		words[i] = string(k)
	}
	return strings.Join(words, ", ")
}

// A Need says what a component needs another for.
type Need string

const (
	Start     Need = "start"     // cannot start without it
	Run       Need = "run"       // starts, and cannot serve without it
	Hosting   Need = "hosting"   // runs on it
	Soft      Need = "soft"      // serves worse without it
	Telemetry Need = "telemetry" // tells it things, or is looked at by it
	Admin     Need = "admin"     // is managed by it
)

// Needs are all of them, the ones that order a restore first.
var Needs = []Need{Start, Run, Hosting, Soft, Telemetry, Admin}

// Valid reports whether there is such a need.
func (n Need) Valid() bool { return slices.Contains(Needs, n) }

// UnmarshalText reads a need that nobody has checked.
func (n *Need) UnmarshalText(b []byte) error {
	*n = Need(b)
	if !n.Valid() {
		return fmt.Errorf("%.40q is no need", b)
	}
	return nil
}

// Orders reports whether such a need decides what is restored first. Soft needs
// help to choose between orders that are equally good otherwise; telemetry and
// administration never do.
func (n Need) Orders() bool { return n == Start || n == Run || n == Hosting }

// A Basis is the way in which something became known. They are kept apart
// everywhere, since they are worth different things.
type Basis string

const (
	Declared Basis = "declared" // somebody wrote it down for a machine to act on
	Derived  Basis = "derived"  // it follows from what is declared: a name in a setting, two hops joined
	Observed Basis = "observed" // it was seen to happen
	Stated   Basis = "stated"   // a person said so to the safe
)

// Bases are all of them, the ones that are worth most first.
var Bases = []Basis{Stated, Declared, Derived, Observed}

// Valid reports whether there is such a basis.
func (b Basis) Valid() bool { return slices.Contains(Bases, b) }

// UnmarshalText reads a basis that nobody has checked.
func (b *Basis) UnmarshalText(text []byte) error {
	*b = Basis(text)
	if !b.Valid() {
		return fmt.Errorf("%.40q is no basis of evidence", text)
	}
	return nil
}

// Evidence is one reason to believe in a component, an alias or a dependency.
type Evidence struct {
	Basis  Basis     `json:"basis"`
	Source string    `json:"source"`           // who says so: a source of the safe, "configuration", a person
	Place  string    `json:"place,omitempty"`  // where in it: file and line, endpoint
	Detail string    `json:"detail,omitempty"` // what is there, for people; never a secret
	First  time.Time `json:"first"`            // when it was first there, UTC
	Last   time.Time `json:"last"`
	Count  int64     `json:"count,omitempty"` // how often it was seen; 0 if that means nothing
}

// MaxDetail bounds what evidence quotes, in bytes.
const MaxDetail = 200

// A Port is where a component listens.
type Port struct {
	Number   uint16 `json:"number"`
	Protocol string `json:"protocol"` // "tcp" or "udp"
}

func (p Port) String() string { return fmt.Sprintf("%d/%s", p.Number, p.Protocol) }

// A Role is a part that a component plays for others, by which knowledge of how
// to start such things applies to it.
type Role string

const (
	DNS          Role = "dns"
	Directory    Role = "directory" // LDAP
	Kerberos     Role = "kerberos"
	DomainMaster Role = "domain-controller" // of Active Directory
	Time         Role = "time"
	Secrets      Role = "secrets"     // keeps the secrets of others
	Authority    Role = "authority"   // signs certificates
	Packages     Role = "packages"    // a mirror or registry that machines install from
	Scripts      Role = "scripts"     // git, CI and what else holds the way to restore
	Hypervisors  Role = "hypervisors" // manages the hosts that virtual machines run on
	Collector    Role = "telemetry"   // takes what others tell of themselves
)

// Roles are all of them.
var Roles = []Role{DNS, Directory, Kerberos, DomainMaster, Time, Secrets, Authority, Packages, Scripts, Hypervisors, Collector}

// A Component is a thing that can be rebuilt and that others may need, as one
// source of facts knows it, or as all of them together do.
type Component struct {
	ID       ID         `json:"id"`
	Aliases  []Alias    `json:"aliases,omitempty"`
	Label    string     `json:"label,omitempty"` // what people call it, if that is not its name
	Owner    string     `json:"owner,omitempty"`
	Listens  []Port     `json:"listens,omitempty"`
	Roles    []Role     `json:"roles,omitempty"`
	Software Software   `json:"software,omitempty"`
	Evidence []Evidence `json:"evidence,omitempty"`
}

// An End is one end of a dependency as a source of facts names it: by an ID that
// the source itself makes, or by an alias that anybody may know.
type End struct {
	ID    ID    `json:"id,omitempty"`
	Alias Alias `json:"alias,omitempty"` // if there is no ID
}

// A Link is a dependency as a source of facts names it: from needs to.
type Link struct {
	From     End        `json:"from"`
	To       End        `json:"to"`
	Need     Need       `json:"need"`
	Port     Port       `json:"port,omitzero"` // of the To, if known
	Evidence []Evidence `json:"evidence"`
}

// Facts are what one source told at one time.
type Facts struct {
	Components []Component `json:"components,omitempty"`
	Links      []Link      `json:"links,omitempty"`
	// Doubts are what was there and could not be made use of, in words for people.
	Doubts []string `json:"doubts,omitempty"`
}

// A Dependency is an arrow of the map: From needs To. There is one for each pair
// and need, with the evidence of all sources.
type Dependency struct {
	From     ID         `json:"from"`
	To       ID         `json:"to"`
	Need     Need       `json:"need"`
	Ports    []Port     `json:"ports,omitempty"`
	Evidence []Evidence `json:"evidence"`
}

// Compare orders dependencies by where they begin, where they end, and the need.
func (d Dependency) Compare(e Dependency) int {
	return cmp.Or(cmp.Compare(d.From, e.From), cmp.Compare(d.To, e.To),
		cmp.Compare(slices.Index(Needs, d.Need), slices.Index(Needs, e.Need)))
}
