package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// childWord is the argument that makes this program do one task, and tell what
// it cost, in a process that did nothing before: the peak of its memory is then
// that of the task.
const childWord = "child"

// A task is what a child does. Exactly one field is set.
type task struct {
	Collect *collecting `json:",omitempty"`
	Read    *reading    `json:",omitempty"`
}

// An answer is what a child tells.
type answer struct {
	Failed  string // why it did not work; the rest is then empty
	Cost    cost
	Collect *collected `json:",omitempty"`
	Read    *read      `json:",omitempty"`
}

// A cost is what something took.
type cost struct {
	Wall  float64 // seconds
	Cores float64 // seconds of processors, of program and kernel
	Peak  int64   // bytes of memory that the process held at most
}

// inChild has a child do a task. What else it says goes to stderr.
func inChild(ctx context.Context, t task, stderr io.Writer) (answer, error) {
	program, err := os.Executable()
	if err != nil {
		return answer{}, err
	}
	in, err := json.Marshal(t)
	if err != nil {
		return answer{}, err
	}
	cmd := exec.CommandContext(ctx, program, childWord)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), stderr
	out, err := cmd.Output()
	if err != nil {
		return answer{}, fmt.Errorf("measuring in a child: %w", err)
	}
	var a answer
	if err := json.Unmarshal(out, &a); err != nil {
		return answer{}, fmt.Errorf("reading what a child measured: %w", err)
	}
	if a.Failed != "" {
		return answer{}, errors.New(a.Failed)
	}
	return a, nil
}

// child does the task that it reads, and writes the answer.
func child(ctx context.Context, stdin io.Reader, stdout io.Writer) error {
	var t task
	if err := json.NewDecoder(stdin).Decode(&t); err != nil {
		return fmt.Errorf("reading the task: %w", err)
	}
	var a answer
	began := time.Now()
	err := perform(ctx, t, &a)
	if err == nil {
		a.Cost.Wall = time.Since(began).Seconds()
		a.Cost.Cores = cores()
		a.Cost.Peak, err = memoryOf("VmHWM")
	}
	if err != nil {
		a = answer{Failed: err.Error()}
	}
	return json.NewEncoder(stdout).Encode(a)
}

func perform(ctx context.Context, t task, a *answer) (err error) {
	switch {
	case t.Collect != nil:
		a.Collect, err = t.Collect.do(ctx)
	case t.Read != nil:
		a.Read, err = t.Read.do(ctx)
	default:
		err = errors.New("the task says nothing")
	}
	return err
}

// cores returns how many seconds of processors this process has used.
func cores() float64 {
	var used syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &used); err != nil {
		panic(fmt.Sprintf("asking what this process has used: %v", err)) // only with wrong arguments
	}
	return time.Duration(used.Utime.Nano() + used.Stime.Nano()).Seconds()
}

// memoryOf returns a line of what the kernel says of this process's memory:
// VmHWM is the most that it held, VmRSS what it holds.
func memoryOf(line string) (int64, error) {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0, err
	}
	for text := range strings.Lines(string(status)) {
		if value, ok := strings.CutPrefix(text, line+":"); ok {
			kB, err := strconv.ParseInt(strings.TrimSpace(strings.TrimSuffix(strings.TrimSpace(value), "kB")), 10, 64)
			return kB << 10, err
		}
	}
	return 0, fmt.Errorf("the kernel does not tell %s", line)
}
