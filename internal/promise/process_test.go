package promise

import (
	"bufio"
	"bytes"
	"crypto/ed25519"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"filippo.io/age"
	"golang.org/x/crypto/ssh"

	"strongroom/internal/safe"
	"strongroom/internal/source/sftp/sshdtest"
	"strongroom/internal/store/layout"
	"strongroom/internal/store/seal"
)

// A background command runs until it is told to stop.
type background struct {
	*exec.Cmd
	t        *testing.T
	out, err lockedBuffer
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func (s *site) start(args ...string) *background {
	s.t.Helper()
	b := &background{Cmd: s.command(args...), t: s.t}
	b.Stdout, b.Stderr = &b.out, &b.err
	if err := b.Start(); err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() {
		if b.ProcessState == nil {
			b.Process.Kill()
			b.Wait()
		}
	})
	return b
}

// stop ends the command as Ctrl-C does.
func (b *background) stop() result {
	b.t.Helper()
	if err := b.Process.Signal(os.Interrupt); err != nil {
		b.t.Fatal(err)
	}
	b.Wait() // the exit status is in the result
	return result{args: b.Args[1:], code: b.ProcessState.ExitCode(), out: b.out.String(), err: b.err.String()}
}

// until waits for something to come true.
func until(t *testing.T, what string, true func() bool) {
	t.Helper()
	for deadline := time.Now().Add(20 * time.Second); !true(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain: %s", what)
		}
	}
}

// children returns the processes that a process has started, by their command
// lines.
func children(pid int) map[string]int {
	found := map[string]int{}
	lists, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, list := range lists {
		b, err := os.ReadFile(list)
		if err != nil {
			continue // the thread has ended
		}
		for word := range strings.FieldsSeq(string(b)) {
			child, _ := strconv.Atoi(word)
			line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", child))
			if err == nil && len(line) > 0 {
				found[strings.Join(strings.Split(strings.TrimSuffix(string(line), "\x00"), "\x00")[1:], " ")] = child
			}
		}
	}
	return found
}

// memoryOf returns all that a process has in its memory, mapping by mapping.
func memoryOf(t *testing.T, pid int, look func(content []byte)) {
	t.Helper()
	maps, err := os.Open(fmt.Sprintf("/proc/%d/maps", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer maps.Close()
	mem, err := os.Open(fmt.Sprintf("/proc/%d/mem", pid))
	if err != nil {
		t.Fatal(err)
	}
	defer mem.Close()
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		var from, to uint64
		var rights string
		if _, err := fmt.Sscanf(lines.Text(), "%x-%x %s", &from, &to, &rights); err != nil {
			t.Fatalf("%v: %s", err, lines.Text())
		}
		if rights[0] != 'r' || strings.Contains(lines.Text(), "[v") {
			continue
		}
		content := make([]byte, to-from)
		n, _ := mem.ReadAt(content, int64(from)) // a mapping may end before its file does
		look(content[:n])
	}
}

// seedOf returns the secret bytes of a key in age's text form, which is
// bech32: five bits in each character, the last six of which are a checksum.
func seedOf(t *testing.T, text string) []byte {
	t.Helper()
	text = strings.ToLower(text)
	digits := text[strings.LastIndex(text, "1")+1:]
	var seed []byte
	var bits, n uint
	for _, digit := range digits[:len(digits)-6] {
		value := strings.IndexRune("qpzry9x8gf2tvdw0s3jn54khce6mua7l", digit)
		if value < 0 {
			t.Fatalf("%q is no digit", digit)
		}
		bits, n = bits<<5|uint(value), n+5
		if n >= 8 {
			n -= 8
			seed = append(seed, byte(bits>>n))
		}
	}
	if len(seed) != 32 {
		t.Fatalf("%d bytes, want 32", len(seed))
	}
	return seed
}

// identityText opens both layers of an envelope by hand and returns the text
// of the run's key.
func (s *site) identityText(run safe.RunID, d seal.Want) string {
	s.t.Helper()
	envelope := mustRead(s.t, s.path("host/store", layout.Envelope(run)))
	file, err := seal.OpenOuter(s.outer(), envelope, d)
	if err != nil {
		s.t.Fatal(err)
	}
	identities, err := age.ParseIdentities(bytes.NewReader(mustRead(s.t, s.path("keys/inner"))))
	if err != nil {
		s.t.Fatal(err)
	}
	plain, err := age.Decrypt(bytes.NewReader(file), identities...)
	if err != nil {
		s.t.Fatal(err)
	}
	var b bytes.Buffer
	if _, err := b.ReadFrom(plain); err != nil {
		s.t.Fatal(err)
	}
	return privateKey.FindString(b.String())
}

// strangers returns the private keys in content that are not the known one,
// also those of which the end was written over.
func strangers(content []byte, known string) (found []string) {
	for _, mark := range []string{"AGE-SECRET-KEY-PQ-1", "age-secret-key-pq-1"} {
		for i := bytes.Index(content, []byte(mark)); i >= 0; i = next(content, []byte(mark), i) {
			rest := string(content[i+len(mark) : min(len(content), i+len(known))])
			digits := strings.TrimLeft(strings.ToLower(rest), "qpzry9x8gf2tvdw0s3jn54khce6mua7l")
			text := strings.ToUpper(mark + rest[:len(rest)-len(digits)])
			// In the program itself, other words follow the mark. Of the known
			// key, the beginning is enough.
			if start := len(mark) + 16; len(text) >= start && text[:start] != known[:start] {
				found = append(found, text)
			}
		}
	}
	return found
}

// TestRunKeyIsInNoMemory looks at the safe's processes while a collection is
// under way: the key that reads what they store is in none, and what the
// collector needs to reach its source is nowhere but in its memory.
func TestRunKeyIsInNoMemory(t *testing.T) {
	needRoot(t)
	server := sshdtest.ForTest(t, sshdtest.Options{})
	folder := t.TempDir()
	write(t, folder, map[string]string{"first": "small", "second": randomText(24 << 20)})
	s := newSite(t, sftpSource("files", server, folder, "  limits: { rate: 400kB/s }\n"))
	supervisor := s.start("-v", "collect", "files")
	var collector int
	until(t, "the collector has begun to pull", func() bool {
		collector = children(supervisor.Process.Pid)["child collect"]
		return collector != 0 && strings.Contains(supervisor.err.String(), `"step":"packs"`)
	})
	if others := children(supervisor.Process.Pid); len(others) != 1 {
		t.Errorf("the children are %v, want the collector alone", others)
	}
	runs, err := os.ReadDir(s.path("host/store/runs"))
	if err != nil || len(runs) != 1 {
		t.Fatal(runs, err)
	}
	run, err := safe.ParseRunID(runs[0].Name())
	if err != nil {
		t.Fatal(err)
	}
	store := s.openStore(s.path("host/store"))
	id := storeID(t, store)
	want := seal.Want{Store: id, Run: run, Source: "files"}
	runKey := s.identityText(run, want)
	memoryKey := privateKey.FindString(string(mustRead(t, s.path("host/dir/keys/memory.key"))))
	recipient := recipientOf(t, runKey)
	credential := credentialMarks(t, server.PrivateKey)

	digits := runKey[strings.LastIndex(runKey, "1")+1:]
	secret := append(spellings([]byte(digits)), spellings([]byte(strings.ToLower(digits)))...)
	secret = append(secret, spellings(seedOf(t, runKey))...)
	for name, pid := range map[string]int{"collector": collector, "supervisor": supervisor.Process.Pid} {
		searchMemory(t, name, pid, secret, memoryKey, recipient)
		environment := mustRead(t, fmt.Sprintf("/proc/%d/environ", pid))
		if name == "collector" && len(environment) > 0 {
			t.Errorf("the collector has an environment: %q", environment)
		}
		for file, content := range map[string][]byte{"cmdline": mustRead(t, fmt.Sprintf("/proc/%d/cmdline", pid)), "environ": environment} {
			nowhere(t, fmt.Sprintf("%s of the %s", file, name), content, credential)
		}
	}

	r := supervisor.stop()
	if r.code != 3 || !containsAll(r.err, "not complete", "stopped by request") {
		t.Errorf("stopped: %s", r)
	}
	nowhere(t, "what the program says", []byte(r.out+r.err), credential)
	nowhere(t, "the ledger as it is shown", []byte(s.must("ledger", "show").out), credential)
	everyFile(t, s.path("host"), func(path string) { nowhere(t, path, mustRead(t, path), credential) })
}

// searchMemory searches one process for the key of a run, and for any private
// key but the memory's.
func searchMemory(t *testing.T, name string, pid int, secret [][]byte, memoryKey, recipient string) {
	t.Helper()
	// What is stopped does not write over anything meanwhile.
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	known := 0 // times that what has to be there is found
	memoryOf(t, pid, func(content []byte) {
		for _, needle := range secret {
			if bytes.Contains(content, needle) {
				t.Errorf("the key of the run is in the memory of the %s", name)
			}
		}
		for _, key := range strangers(content, memoryKey) {
			t.Errorf("in the memory of the %s is a private key that is not the memory's: %s", name, key)
		}
		for _, needle := range [][]byte{seedOf(t, memoryKey), []byte(recipient)} {
			known += bytes.Count(content, needle)
		}
	})
	if err := syscall.Kill(pid, syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
	if known == 0 {
		t.Errorf("neither the memory's key nor the run's recipient is in the memory of the %s: the search is worth nothing", name)
	}
}

// nowhere fails if one of the marks stands in content, in any spelling.
func nowhere(t *testing.T, place string, content []byte, marks []string) {
	t.Helper()
	if stands(content, marks) {
		t.Errorf("the credential of the source is in %s", place)
	}
}

func stands(content []byte, marks []string) bool {
	return slices.ContainsFunc(marks, func(mark string) bool {
		return slices.ContainsFunc(spellings([]byte(mark)), func(s []byte) bool { return bytes.Contains(content, s) })
	})
}

// credentialMarks returns what gives a private SSH key away: a line from its
// middle, and its secret bytes.
func credentialMarks(t *testing.T, file []byte) []string {
	t.Helper()
	key, err := ssh.ParseRawPrivateKey(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(file), "\n")
	marks := []string{lines[len(lines)/2], string(key.(*ed25519.PrivateKey).Seed())}
	if !stands(file, marks) {
		t.Fatal("the marks do not stand in the key itself")
	}
	return marks
}

func recipientOf(t *testing.T, text string) string {
	t.Helper()
	key, err := age.ParseHybridIdentity(text)
	if err != nil {
		t.Fatal(err)
	}
	return key.Recipient().String()
}
