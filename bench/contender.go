package main

import (
	"debug/buildinfo"
	"os/exec"
	"regexp"
	"strings"
)

// An operation is what can be measured of a contender.
type operation string

const (
	collect operation = "collect" // keep what $SOURCE has now
	restore operation = "restore" // all of the newest snapshot, into the empty folder $TARGET
	find    operation = "list"    // every path of the newest snapshot, to standard output
	one     operation = "one"     // the file $ONE of the newest snapshot, into the empty folder $TARGET
)

// A contender is a program that keeps data: ours, or one that it is measured
// against. It is described by command lines, which the document shows as they
// are. A line is one program and its arguments, separated by spaces; there is
// no shell, so that what is measured is the program alone. It runs in $TARGET,
// an empty folder, and may use these variables, and those of its course:
//
//	$HOME      a folder of its own, for configuration and caches
//	$REPO      where it keeps the data
//	$SOURCE    the folder that it is to keep
//	$TARGET    the folder to restore to
//	$ONE       the path of a file, below $SOURCE
//	$N         how many collections there were
//	$SNAPSHOT  what snapshot matched in the output of the last collection
type contender struct {
	name     string
	note     string            // about its setting, for the document
	env      []string          // beside HOME, PATH and the like
	files    map[string]string // below $HOME, made first, with variables
	prepare  []string          // what makes an empty repository; not measured
	lines    map[operation]string
	snapshot *regexp.Regexp // with one group; nil if its newest snapshot has a name that is known
	restored string         // the folder that is then as $SOURCE was
	one      string         // the file that is then as $ONE was, if it is not where restored has it
	parity   string         // folders in $REPO, as filepath.Glob finds them, whose size is told apart
	version  []string       // a line that prints its version; nil asks the Go program itself
}

// strongroom is an ordinary safe with a source in a local folder, at its
// defaults.
var strongroom = contender{
	name: ours,
	note: "an ordinary safe at its defaults, with parity: the time includes making it, the size is told apart",
	files: map[string]string{"strongroom.yaml": `safe: bench
dir: $HOME/safe
store: $REPO
sources:
  data:
    kind: local
    include: [ $SOURCE ]
`},
	prepare: []string{
		"strongroom keys new-role outer --output $HOME/outer.key",
		"strongroom keys new-role inner --output $HOME/inner.key",
		"strongroom init --config $HOME/strongroom.yaml --outer $HOME/outer.key.pub --inner $HOME/inner.key.pub",
	},
	lines: map[operation]string{
		collect: "strongroom collect data --config $HOME/strongroom.yaml",
		restore: "strongroom restore data --config $HOME/strongroom.yaml --outer-key $HOME/outer.key --inner-key $HOME/inner.key --to $TARGET",
		find:    "strongroom ls data --config $HOME/strongroom.yaml --outer-key $HOME/outer.key --inner-key $HOME/inner.key",
		one:     "strongroom restore data --config $HOME/strongroom.yaml --outer-key $HOME/outer.key --inner-key $HOME/inner.key --include $SOURCE/$ONE --to $TARGET",
	},
	restored: "$TARGET$SOURCE",
	parity:   "runs/*/parity",
	version:  []string{"strongroom", "version"},
}

// ours is the contender that all others are compared with.
const ours = "strongroom"

var restic = contender{
	name: "restic",
	note: "compression auto; without the scan that only serves its progress bar",
	env:  []string{"RESTIC_REPOSITORY=$REPO", "RESTIC_PASSWORD=bench", "RESTIC_CACHE_DIR=$HOME/cache"},
	prepare: []string{
		"restic init",
	},
	lines: map[operation]string{
		collect: "restic backup --no-scan $SOURCE",
		restore: "restic restore latest --target $TARGET",
		find:    "restic ls latest",
		one:     "restic restore latest --include $SOURCE/$ONE --target $TARGET",
	},
	restored: "$TARGET$SOURCE",
}

var kopia = contender{
	name: "kopia",
	note: "zstd-fastest, no error correction, no maintenance after a snapshot",
	env: []string{
		"KOPIA_PASSWORD=bench", "KOPIA_CONFIG_PATH=$HOME/repository.config", "KOPIA_CACHE_DIRECTORY=$HOME/cache",
		"KOPIA_LOG_DIR=$HOME/log", "KOPIA_CHECK_FOR_UPDATES=false",
	},
	prepare: []string{
		"kopia repository create filesystem --path $REPO",
		"kopia policy set --global --compression=zstd-fastest",
	},
	lines: map[operation]string{
		collect: "kopia snapshot create --no-auto-maintenance --no-progress $SOURCE",
		restore: "kopia restore --no-progress $SNAPSHOT $TARGET",
		find:    "kopia ls --recursive $SNAPSHOT",
		one:     "kopia restore --no-progress $SNAPSHOT/$ONE $TARGET/one",
	},
	snapshot: regexp.MustCompile(`Created snapshot with root (k[0-9a-f]+) `),
	restored: "$TARGET",
	one:      "$TARGET/one",
}

var borg = contender{
	name:    "borg",
	note:    "compression zstd,1, and the faster of the modes that encrypt and authenticate: here that with HMAC-SHA-256",
	env:     []string{"BORG_REPO=$REPO", "BORG_PASSPHRASE=bench", "BORG_BASE_DIR=$HOME"},
	prepare: []string{"borg init --encryption repokey"},
	lines: map[operation]string{
		collect: "borg create --compression zstd,1 ::$N $SOURCE",
		restore: "borg extract ::$N",
		find:    "borg list --short ::$N",
		one:     "borg extract ::$N $SOURCE/$ONE", // it finds what it has without the first slash
	},
	restored: "$TARGET$SOURCE",
	version:  []string{"borg", "--version"},
}

// peers are programs of our kind. Which of them are the fastest, and how to
// run them, was tried by hand.
var peers = []contender{restic, kopia, borg}

// everyone is what most courses measure.
func everyone() []contender {
	return append([]contender{strongroom}, peers...)
}

// program is the name of the program, as it is found on the path.
func (c contender) program() string {
	name, _, _ := strings.Cut(c.lines[collect], " ")
	return name
}

// installed says whether the program is there.
func (c contender) installed() bool {
	_, err := exec.LookPath(c.program())
	return err == nil
}

// release returns the version of the program that is there.
func (c contender) release() (string, error) {
	if c.version != nil {
		out, err := exec.Command(c.version[0], c.version[1:]...).Output()
		line, _, _ := strings.Cut(string(out), "\n")
		return strings.TrimSpace(line), err
	}
	path, err := exec.LookPath(c.program())
	if err != nil {
		return "", err
	}
	info, err := buildinfo.ReadFile(path)
	if err != nil {
		return "", err
	}
	return c.program() + " " + info.Main.Version + ", " + info.GoVersion, nil
}
