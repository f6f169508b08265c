package ui

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
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
		answer, err := t.readLine(ctx, t.readByBytes)
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

// AskLine asks a person for a line, which is shown as it is typed. Where there
// is no person it is a UsageError, as with Ask.
func (t *Terminal) AskLine(ctx context.Context, question, otherwise string) (string, error) {
	if t.opts.JSON || !t.in.person || t.err.columns == nil {
		return "", &UsageError{Problem: fmt.Sprintf("there is no terminal to ask: %s", question), Remedy: otherwise}
	}
	t.prompt(Clean(question) + " ")
	answer, err := t.readLine(ctx, t.readByBytes)
	if err != nil {
		return "", fmt.Errorf("asking %q: %w", question, err)
	}
	return strings.TrimSuffix(answer, "\r"), nil
}

// AskSecret asks a person for a line that is not shown as it is typed, such as
// a passphrase. Where there is no person it is a UsageError, as with Ask.
func (t *Terminal) AskSecret(ctx context.Context, question, otherwise string) (string, error) {
	f, ok := t.in.Reader.(*os.File)
	if t.opts.JSON || !t.in.person || t.err.columns == nil || !ok {
		return "", &UsageError{Problem: fmt.Sprintf("there is no terminal to ask: %s", question), Remedy: otherwise}
	}
	before, err := term.GetState(int(f.Fd()))
	if err != nil {
		return "", fmt.Errorf("asking %q: %w", question, err)
	}
	t.prompt(Clean(question) + " ")
	answer, err := t.readLine(ctx, func() (string, error) {
		b, err := term.ReadPassword(int(f.Fd()))
		return string(b), err
	})
	if ctx.Err() != nil {
		term.Restore(int(f.Fd()), before) // else the shell would not show what is typed next
	}
	t.remark("\n") // the end of the line was not shown either
	if err != nil {
		return "", fmt.Errorf("asking %q: %w", question, err)
	}
	return answer, nil
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

// readLine waits for what read returns. A read from a terminal cannot be
// interrupted: when ctx is cancelled its goroutine remains until the program
// ends, which is what cancelling means here.
func (t *Terminal) readLine(ctx context.Context, read func() (string, error)) (string, error) {
	type result struct {
		line string
		err  error
	}
	done := make(chan result, 1) // room, so that an answer that nobody awaits ends the goroutine
	go func() {
		line, err := read()
		done <- result{line, err}
	}()
	select {
	case r := <-done:
		return r.line, r.err
	case <-ctx.Done():
		return "", context.Cause(ctx)
	}
}

// readByBytes reads up to the next end of line, and nothing beyond it.
func (t *Terminal) readByBytes() (string, error) {
	var line []byte
	one := make([]byte, 1)
	for len(line) < maxAnswer {
		if _, err := io.ReadFull(t.in, one); err != nil {
			return "", err
		}
		if one[0] == '\n' {
			break
		}
		line = append(line, one[0])
	}
	return string(line), nil
}
