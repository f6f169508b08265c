package house

// A room is a package and what it may import beside the standard library, each
// with the reason: packages of this module by their path in it, third-party
// ones by their module.
type room struct {
	path    string
	imports map[string]string
}

// rooms are all packages, foundations first: a room imports only what stands
// above it. So nothing below a contract knows who uses it, and nothing above
// source knows what a source is. Test support, which ends in "test", is
// imported by tests alone.
//
// What is listed and not imported fails like its opposite: a door that nobody
// needs is shut.
var rooms = []room{
	// The vocabulary and the configuration.
	{"internal/safe", nil},
	{"internal/safe/keep", map[string]string{
		"internal/safe": "decides about snapshots",
	}},
	{"internal/safe/config", map[string]string{
		"internal/safe":                 "what is configured is named in its words",
		"internal/safe/keep":            "how long a source's snapshots are kept",
		"github.com/goccy/go-yaml":      "strict YAML with line and column of an error",
		"github.com/invopop/jsonschema": "the schema for editors, from the same structs",
		"golang.org/x/crypto":           "a known host key is parsed, so that a wrong one is found at the desk",
	}},

	// The record of what happened.
	{"internal/ledger", map[string]string{
		"internal/safe":    "entries speak of runs, snapshots and people",
		"golang.org/x/mod": "the Merkle tree and the signed note of Go's checksum database",
	}},
	{"internal/ledger/ledgertest", map[string]string{
		"internal/ledger":  "its contract of storage",
		"golang.org/x/mod": "hashes of the tree",
	}},

	// The sealed store: contracts and formats first, the engine last.
	{"internal/store/blob", nil},
	{"internal/store/blob/dir", map[string]string{
		"internal/store/blob": "implements it in a folder",
		"golang.org/x/sys":    "O_TMPFILE, linkat, fsync of folders",
	}},
	{"internal/store/blob/mem", map[string]string{
		"internal/store/blob": "implements it in memory",
	}},
	{"internal/store/blob/fault", map[string]string{
		"internal/store/blob": "wraps it with failures",
	}},
	{"internal/store/blob/blobtest", map[string]string{
		"internal/store/blob":      "the suite that every implementation passes",
		"github.com/google/go-cmp": "differences for people",
	}},
	{"internal/store/layout", map[string]string{
		"internal/safe": "object names are made of its ids",
	}},
	{"internal/store/seal", map[string]string{
		"internal/safe":  "an envelope is labelled with store, run and source",
		"filippo.io/age": "the seal; here, and where a run's recipient is only passed on",
	}},
	{"internal/store/chunk", nil},
	{"internal/store/manifest", map[string]string{
		"internal/safe": "lists its entries",
	}},
	{"internal/store/pack", map[string]string{
		"internal/safe":                 "packs and chunks are named by its digests",
		"github.com/klauspost/compress": "zstd",
	}},
	{"internal/store/parity", map[string]string{
		"github.com/klauspost/reedsolomon": "the code that repairs",
	}},
	{"internal/store/memory", map[string]string{
		"internal/safe":           "of which source and run it is",
		"internal/store/manifest": "remembers the last one",
		"filippo.io/age":          "kept sealed at rest",
	}},
	{"internal/store/refresh", map[string]string{
		"internal/store/manifest": "judges its chunks by age and place",
	}},

	{"internal/store/intake", map[string]string{
		"internal/safe":           "of which run it is",
		"internal/store/blob":     "puts packs there",
		"internal/store/chunk":    "cuts content",
		"internal/store/layout":   "names what it puts",
		"internal/store/manifest": "says where a chunk came to lie",
		"internal/store/pack":     "writes packs",
		"internal/store/parity":   "and what repairs them",
		"golang.org/x/sync":       "the first error ends the others",
	}},
	{"internal/store", map[string]string{
		"internal/safe":                 "reads snapshots",
		"internal/store/blob":           "gets objects there",
		"internal/store/layout":         "by their names",
		"internal/store/manifest":       "what a snapshot lists",
		"internal/store/pack":           "reads chunks",
		"internal/store/seal":           "opens what was sealed",
		"github.com/klauspost/compress": "zstd",
	}},

	{"internal/store/catalog", map[string]string{
		"internal/safe":         "descriptions of snapshots",
		"internal/ledger":       "what it vouches for",
		"internal/store/blob":   "reads both there",
		"internal/store/layout": "by their names",
	}},

	// Where things come from.
	{"internal/source", map[string]string{
		"internal/safe": "yields its entries",
	}},
	{"internal/source/pattern", map[string]string{
		"internal/safe":   "paths and their order",
		"internal/source": "its requests carry patterns",
	}},
	{"internal/source/tree", map[string]string{
		"internal/safe":           "yields its entries",
		"internal/source":         "what every source of files has in common",
		"internal/source/pattern": "what of the tree was specified",
		"golang.org/x/sync":       "a bound in bytes on what is read ahead",
	}},
	{"internal/source/local", map[string]string{
		"internal/safe":           "yields its entries",
		"internal/source":         "implements it for a folder of this host",
		"internal/source/pattern": "what was specified",
		"internal/source/tree":    "walks the folder",
		"golang.org/x/sys":        "openat without following links, holes, extended attributes",
	}},
	{"internal/source/sftp/wire", nil},
	{"internal/source/sftp", map[string]string{
		"internal/safe":             "yields its entries",
		"internal/source":           "implements it for a host behind SFTP",
		"internal/source/pattern":   "what was specified",
		"internal/source/tree":      "walks the host's folders",
		"internal/source/sftp/wire": "the protocol",
		"golang.org/x/crypto":       "the connection beneath",
	}},
	{"internal/source/sourcetest", map[string]string{
		"internal/safe":            "checks entries",
		"internal/source":          "the suite that every source passes",
		"github.com/google/go-cmp": "differences for people",
	}},

	// What a process may, and what it tells.
	{"internal/confine", map[string]string{
		"golang.org/x/sys": "the numbers and structs of Landlock",
	}},

	{"internal/ui", nil},

	// One run of one source, and the people around it.
	{"internal/collect", map[string]string{
		"internal/safe":           "describes what it collected",
		"internal/source":         "pulls one",
		"internal/store/intake":   "the content's way into the store",
		"internal/store/manifest": "lists what was pulled",
		"internal/store/memory":   "knows what is in the store already",
		"internal/store/refresh":  "what is read and stored again all the same",
	}},
	{"internal/access", map[string]string{
		"internal/safe":       "people and openings",
		"internal/ledger":     "what happened to an opening",
		"internal/store/seal": "the layers that two people open",
	}},

	// The running safe: the only rooms that put concrete things together.
	{"internal/daemon/state", map[string]string{
		"internal/safe":      "the state of sources and runs",
		"internal/ledger":    "an entry is written in the transaction of what it records",
		"modernc.org/sqlite": "SQL without cgo",
	}},
	{"internal/daemon", map[string]string{
		"internal/safe":         "speaks of runs and snapshots",
		"internal/safe/config":  "what is to be collected",
		"internal/safe/keep":    "how long it is kept",
		"internal/access":       "who may do what",
		"internal/confine":      "what a child gives up",
		"internal/collect":      "what a child does",
		"internal/ledger":       "writes it",
		"internal/daemon/state": "the state of the safe",
	}},
	{"cmd/strongroom", map[string]string{
		"internal/daemon":        "serves a safe",
		"internal/safe/config":   "reads it",
		"internal/store":         "restores",
		"internal/ui":            "tells its user",
		"github.com/spf13/cobra": "commands, flags, help",
	}},
	{"hack/demo", nil},

	// The house itself: tests without a program.
	{"internal/house", nil},
}

// testModules may be imported by every test beside the modules of the table.
var testModules = map[string]string{
	"github.com/google/go-cmp":        "differences for people",
	"github.com/rogpeppe/go-internal": "scripts that run the real program",
}

// A reserve names what only some rooms may touch of the standard library:
// packages, or functions of a package as "os.Exit". A room that ends in "/"
// stands for all below it.
type reserve struct {
	names []string
	why   string
	rooms map[string]string
}

var reserves = []reserve{
	{
		names: []string{"database/sql"},
		why:   "SQL holds nothing that store and ledger cannot give back, so only who wires a safe knows it",
		rooms: map[string]string{
			"internal/daemon/state": "the state of a running safe",
		},
	},
	{
		names: []string{"os/exec", "plugin"},
		why:   "what is collected is inert: where nothing can be started, nothing collected can be",
		rooms: map[string]string{
			"cmd/strongroom":  "starts its own children",
			"internal/daemon": "starts the children that do the work, each with less",
			"hack/":           "uses the program as people do",
		},
	},
	{
		names: []string{"net"},
		why:   "a safe is judged by its doors, and each is opened in a room that is known for it",
		rooms: map[string]string{
			"internal/safe/config": "parses addresses, opens nothing",
			"internal/source/sftp": "connects to the host that it collects from",
			"hack/":                "plays the production host",
		},
	},
	{
		names: []string{"unsafe"},
		why:   "what comes from production is hostile, and the type system is the first wall",
		rooms: map[string]string{
			"internal/confine": "hands Landlock's structs to the kernel",
		},
	},
	{
		names: []string{"flag", "os.Args", "os.Exit", "os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv"},
		why:   "a package gets what it needs as arguments, and whoever ends the process ends deferred work with it",
		rooms: map[string]string{
			"cmd/":                 "the command line is read here",
			"hack/":                "as in cmd",
			"internal/safe/config": "systemd names the folder of credentials in the environment only",
		},
	},
}
