package child

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"time"

	"strongroom/internal/access/gate"
	"strongroom/internal/confine"
	"strongroom/internal/spelling"
	"strongroom/internal/store/blob/dir"
	"strongroom/internal/store/layout"
)

// A GateTask asks the child "gate" to be the door of an opening until its end,
// or until it is told to stop.
type GateTask struct {
	Gate      gate.Task `json:"gate"`
	StorePath string    `json:"store_path"`
	// InboxPath is a folder for this opening alone, which exists. What the gate
	// receives comes to lie in gate.InboxFolder beneath. "" takes no files.
	InboxPath string `json:"inbox_path"`
	// WithoutLandlock allows the child to go on where the kernel cannot
	// confine it.
	WithoutLandlock bool `json:"without_landlock"`
}

// A GateAnswer is a line of the child's output. Exactly one field is set; the
// last line has Done or Failed. The gate is open from the event Listening on.
type GateAnswer struct {
	Event  *gate.Event  `json:"event,omitempty"`
	Done   *gate.Totals `json:"done,omitempty"`
	Failed string       `json:"failed,omitempty"`
}

// maxGateTask bounds a task that carries the inner files of thousands of runs
// and the names of their packs.
const maxGateTask = 256 << 20

// lingering is how long a gate may take to end when it should.
const lingering = 2 * time.Second

// Gate is the door of an opening. It opens its port and then gives up all but
// reading the folders of the runs in scope and adding to the inbox; what
// strangers send is looked at only afterwards. The inner files are in its
// memory alone.
func Gate(stdin io.Reader, stdout io.Writer) error {
	if err := confine.NoDump(); err != nil {
		return err
	}
	_ = confine.NoSwap() // as for the key of a run; inner files are sealed besides
	in := bufio.NewReader(stdin)
	task, err := readGateTask(in)
	if err != nil {
		return err
	}
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	go listen(in, end, end)

	out := json.NewEncoder(stdout)
	totals, err := serveGate(ctx, task, func(e gate.Event) {
		if err := out.Encode(GateAnswer{Event: &e}); err != nil {
			end(fmt.Errorf("the supervising process is gone: %w", err))
		}
	})
	if err != nil {
		return errors.Join(err, out.Encode(GateAnswer{Failed: err.Error()}))
	}
	return out.Encode(GateAnswer{Done: &totals})
}

func readGateTask(in *bufio.Reader) (GateTask, error) {
	line, err := readLine(in, maxGateTask)
	if err != nil {
		return GateTask{}, fmt.Errorf("reading the task: %w", err)
	}
	var task GateTask
	if err := spelling.Decode(line, &task); err != nil {
		return GateTask{}, errors.New("reading the task: it is not what this program writes") // err might quote the host key
	}
	return task, nil
}

func serveGate(ctx context.Context, task GateTask, events func(gate.Event)) (gate.Totals, error) {
	server, listener, err := openGate(ctx, task, events)
	if err != nil {
		return gate.Totals{}, err
	}
	over, release := context.WithDeadline(ctx, task.Gate.Until)
	defer release()
	type result struct {
		totals gate.Totals
		err    error
	}
	served := make(chan result, 1)
	go func() {
		totals, err := server.Serve(ctx, listener)
		served <- result{totals, err}
	}()
	select {
	case r := <-served:
		return r.totals, r.err
	case <-over.Done():
	}
	select {
	case r := <-served:
		return r.totals, r.err
	case <-time.After(lingering):
		// The end of this process is the end of what hangs.
		return gate.Totals{}, errors.New("a session does not end: a disk hangs, or the supervising process does")
	}
}

// openGate opens what the gate needs and then gives up everything else.
func openGate(ctx context.Context, task GateTask, events func(gate.Event)) (*gate.Server, net.Listener, error) {
	store, err := dir.Open(task.StorePath)
	if err != nil {
		return nil, nil, err
	}
	rules := confine.Rules{AllowWithoutLandlock: task.WithoutLandlock}
	if rules.Read, err = scopeFolders(task); err != nil {
		return nil, nil, err
	}
	inbox, err := openInbox(ctx, task.InboxPath, &rules)
	if err != nil {
		return nil, nil, err
	}
	server, err := gate.New(task.Gate, store, gate.Options{Events: events, Inbox: inbox})
	if err != nil {
		return nil, nil, err
	}
	listener, err := gate.Listen(ctx, task.Gate.Listen)
	if err != nil {
		return nil, nil, err
	}
	if _, err := confine.Apply(rules); err != nil {
		return nil, nil, fmt.Errorf("confining the gate: %w", err)
	}
	return server, listener, nil
}

// scopeFolders returns the folders of the objects in scope, as far as there
// are any. A link in the way would widen what is granted to where it leads.
func scopeFolders(task GateTask) ([]string, error) {
	var folders []string
	for _, scope := range task.Gate.Scope {
	kinds:
		for _, kind := range []string{"packs", "parity", "root"} {
			path := task.StorePath
			for _, part := range []string{filepath.FromSlash(filepath.Dir(layout.Run(scope.Run))), scope.Run.String(), kind} {
				path = filepath.Join(path, part)
				info, err := os.Lstat(path)
				switch {
				case errors.Is(err, fs.ErrNotExist):
					continue kinds
				case err != nil:
					return nil, fmt.Errorf("looking at the folders in scope: %w", err)
				case !info.IsDir():
					return nil, fmt.Errorf("looking at the folders in scope: %s is not a folder", path)
				}
			}
			folders = append(folders, path)
		}
	}
	return folders, nil
}

// openInbox opens the inbox for adding, and learns what is in it.
func openInbox(ctx context.Context, path string, rules *confine.Rules) (*gate.Inbox, error) {
	if path == "" {
		return nil, nil
	}
	folder, err := dir.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the inbox: %w", err)
	}
	defer folder.Close() // nothing was written
	into, err := folder.AddOnly(ctx, gate.InboxFolder)
	if err != nil {
		return nil, fmt.Errorf("opening the inbox: %w", err)
	}
	inbox := &gate.Inbox{Into: into}
	for info, err := range folder.List(ctx, gate.InboxFolder+"/") {
		if err != nil {
			return nil, fmt.Errorf("looking into the inbox: %w", err)
		}
		inbox.Held = append(inbox.Held, info)
	}
	rules.Stage = append(rules.Stage, filepath.Join(path, "stage"))
	rules.Create = append(rules.Create, filepath.Join(path, gate.InboxFolder))
	return inbox, nil
}
