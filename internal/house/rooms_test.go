package house

import "maps"

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
// imported by tests alone, and by hack and bench.
//
// What is listed and not imported fails like its opposite: a door that nobody
// needs is shut.
var rooms = []room{
	// The one spelling of what is signed.
	{"internal/spelling", nil},

	// The vocabulary, that of the map, and the configuration, which speaks of both.
	{"internal/estate", map[string]string{
		"internal/spelling": "a version of the map is kept, and read back strictly",
	}},
	{"internal/estate/facts", map[string]string{
		"internal/estate": "what readers say",
	}},
	{"internal/estate/order/scc", nil},
	{"internal/estate/order/feedback", map[string]string{
		"internal/estate/order/scc": "each knot is a problem of its own",
	}},
	{"internal/estate/order/forest", nil},
	{"internal/estate/order", map[string]string{
		"internal/estate":                "orders its components",
		"internal/estate/order/scc":      "knots, and steps after what they wait for",
		"internal/estate/order/feedback": "what is given up when nothing else opens a knot",
	}},
	{"internal/safe", map[string]string{
		"internal/spelling": "descriptions have one",
	}},
	{"internal/safe/keep", map[string]string{
		"internal/safe": "decides about snapshots",
	}},
	{"internal/safe/words", map[string]string{
		"internal/safe": "a digest, to be read aloud",
	}},
	{"internal/safe/config", map[string]string{
		"internal/safe":                 "what is configured is named in its words",
		"internal/safe/keep":            "how long a source's snapshots are kept",
		"internal/estate":               "people state there what is on the map and what is not",
		"internal/estate/facts":         "the APIs that facts are asked of",
		"internal/estate/order":         "how much harm can be said",
		"github.com/goccy/go-yaml":      "strict YAML with line and column of an error",
		"github.com/invopop/jsonschema": "the schema for editors, from the same structs",
		"golang.org/x/crypto":           "a known host key is parsed, so that a wrong one is found at the desk",
	}},

	// What of the estate is in the safe.
	{"internal/estate/coverage", map[string]string{
		"internal/estate":      "what needs what",
		"internal/safe":        "sources and runs",
		"internal/safe/config": "what people say that the safe must hold, and what they promised",
		"internal/safe/keep":   "how long a source's snapshots are kept",
	}},

	// The record of what happened.
	{"internal/ledger", map[string]string{
		"internal/safe":     "entries speak of runs, snapshots and people",
		"internal/spelling": "entries are hashed, and proofs compared",
		"golang.org/x/mod":  "the Merkle tree and the signed note of Go's checksum database",
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
		"filippo.io/age": "the seal; nobody else touches keys",
	}},
	{"internal/store/chunk", nil},
	{"internal/store/manifest", map[string]string{
		"internal/safe":     "lists its entries",
		"internal/spelling": "header and root have one",
	}},
	{"internal/store/pack", map[string]string{
		"internal/safe":                 "packs and chunks are named by its digests",
		"github.com/klauspost/compress": "zstd",
	}},
	{"internal/store/parity", map[string]string{
		"internal/safe":                    "an object is known by its digest",
		"github.com/klauspost/reedsolomon": "the code that repairs",
	}},
	{"internal/store/memory", map[string]string{
		"internal/safe":           "of which source and run it is",
		"internal/store/manifest": "remembers the last one",
		"internal/store/seal":     "kept sealed at rest",
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
		"golang.org/x/sync":             "a bound in bytes on what is read ahead",
	}},

	{"internal/store/diff", map[string]string{
		"internal/safe":           "compares entries",
		"internal/store/manifest": "reads two lists of them",
	}},

	{"internal/store/catalog", map[string]string{
		"internal/safe":         "descriptions of snapshots",
		"internal/ledger":       "what it vouches for",
		"internal/store/blob":   "reads both there",
		"internal/store/layout": "by their names",
	}},

	{"internal/store/scrub", map[string]string{
		"internal/safe":          "which snapshots need an object",
		"internal/ledger":        "records what each object must be",
		"internal/store/blob":    "reads objects, and puts right ones in their place",
		"internal/store/catalog": "what a copy of a store says of itself",
		"internal/store/layout":  "what an object is by its name",
		"internal/store/parity":  "makes a damaged pack again",
		"golang.org/x/mod":       "hashes of the ledger's tree",
		"golang.org/x/sync":      "several objects at once",
	}},

	{"internal/store/storetest", map[string]string{
		"internal/safe":           "makes snapshots",
		"internal/store":          "opens them",
		"internal/store/blob":     "puts them in a store",
		"internal/store/blob/mem": "in memory",
		"internal/store/layout":   "by its names",
		"internal/store/manifest": "writes what they list",
		"internal/store/pack":     "and their content",
		"internal/store/seal":     "with keys of its own",
	}},

	// Where things come from.
	{"internal/source", map[string]string{
		"internal/safe": "yields its entries",
	}},
	{"internal/source/tap", map[string]string{
		"internal/safe":   "which entries are wanted",
		"internal/source": "wraps one",
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
	{"internal/source/local/xattrat", map[string]string{
		"golang.org/x/sys": "the number of a system call",
	}},
	{"internal/source/local", map[string]string{
		"internal/source/local/xattrat": "whether there are extended attributes to read",
		"internal/safe":                 "yields its entries",
		"internal/source":               "implements it for a folder of this host",
		"internal/source/pattern":       "what was specified",
		"internal/source/tree":          "walks the folder",
		"golang.org/x/sys":              "openat without following links, holes, extended attributes",
	}},
	{"internal/source/sshclient", map[string]string{
		"golang.org/x/crypto": "the SSH protocol",
	}},
	{"internal/source/sftp/wire", nil},
	{"internal/source/sftp", map[string]string{
		"internal/safe":             "yields its entries",
		"internal/source":           "implements it for a host behind SFTP",
		"internal/source/pattern":   "what was specified",
		"internal/source/sftp/wire": "the protocol, reading only",
		"internal/source/sshclient": "connects to the host, and to no other",
		"internal/source/tree":      "walks the host's folders",
		"golang.org/x/crypto":       "a session's messages",
	}},
	{"internal/source/webapi", map[string]string{
		"internal/safe":   "yields its entries",
		"internal/source": "keeps its contract",
	}},
	{"internal/source/glance", map[string]string{
		"internal/safe":             "yields its entries",
		"internal/source":           "keeps its contract",
		"internal/source/sftp/wire": "reads files that have no size",
		"internal/source/sshclient": "gets into the host",
	}},
	{"internal/source/command", map[string]string{
		"internal/safe":             "yields its entry",
		"internal/source":           "implements it for the output of a command",
		"internal/source/sshclient": "connects to the host, and to no other",
		"golang.org/x/crypto":       "a session's messages",
	}},
	{"internal/source/sftp/sshdtest", map[string]string{
		"golang.org/x/crypto": "key files of OpenSSH",
	}},
	{"internal/fartest", nil},
	{"internal/porttest", nil},
	{"internal/source/sftp/sftptest", map[string]string{
		"golang.org/x/crypto": "the SSH server beneath",
	}},
	{"internal/source/sourcetest", map[string]string{
		"internal/safe":            "checks entries",
		"internal/source":          "the suite that every source passes",
		"github.com/google/go-cmp": "differences for people",
		"golang.org/x/sys":         "looks at the tree itself, to compare",
	}},

	// The way back: patterns choose what is restored as they choose what is
	// collected.
	{"internal/store/restore", map[string]string{
		"internal/safe":           "writes its entries",
		"internal/source/pattern": "what of the snapshot is wanted",
		"internal/store":          "reads verified content",
		"internal/store/blob":     "a store that is gone ends a restore",
		"internal/store/manifest": "in its order",
		"golang.org/x/sys":        "owners, modes, times and attributes without following links",
	}},

	// The map.
	{"internal/estate/facts/csv", reader(nil)},
	{"internal/estate/facts/hostconf", reader(nil)},
	{"internal/estate/facts/hubble", reader(nil)},
	{"internal/estate/facts/identity", reader(nil)},
	{"internal/estate/facts/jaeger", reader(nil)},
	{"internal/estate/facts/kiali", reader(nil)},
	{"internal/estate/facts/netbox", reader(nil)},
	{"internal/estate/facts/systemd", reader(nil)},
	{"internal/estate/facts/zone", reader(map[string]string{
		"github.com/miekg/dns": "the text form of zones",
	})},
	{"internal/estate/facts/sockets", reader(nil)},
	{"internal/estate/facts/tree", map[string]string{
		"internal/estate/facts": "the limits",
		"go.yaml.in/yaml/v4":    "YAML from strangers in time and memory that grow with its size, as that for the configuration does not: docs/decisions/0024",
	}},
	{"internal/estate/facts/compose", reader(map[string]string{
		"internal/estate/facts/tree": "YAML",
	})},
	{"internal/estate/facts/kubernetes", reader(map[string]string{
		"internal/estate/facts/tree": "YAML and JSON",
	})},
	{"internal/estate/facts/terraform", reader(nil)},
	{"internal/estate/facts/backstage", reader(map[string]string{
		"internal/estate/facts/tree": "YAML and JSON",
	})},
	{"internal/estate/facts/cyclonedx", reader(map[string]string{
		"internal/estate/facts/tree": "JSON, and where in it",
	})},
	{"internal/estate/estatetest", nil}, // hosts within one machine
	{"internal/estate/largetest", map[string]string{
		"internal/estate": "makes one up",
	}},
	{"internal/estate/facts/factstest", map[string]string{
		"internal/estate":          "facts as text",
		"internal/estate/facts":    "places and files for tests",
		"github.com/google/go-cmp": "differences for people",
	}},
	{"internal/estate/facts/formats", map[string]string{
		"internal/estate":                  "what the readers say together",
		"internal/estate/facts":            "what they share",
		"internal/estate/facts/compose":    "projects",
		"internal/estate/facts/hostconf":   "what a host is told to talk to",
		"internal/estate/facts/identity":   "what it is known by",
		"internal/estate/facts/sockets":    "whom it talks to",
		"internal/estate/facts/systemd":    "what it waits for",
		"internal/estate/facts/zone":       "names of DNS",
		"internal/estate/facts/backstage":  "a catalogue",
		"internal/estate/facts/csv":        "a table",
		"internal/estate/facts/cyclonedx":  "a bill of materials",
		"internal/estate/facts/kubernetes": "manifests",
		"internal/estate/facts/terraform":  "a state",
		"internal/estate/facts/hubble":     "flows, of an API",
		"internal/estate/facts/jaeger":     "traces, of an API",
		"internal/estate/facts/kiali":      "a mesh, of an API",
		"internal/estate/facts/netbox":     "machines, of an API",
	}},
	{"internal/estate/export", map[string]string{
		"internal/estate": "writes a map for other programs",
	}},
	{"internal/estate/facts/score", nil},

	// What a process may, and what it tells.
	{"internal/confine", map[string]string{
		"golang.org/x/sys": "the numbers and structs of Landlock",
	}},

	{"internal/paper", map[string]string{
		"rsc.io/qr": "a key that a camera reads back",
	}},

	{"internal/ui", map[string]string{
		"golang.org/x/term": "width, and passphrases without an echo",
	}},

	// One run of one source, and the people around it.
	{"internal/collect", map[string]string{
		"internal/safe":           "describes what it collected",
		"internal/source":         "pulls one",
		"internal/store":          "the format of a root",
		"internal/store/blob":     "puts the root there",
		"internal/store/chunk":    "how a source's content is cut",
		"internal/store/intake":   "the content's way into the store",
		"internal/store/layout":   "names the root",
		"internal/store/manifest": "lists what was pulled",
		"internal/store/memory":   "knows what is in the store already",
		"internal/store/pack":     "how hard to compress",
		"internal/store/refresh":  "what is read and stored again all the same",
		"internal/store/seal":     "seals to the run's recipient",
	}},
	{"internal/access/sshsig", map[string]string{
		"golang.org/x/crypto": "SSH keys, agents and their formats",
	}},
	{"internal/access/passkey", nil},
	{"internal/access/passkey/passkeytest", map[string]string{
		"internal/access/passkey": "makes its keys and assertions",
	}},
	{"internal/access/signature", map[string]string{
		"internal/access/passkey": "what a passkey has signed",
		"internal/access/sshsig":  "what an SSH key has signed",
	}},
	{"internal/access", map[string]string{
		"internal/safe":             "people",
		"internal/ledger":           "the roster lists the keys that sign it",
		"internal/store/seal":       "the recipients of the two role keys",
		"internal/access/passkey":   "people's passkeys, and the domain of all",
		"internal/access/signature": "what people sign is signed with either kind of key",
		"internal/access/sshsig":    "SSH keys sign in a terminal, and open the gate",
		"internal/spelling":         "rosters and statements are signed",
		"golang.org/x/crypto":       "whatever signs with an SSH key",
	}},
	{"internal/access/opening", map[string]string{
		"internal/safe":             "of which runs and snapshots it is",
		"internal/ledger":           "signed requests, and the ledger's head in a grant",
		"internal/access":           "requests, and the roster that decides who may",
		"internal/access/signature": "the signature under a release",
		"internal/access/sshsig":    "the key that opens the gate",
		"internal/spelling":         "grants and releases are signed",
		"golang.org/x/crypto":       "whatever signs with an SSH key",
		"golang.org/x/mod":          "the root of the ledger's tree",
	}},
	{"internal/access/record", map[string]string{
		"internal/safe":             "of which snapshots it is",
		"internal/ledger":           "what was signed, and texts as entries have them",
		"internal/access":           "the roster, which says whose signature it is",
		"internal/access/signature": "the signature under a record",
		"internal/access/sshsig":    "makes it",
		"internal/spelling":         "records are signed",
		"golang.org/x/crypto":       "whatever signs with an SSH key",
	}},
	{"internal/access/api", map[string]string{
		"internal/safe":             "openings, runs and people by their names",
		"internal/ledger":           "signed statements",
		"internal/access":           "the roster, its proposals, who is suspended",
		"internal/access/opening":   "grants and releases",
		"internal/access/passkey":   "what a browser has signed",
		"internal/access/signature": "which of a person's keys can be used",
		"internal/store/seal":       "the outer key, which a founder brings",
	}},
	{"internal/access/profile", map[string]string{
		"internal/access":     "verifies the roster along its chain",
		"internal/access/api": "what a safe says of its people",
		"internal/safe":       "whose profile it is, and of which store",
		"internal/spelling":   "its file is read strictly",
		"internal/store/seal": "the personal key, and the copies of role keys that it opens",
	}},
	{"internal/access/compose", map[string]string{
		"internal/access":           "makes new versions of its roster",
		"internal/access/profile":   "of role keys that a person has opened",
		"internal/access/signature": "whether any key of a person remains",
		"internal/safe":             "names people",
		"internal/store/seal":       "makes role keys, and seals them to people",
	}},
	{"internal/access/proven", map[string]string{
		"internal/safe":     "descriptions of snapshots",
		"internal/ledger":   "what it vouches for, by proofs",
		"internal/spelling": "proofs are read strictly",
	}},
	{"internal/access/review", map[string]string{
		"internal/access":         "the roster that decides who may",
		"internal/access/api":     "what a safe says of an opening",
		"internal/access/opening": "the grant that is checked",
		"internal/access/profile": "with role keys that a person has opened",
		"internal/access/proven":  "that descriptions stand in the ledger",
		"internal/access/sshsig":  "which key signed a request",
		"internal/ledger":         "vouches for the snapshots, and only grows",
		"internal/safe":           "descriptions of snapshots",
		"internal/store/seal":     "opens outer layers",
	}},
	{"internal/access/gate", map[string]string{
		"internal/safe":         "a scope is of runs, and objects go by their digests",
		"internal/store/blob":   "reads objects, adds to the inbox",
		"internal/store/layout": "shows objects by the names of a store",
		"golang.org/x/crypto":   "the SSH server; SFTP is spoken here",
	}},
	{"internal/access/remote", map[string]string{
		"internal/source/sftp/wire": "the protocol, reading only",
		"internal/source/sshclient": "connects to the gate, and to no other",
		"internal/store/blob":       "implements reading a store, through a gate",
		"internal/store/layout":     "which objects are large",
		"golang.org/x/crypto":       "keys, and a session's messages",
		"golang.org/x/sync":         "connects several times at once",
	}},
	{"internal/access/remote/remotetest", map[string]string{
		"internal/access/remote":        "says how to reach a server",
		"internal/source/sftp/sshdtest": "that plays the gate",
		"golang.org/x/crypto":           "keys of it",
	}},

	{"internal/access/keyring", map[string]string{
		"internal/access":         "whose it is, and with which passkeys",
		"internal/access/passkey": "one of which opens it",
		"internal/safe":           "of which safe and person it is",
		"internal/spelling":       "it goes by its digest",
	}},
	{"internal/access/accesstest", map[string]string{
		"internal/safe":                       "makes people",
		"internal/ledger":                     "what they sign",
		"internal/access":                     "and rosters of them",
		"internal/access/passkey":             "what a passkey signs",
		"internal/access/passkey/passkeytest": "with their passkeys",
		"internal/access/sshsig":              "with their SSH keys",
		"internal/store/seal":                 "and their personal ones",
		"golang.org/x/crypto":                 "signers",
	}},
	{"internal/access/vaulttest", map[string]string{
		"internal/safe":              "snapshots by their ids",
		"internal/ledger":            "writes one",
		"internal/ledger/ledgertest": "in memory",
		"internal/access":            "and a roster",
		"internal/access/accesstest": "of people with their keys",
		"internal/access/gate":       "what a gate is to show",
		"internal/access/proven":     "with proofs",
		"internal/access/sshsig":     "the host key of the gate",
		"internal/store/blob":        "puts all of it in a store",
		"internal/store/layout":      "by its names",
		"internal/store/seal":        "role keys, and people's copies of them",
		"internal/store/storetest":   "the store",
		"golang.org/x/crypto":        "the host key of the gate",
	}},

	// What people look at.
	{"internal/report", map[string]string{
		"internal/safe":            "tells of sources, runs and snapshots",
		"internal/ledger":          "and of entries",
		"internal/access":          "of people with their roles",
		"internal/access/opening":  "and of openings with their states",
		"internal/estate":          "of the map",
		"internal/estate/coverage": "of what of it is in the safe",
		"internal/safe/config":     "and of what components take",
		"internal/ui":              "writes sizes and numbers as the terminal does",
	}},

	// People's way in.
	{"internal/web/assets", map[string]string{
		"internal/safe": "the scripts are known by their digest",
	}},
	{"internal/web/browsertest", map[string]string{
		"github.com/chromedp/chromedp": "a real browser",
		"github.com/chromedp/cdproto":  "and what it is told",
	}},
	{"internal/web/wiretest", nil},
	{"internal/web/certificate", map[string]string{
		"internal/safe": "a certificate authority is known by its digest",
	}},
	{"internal/web/signed", map[string]string{
		"internal/safe":          "requests name store and person",
		"internal/access/sshsig": "with people's signatures",
		"golang.org/x/crypto":    "whatever signs with an SSH key",
	}},
	{"internal/web/chart", map[string]string{
		"internal/ui": "writes sizes and times as the terminal does",
	}},
	{"internal/web/page", map[string]string{
		"internal/access":          "roles of who looks",
		"internal/estate":          "kinds, needs and evidence in words",
		"internal/estate/coverage": "states and service levels in words",
		"internal/report":          "what is drawn",
		"internal/safe":            "sources and people by their names",
		"internal/ui":              "writes sizes and ages as the terminal does",
		"internal/web/chart":       "pictures of days and sizes",
	}},
	{"internal/web/page/pagetest", map[string]string{
		"internal/access":          "people with their roles",
		"internal/access/opening":  "openings in all states",
		"internal/estate":          "a map",
		"internal/estate/coverage": "what of it is in the safe",
		"internal/safe/config":     "what components take",
		"internal/report":          "makes some up",
		"internal/safe":            "of sources and runs",
		"internal/web/page":        "to be drawn",
	}},
	{"internal/web/export", map[string]string{
		"internal/safe":       "files and versions of the roster by their digests",
		"internal/safe/words": "and in words, to compare",
		"internal/access":     "the roster that the page holds the safe to",
		"internal/web/assets": "the scripts",
		"internal/web/page":   "draws the page",
		"golang.org/x/sys":    "two folders exchange their names at once",
	}},
	{"internal/web/session", map[string]string{
		"internal/safe":           "who is signed in",
		"internal/access/passkey": "and with what",
	}},
	{"internal/web", map[string]string{
		"internal/safe":             "openings, runs and people by their names",
		"internal/ledger":           "signed statements",
		"internal/access":           "roles, and what statements say",
		"internal/access/opening":   "grants and releases",
		"internal/access/api":       "the messages",
		"internal/access/passkey":   "who has signed in, and with what",
		"internal/access/keyring":   "how large one can be",
		"internal/access/signature": "the keys of who calls",
		"internal/access/sshsig":    "of which those of SSH sign requests",
		"internal/spelling":         "messages are read strictly",
		"internal/estate":           "what components are called",
		"internal/report":           "what people look at",
		"internal/web/assets":       "the scripts of the pages",
		"internal/web/page":         "draws the pages",
		"internal/web/session":      "remembers who is signed in",
		"internal/web/signed":       "finds out who calls",
	}},
	{"internal/web/client", map[string]string{
		"internal/safe":            "openings, runs and people by their names",
		"internal/ledger":          "signed statements, and how large an opening can be",
		"internal/store/seal":      "how large an envelope can be",
		"internal/access":          "invitations and versions of the roster",
		"internal/access/opening":  "grants and releases",
		"internal/access/api":      "the messages",
		"internal/spelling":        "and their answers",
		"internal/web/certificate": "trusts the safe's own authority",
		"internal/web/signed":      "signs each request",
		"golang.org/x/crypto":      "whatever signs with an SSH key",
	}},

	// The running safe: the only rooms that put concrete things together.
	{"internal/daemon/child", map[string]string{
		"internal/safe":                 "of which run it is",
		"internal/collect":              "what the child collect does",
		"internal/ledger":               "the child scrub is told by whose key it is signed",
		"internal/access/gate":          "what the child gate does",
		"internal/confine":              "what a child gives up",
		"internal/estate":               "tells what the source says of it",
		"internal/estate/facts":         "where that was read",
		"internal/estate/facts/formats": "reads what passes by",
		"internal/source/tap":           "sees it pass",
		"internal/source":               "is told which one",
		"internal/source/command":       "one kind",
		"internal/source/glance":        "a kind that looks at a host",
		"internal/source/webapi":        "a kind that asks an API",
		"internal/source/local":         "another kind",
		"internal/source/sftp":          "yet another",
		"internal/source/sshclient":     "whom a command is asked of, and a host that is not the pinned one",
		"internal/spelling":             "tasks and answers are read strictly",
		"internal/store/blob/dir":       "creates in a folder",
		"internal/store/layout":         "the names below which it may create",
		"internal/store/memory":         "reads and replaces that of its source",
		"internal/store/scrub":          "what the child scrub does",
		"internal/store/seal":           "what the child runkey does",
	}},
	{"internal/daemon/state", map[string]string{
		"internal/safe":             "the state of sources and runs",
		"internal/estate":           "what sources tell of it",
		"internal/access":           "versions of the roster, in force and proposed",
		"internal/access/opening":   "the order of an opening's states",
		"internal/access/signature": "a key that is suspended",
		"internal/ledger":           "an entry is written in the transaction of what it records",
		"internal/store/layout":     "what is to be published goes by its name in the store",
		"golang.org/x/mod":          "hashes of the tree",
		"modernc.org/sqlite":        "SQL without cgo",
	}},
	{"internal/daemon/mail/smtptest", map[string]string{
		"github.com/emersion/go-smtp": "a real mail server",
		"github.com/emersion/go-sasl": "that people log in to",
	}},
	{"internal/daemon/mail", map[string]string{
		"internal/safe":               "tells of runs and snapshots",
		"internal/safe/config":        "where the mail server is",
		"internal/safe/words":         "a roster as people compare it",
		"internal/ledger":             "is the queue of mails",
		"internal/report":             "an entry has one sentence everywhere",
		"internal/ui":                 "writes sizes and times as the terminal does",
		"internal/daemon/state":       "how far each recipient was told",
		"internal/estate/coverage":    "what an application misses is told together",
		"github.com/wneessen/go-mail": "MIME and SMTP",
	}},
	{"internal/daemon", map[string]string{
		"internal/safe":                   "speaks of runs and snapshots",
		"internal/estate":                 "what sources tell of it stays known for a while",
		"internal/estate/coverage":        "what of it is in the safe",
		"internal/estate/order":           "in which order it can be rebuilt",
		"internal/estate/facts/identity":  "which host a source has read the files of",
		"internal/safe/config":            "what is to be collected",
		"internal/safe/keep":              "how long a snapshot is kept",
		"internal/ledger":                 "writes it",
		"internal/store/blob":             "publishes to it",
		"internal/store/blob/dir":         "opens the store in a folder",
		"internal/store/catalog":          "compares the state with what the store says",
		"internal/store/layout":           "by its names",
		"internal/store/memory":           "sweeps what an ended child has left there",
		"internal/store/pack":             "how hard a child compresses, as configured",
		"internal/store/refresh":          "what a child stores again, as configured",
		"internal/store/scrub":            "what a child found, and how to repair it",
		"internal/store/seal":             "the safe's own keys",
		"internal/source":                 "how often each pattern matched",
		"internal/collect":                "what a child tells of its progress and result",
		"internal/access":                 "the roster in force, and who may change it",
		"internal/access/api":             "answers people",
		"internal/access/compose":         "tells in words what a roster changes",
		"internal/access/keyring":         "keeps what people's passkeys have wrapped",
		"internal/access/gate":            "the task of an opening's door",
		"internal/access/record":          "what people state of what they have restored",
		"internal/access/opening":         "checks what is released",
		"internal/access/passkey":         "checks what people sign in with",
		"internal/access/proven":          "hands out proofs with an opening",
		"internal/access/signature":       "which key of a person signed, or is suspended",
		"internal/access/sshsig":          "the gate's own key",
		"internal/daemon/child":           "the tasks and answers of its children",
		"internal/daemon/state":           "the state of the safe",
		"internal/daemon/mail":            "tells people what happened",
		"internal/report":                 "shows people how the safe is",
		"internal/safe/words":             "the first roster, as people compared it",
		"github.com/go-webauthn/webauthn": "the CBOR of what a browser hands over of a new passkey",
		"golang.org/x/crypto":             "a known host key as a child's task has it",
		"golang.org/x/sys":                "one process at a time",
	}},
	{"internal/daemon/crashtest", nil}, // ends the real program where it hurts
	{"docs", nil},                      // what goes onto a recovery stick
	{"cmd/strongroom", map[string]string{
		"internal/estate":              "shows the map",
		"internal/estate/coverage":     "shows what is in the safe",
		"internal/estate/export":       "for other programs",
		"internal/estate/order":        "shows the order",
		"internal/estate/order/forest": "shows which domain controller is the first",
		"internal/daemon":              "serves a safe",
		"internal/report":              "how much of a person's attention something needs",
		"internal/daemon/child":        "is also its children",
		"internal/daemon/mail":         "finds the checkpoint of a mail that was kept, knows what a mail server did",
		"internal/daemon/state":        "tells what became of the last runs",
		"internal/safe":                "ids on the command line",
		"internal/safe/config":         "reads it",
		"internal/safe/keep":           "how far to look back",
		"internal/collect":             "progress of a collection",
		"internal/confine":             "the doctor tells what the kernel can; keeps who serves out of core dumps",
		"internal/access":              "invitations, rosters and what people sign",
		"internal/access/api":          "what a safe tells people",
		"docs":                         "go onto a recovery stick",
		"internal/access/compose":      "makes the versions of the roster that people propose",
		"internal/access/opening":      "requests, and what a keykeeper signs",
		"internal/access/review":       "what a keykeeper's machine checks",
		"internal/access/proven":       "verifies what a gate shows of the ledger",
		"internal/access/remote":       "reads through a gate",
		"internal/access/record":       "what people state of what they have restored",
		"internal/store/diff":          "what is different between two snapshots",
		"internal/store/manifest":      "what is in a snapshot, to compare two",
		"golang.org/x/sync":            "looks at several snapshots of a gate at once",
		"internal/paper":               "pages with keys",
		"internal/web":                 "answers people",
		"internal/web/certificate":     "shows the safe's certificate, and its fingerprint in an invitation",
		"internal/access/profile":      "what a person's machine keeps of a safe",
		"internal/access/sshsig":       "a person's SSH key",
		"internal/safe/words":          "digests for people to compare",
		"internal/web/client":          "calls a safe for a person",
		"internal/web/export":          "writes the release page for another host",
		"internal/web/assets":          "the digest of the scripts, to compare",
		"golang.org/x/crypto":          "the SSH key of a person, and the agent that may hold it",
		"internal/ledger":              "shows and verifies it; an error's exit status",
		"internal/source/pattern":      "which entries a list is of, and whether a source could match its lines",
		"internal/store":               "reads snapshots",
		"internal/store/blob":          "what a store has lost is told apart from what failed",
		"internal/store/blob/dir":      "opens a store, or a copy of one, without a safe",
		"internal/store/catalog":       "the snapshots that a store's ledger vouches for",
		"internal/store/layout":        "names the checkpoint that is remembered",
		"internal/store/restore":       "restores",
		"internal/store/scrub":         "tells what it found",
		"internal/store/seal":          "reads and makes role keys; an error's exit status",
		"internal/ui":                  "tells its user",
		"github.com/spf13/cobra":       "commands, flags, help",
	}},
	{"hack/screenshots", map[string]string{
		"internal/web/page/pagetest":   "the pages of which pictures are made",
		"github.com/chromedp/chromedp": "a real browser",
		"github.com/chromedp/cdproto":  "and what it is told",
	}},
	{"hack/demo", map[string]string{
		"internal/source/sftp/sshdtest": "plays the production host",
		"internal/daemon/mail/smtptest": "plays the mail server",
	}},

	// The house itself and its documents: tests without a program.
	{"internal/house", nil},
	{"internal/promise", nil},
	{"bench", map[string]string{
		"internal/fartest":              "a host that is far away",
		"internal/source/sftp/sshdtest": "plays a host to pull from",
		"golang.org/x/sys":              "what was written is synced into the time of a run",
	}},
	{"bench/pipeline", nil},
	{"bench/remote", nil},
	{"bench/growth", map[string]string{
		"internal/safe":           "names runs by their nights",
		"internal/safe/keep":      "how long a snapshot is kept",
		"internal/store/chunk":    "how long chunks are",
		"internal/store/manifest": "tells of a chunk",
		"internal/store/pack":     "how large packs are",
		"internal/store/refresh":  "decides what is stored again",
	}},
	{"bench/scale/generated", map[string]string{
		"internal/safe":   "makes up entries",
		"internal/source": "is one",
	}},
	{"bench/scale/discard", map[string]string{
		"internal/store/blob":   "is one that keeps nothing",
		"internal/store/layout": "counts by what an object is",
		"golang.org/x/sys":      "what is staged lies in the kernel's memory",
	}},
	{"bench/scale", map[string]string{
		"bench/scale/generated":   "collects it",
		"bench/scale/discard":     "where it is only counted",
		"internal/safe":           "describes what was collected",
		"internal/collect":        "whose cost is measured",
		"internal/source":         "looks on while one is pulled",
		"internal/store":          "whose cost is measured",
		"internal/store/blob":     "looks on while one is written",
		"internal/store/blob/dir": "where what is read is kept",
		"internal/store/layout":   "names an envelope",
		"internal/store/memory":   "removes what the last but one collection remembered",
		"internal/store/restore":  "whose cost is measured",
		"internal/store/seal":     "makes the keys of a run",
	}},
}

// testModules may be imported by every test beside the modules of the table.
var testModules = map[string]string{
	"github.com/pkg/sftp":             "a hostile or odd server, made to order",
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
			"bench":           "measures whole programs",
			"bench/":          "likewise",
		},
	},
	{
		names: []string{"net"},
		why:   "a safe is judged by its doors, and each is opened in a room that is known for it",
		rooms: map[string]string{
			"internal/safe/config":      "parses addresses, opens nothing",
			"internal/web":              "accepts people's connections",
			"internal/web/certificate":  "addresses and networks in a certificate, opens nothing",
			"internal/web/client":       "connects to the safe",
			"internal/source/sshclient": "connects to the host that it collects from, or to a gate",
			"internal/source/sftp":      "takes another way to dial that host, opens nothing",
			"internal/source/webapi":    "connects to the API that it collects from, and to no other",
			"internal/access/remote":    "connects to the gate of a safe",
			"internal/access/gate":      "listens for the one peer of an opening",
			"cmd/strongroom":            "asks the ssh-agent of its user, opens the people's port, tells systemd",
			"internal/daemon/child":     "looks up the one host and dials it, opens the gate's port",
			"internal/daemon/mail":      "connects to the mail server",
			"hack/":                     "plays the production host",
		},
	},
	{
		names: []string{"unsafe"},
		why:   "what comes from production is hostile, and the type system is the first wall",
		rooms: map[string]string{
			"internal/confine":              "hands Landlock's structs to the kernel",
			"internal/source/local/xattrat": "hands a name to the kernel, for which no library has the call yet",
		},
	},
	{
		names: []string{"flag", "os.Args", "os.Exit", "os.Getenv", "os.LookupEnv", "os.Environ", "os.ExpandEnv"},
		why:   "a package gets what it needs as arguments, and whoever ends the process ends deferred work with it",
		rooms: map[string]string{
			"cmd/":                 "the command line is read here",
			"hack/":                "as in cmd",
			"bench":                "as in cmd",
			"bench/":               "as in cmd",
			"internal/safe/config": "systemd names the folder of credentials in the environment only",
		},
	},
}

// reader returns what every reader of facts imports, and what one does beside.
func reader(more map[string]string) map[string]string {
	all := map[string]string{
		"internal/estate":       "the words for what it finds",
		"internal/estate/facts": "where it was read, and the limits",
	}
	maps.Copy(all, more)
	return all
}
