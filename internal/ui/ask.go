package ui

import (
	"context"
	"fmt"
	"io"
	"strings"
)

// Ask asks a person for yes or no; nothing is no. Where there is no person,
// that is without a terminal or in JSON mode, it is a UsageError whose remedy
// is otherwise, such as "Add --yes to go on without being asked." It must not
// be called while a Progress is under way, which would draw over the question.
func (t *Terminal) Ask(ctx context.Context, question, otherwise string) (bool, error) {
	if t.opts.JSON || !t.in.person || t.err.columns == nil {
		return false, &UsageError{Problem: fmt.Sprintf("there is no terminal to ask: %s", question), Remedy: otherwise}
	}
	for range 3 {
		t.prompt(Clean(question) + " [yes/no] ")
		answer, err := t.readLine(ctx)
		if err != nil {
			return false, fmt.Errorf("asking %q: %w", question, err)
		}
		switch strings.ToLower(strings.TrimSpace(answer)) {
		case "yes", "y":
			return true, nil
		case "no", "n", "":
			return false, nil
		}
	}
	return false, &UsageError{Problem: fmt.Sprintf("no answer to: %s", question), Remedy: "Answer yes or no."}
}

// prompt writes what an answer follows on the same line.
func (t *Terminal) prompt(s string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.live.eraseLocked()
	io.WriteString(t.err, t.err.style(bold, s, t.opts)) // without it there will be no answer either
}

// maxAnswer bounds what is read for an answer.
const maxAnswer = 1000

// readLine reads up to the next end of line, and nothing beyond it. A read
// from a terminal cannot be interrupted: when ctx is cancelled its goroutine
// remains until the program ends, which is what cancelling means here.
func (t *Terminal) readLine(ctx context.Context) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1) // room, so that an answer that nobody awaits ends the goroutine
	go func() {
		var line []byte
		one := make([]byte, 1)
		for len(line) < maxAnswer {
			if _, err := io.ReadFull(t.in, one); err != nil {
				done <- result{"", err}
				return
			}
			if one[0] == '\n' {
				break
			}
			line = append(line, one[0])
		}
		done <- result{string(line), nil}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}
