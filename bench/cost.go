package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// A cost is what one run of a program took.
type cost struct {
	Wall  time.Duration // including then, see measure
	Cores time.Duration // user and system time of the process and of all its children
	Peak  int64         // greatest resident size of any one of its processes, in bytes
	Sum   int64         // greatest resident size of all its processes together, in bytes
}

// measure runs cmd to its end, then what has to happen before its work counts
// as done: nothing, or syncing a filesystem.
//
// Core seconds are those of all processes that were waited for, which no
// contender fails to do. Peak is what the kernel has recorded, and never less
// than what this program itself needs, from which the other was started. Sum is
// sampled, so what is held for less than a few samples can be missed; of mapped
// files, such as the program itself, only the process counts that has most.
func measure(cmd *exec.Cmd, then func() error) (cost, error) {
	begin := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	stop := make(chan struct{})
	sum := make(chan int64)
	go func() { sum <- sample(cmd.Process.Pid, stop) }()
	err := cmd.Wait()
	if err == nil {
		err = then()
	}
	wall := time.Since(begin)
	close(stop)
	c := cost{Wall: wall, Sum: <-sum}
	if err != nil {
		return cost{}, err
	}
	usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
	c.Cores = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	c.Peak = usage.Maxrss << 10
	c.Sum = max(c.Sum, c.Peak)
	return c, nil
}

// between is the time from one sample to the next: 20 ms cost less than one
// per cent of a core, and see whatever is held for longer than that.
const between = 20 * time.Millisecond

// sample returns the greatest resident size of a process and its descendants
// that it saw until stop is closed.
func sample(root int, stop <-chan struct{}) int64 {
	tick := time.NewTicker(between)
	defer tick.Stop()
	ours := map[int]bool{root: true} // whether a process that was seen descends from root
	var greatest int64
	for {
		select {
		case <-stop:
			return greatest
		case <-tick.C:
		}
		dir, err := os.Open("/proc")
		if err != nil {
			continue // without it there is nothing to see
		}
		names, err := dir.Readdirnames(-1)
		dir.Close()
		if err != nil {
			continue
		}
		var private, mapped int64
		for _, name := range names {
			pid, err := strconv.Atoi(name)
			if err != nil {
				continue
			}
			descends, seen := ours[pid]
			if !seen {
				descends = ours[parent(name)]
				ours[pid] = descends
			}
			if descends {
				p, m := resident(name)
				private += p
				mapped = max(mapped, m)
			}
		}
		greatest = max(greatest, private+mapped)
	}
}

// parent returns the parent of a process, or 0 if there is no such process.
func parent(pid string) int {
	stat, err := os.ReadFile(filepath.Join("/proc", pid, "stat"))
	if err != nil {
		return 0
	}
	// The second field is the name in parentheses, which may hold anything.
	fields := strings.Fields(string(stat[bytes.LastIndexByte(stat, ')')+1:]))
	if len(fields) < 2 {
		return 0
	}
	ppid, err := strconv.Atoi(fields[1])
	if err != nil {
		return 0
	}
	return ppid
}

// resident returns how much memory of a process is resident, in bytes: its own,
// and that of files.
func resident(pid string) (private, mapped int64) {
	statm, err := os.ReadFile(filepath.Join("/proc", pid, "statm"))
	if err != nil {
		return 0, 0 // it has ended
	}
	var size, all, shared int64
	if _, err := fmt.Sscan(string(statm), &size, &all, &shared); err != nil {
		return 0, 0
	}
	page := int64(os.Getpagesize())
	return (all - shared) * page, shared * page
}

// program makes the command of a line, which is split at spaces, with each word
// expanded by get afterwards. What it writes goes to a file, so that a long
// list costs a contender no more than writing it.
func program(ctx context.Context, line string, get func(string) string, env []string, dir string, output *os.File) (*exec.Cmd, error) {
	words := strings.Fields(line)
	for i, word := range words {
		words[i] = os.Expand(word, get)
	}
	cmd := exec.CommandContext(ctx, words[0], words[1:]...)
	if cmd.Err != nil {
		return nil, cmd.Err
	}
	cmd.Cancel = func() error { return cmd.Process.Signal(syscall.SIGTERM) }
	cmd.WaitDelay = 10 * time.Second
	cmd.Env, cmd.Dir = env, dir
	cmd.Stdout, cmd.Stderr = output, output
	return cmd, nil
}

// failed adds the end of what a program wrote to its error.
func failed(line string, output *os.File, err error) error {
	const most = 2 << 10
	info, statErr := output.Stat()
	if statErr != nil {
		return fmt.Errorf("running %s: %w", line, err)
	}
	tail := make([]byte, min(most, info.Size()))
	n, _ := output.ReadAt(tail, info.Size()-int64(len(tail))) // what cannot be read is not shown
	return fmt.Errorf("running %s: %w\n%s", line, err, tail[:n])
}
