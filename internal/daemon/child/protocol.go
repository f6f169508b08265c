// Package child is what the children of a safe do: processes of the same
// program, each with less than the one that starts it. They get their task on
// standard input, where secrets are seen by nobody, and answer on standard
// output, a line of JSON each.
package child

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"strongroom/internal/collect"
	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/safe"
	"strongroom/internal/spelling"
	"strongroom/internal/store/seal"
)

// A KeyTask asks the child "runkey" for the key of a run.
type KeyTask struct {
	Label seal.Label          `json:"label"`
	Outer seal.OuterRecipient `json:"outer"`
	Inner seal.InnerRecipient `json:"inner"`
}

// A KeyAnswer is all that is left of a run's key when the child has exited.
type KeyAnswer struct {
	Envelope  []byte            `json:"envelope"`
	Recipient seal.RunRecipient `json:"recipient"`
}

// A CollectTask asks the child "collect" to run a source.
type CollectTask struct {
	// DryRun asks for a look at what would be pulled. Nothing is read or
	// stored, no command is run, and only the source and its limits matter.
	DryRun bool `json:"dry_run"`
	// Probe asks only whether the source can be reached.
	Probe bool `json:"probe"`

	StorePath string            `json:"store_path"`
	Store     safe.StoreID      `json:"store,omitzero"`
	Run       safe.RunID        `json:"run,omitzero"`
	Source    safe.SourceName   `json:"source,omitzero"`
	Started   time.Time         `json:"started,omitzero"`
	Recipient seal.RunRecipient `json:"recipient,omitzero"`

	CutKey    []byte `json:"cut_key"`
	TagKey    []byte `json:"tag_key"`
	MemoryKey []byte `json:"memory_key"` // as in its key file
	MemoryDir string `json:"memory_dir"`

	Complete    safe.RunID `json:"complete,omitzero"`   // zero if there is none
	Unfinished  safe.RunID `json:"unfinished,omitzero"` // zero if there is none
	LastStarted time.Time  `json:"last_started,omitzero"`
	LastBytes   int64      `json:"last_bytes"`

	SFTP    *SFTPTask       `json:"sftp,omitempty"` // exactly one of these is set
	Command *CommandTask    `json:"command,omitempty"`
	Facts   *FactsTask      `json:"facts,omitempty"`
	API     *APITask        `json:"api,omitempty"`
	Local   *LocalTask      `json:"local,omitempty"`
	Limits  Limits          `json:"limits"`
	Options collect.Options `json:"options"`
	// WithoutLandlock allows the child to go on where the kernel cannot
	// confine it.
	WithoutLandlock bool `json:"without_landlock"`
}

// A Login is how a source gets into a host, by SSH.
type Login struct {
	Host     string   `json:"host"`
	Port     int      `json:"port"`
	User     string   `json:"user"`
	HostKeys []string `json:"host_keys"`
	Key      []byte   `json:"key"` // the private key
}

// SFTPTask is a source of kind sftp.
type SFTPTask struct {
	Login
	Include     []string `json:"include"`
	Exclude     []string `json:"exclude"`
	Connections int      `json:"connections"`
}

// CommandTask is a source of kind command.
type CommandTask struct {
	Login
	Name       string        `json:"name"`
	Command    string        `json:"command"` // "" sends none
	EndsWith   string        `json:"ends_with"`
	AllowEmpty bool          `json:"allow_empty"`
	Stall      time.Duration `json:"stall"`
}

// FactsTask is a source of kind facts.
type FactsTask struct {
	Login
	Files []string      `json:"files"`
	Looks int           `json:"looks"`
	Pause time.Duration `json:"pause"`
}

// APITask is a source of kind facts-api.
type APITask struct {
	URL           string    `json:"url"`
	Format        facts.API `json:"format"`
	Scope         string    `json:"scope"`
	Authorization string    `json:"authorization"` // "" sends none
	Authority     []byte    `json:"authority"`     // certificates in PEM; those of the system if there are none
}

// LocalTask is a source of kind local.
type LocalTask struct {
	Include []string `json:"include"`
	Exclude []string `json:"exclude"`
}

// Limits are the source's own.
type Limits struct {
	Bytes   int64 `json:"bytes"`
	Entries int64 `json:"entries"`
}

// A CollectAnswer is a line of the child's output. Exactly one of Event, Result,
// Failed and Facts is set. Facts may follow a result, and nothing else does.
type CollectAnswer struct {
	Event  *collect.Event  `json:"event,omitempty"`
	Result *collect.Result `json:"result,omitempty"`
	// Facts are what of the source tells of the estate.
	Facts *estate.Facts `json:"facts,omitempty"`
	// Finding goes with a result whose cause a person must look at.
	Finding *Finding `json:"finding,omitempty"`
	Failed  string   `json:"failed,omitempty"`   // there is no snapshot, and why
	NoSpace bool     `json:"no_space,omitempty"` // goes with Failed: a disk of the safe's is full
}

// HostKeyRefused is the one kind of Finding that a collector has: the host did
// not prove to be the one that was pinned.
const HostKeyRefused = "source.host_key_refused"

// A Finding is a suspicion that a person must look at.
type Finding struct {
	Kind string `json:"kind"`
	Text string `json:"text"`
}

// stopWord on standard input asks a collecting child to stop pulling and to
// keep what it has. The end of standard input means that the parent is gone.
const stopWord = "stop"

// Stop asks the child at the other end of stdin to stop.
func Stop(stdin io.Writer) error {
	_, err := fmt.Fprintln(stdin, stopWord)
	return err
}

// WriteTask writes the first line of a child's standard input.
func WriteTask(stdin io.Writer, task any) error {
	b, err := json.Marshal(task)
	if err != nil {
		return fmt.Errorf("encoding a child's task: %w", err)
	}
	_, err = stdin.Write(append(b, '\n'))
	return err
}

// maxTask bounds a task: an include list of a megabyte, and keys.
const maxTask = 8 << 20

func readTask(stdin *bufio.Reader, task any) error {
	line, err := readLine(stdin, maxTask)
	if err != nil {
		return fmt.Errorf("reading the task: %w", err)
	}
	if err := spelling.Decode(line, task); err != nil {
		return errors.New("reading the task: it is not what this program writes") // err might quote a secret
	}
	return nil
}

// MaxAnswer bounds a line of a child's output: a result that names the packs
// of a description.
const MaxAnswer = 64 << 20

// maxValues bounds the values of an answer: of empty ones a line of that length
// would have many millions, which take a hundred times its size in memory. A
// result that names as many packs as fit has one million.
const maxValues = 2 << 20

// ReadAnswer reads one line of a child's output strictly. The child parses
// what production sends, so it is believed no more than that.
func ReadAnswer(stdout *bufio.Reader, answer any) error {
	line, err := readLine(stdout, MaxAnswer)
	if err != nil {
		return err
	}
	if n := bytes.Count(line, []byte(",")); n > maxValues {
		return fmt.Errorf("a child's answer cannot be read: it has more than %d values", maxValues)
	}
	if err := spelling.Decode(line, answer); err != nil {
		return fmt.Errorf("a child's answer cannot be read: %w", err)
	}
	return nil
}

func readLine(r *bufio.Reader, limit int) ([]byte, error) {
	var line []byte
	for {
		part, err := r.ReadSlice('\n')
		line = append(line, part...)
		if len(line) > limit {
			return nil, fmt.Errorf("a line of more than %d bytes", limit)
		}
		switch {
		case err == nil:
			return line, nil
		case err == io.EOF && len(line) > 0:
			return nil, io.ErrUnexpectedEOF
		case err != bufio.ErrBufferFull:
			return nil, err
		}
	}
}
