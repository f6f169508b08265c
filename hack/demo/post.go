package main

import (
	"bytes"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"strongroom/internal/daemon/mail/smtptest"
)

// A letter is a mail as its reader sees it.
type letter struct {
	to, subject, file string
	text, html        string
}

func read(m smtptest.Mail) (letter, error) {
	parsed, err := mail.ReadMessage(bytes.NewReader(m.Bytes))
	if err != nil {
		return letter{}, fmt.Errorf("reading the mail %s: %w", m.File, err)
	}
	l := letter{to: m.To, file: m.File}
	if l.subject, err = new(mime.WordDecoder).DecodeHeader(parsed.Header.Get("Subject")); err != nil {
		return l, err
	}
	_, params, err := mime.ParseMediaType(parsed.Header.Get("Content-Type"))
	if err != nil {
		return l, err
	}
	return l, l.open(parsed.Body, params["boundary"])
}

// open reads the parts of a mail that are for people, also nested ones.
func (l *letter) open(body io.Reader, boundary string) error {
	parts := multipart.NewReader(body, boundary)
	for {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading the mail %s: %w", l.file, err)
		}
		kind, params, err := mime.ParseMediaType(part.Header.Get("Content-Type"))
		if err != nil {
			return err
		}
		var in io.Reader = part
		if part.Header.Get("Content-Transfer-Encoding") == "quoted-printable" {
			in = quotedprintable.NewReader(part)
		}
		if strings.HasPrefix(kind, "multipart/") {
			if err := l.open(in, params["boundary"]); err != nil {
				return err
			}
			continue
		}
		content, err := io.ReadAll(in)
		if err != nil {
			return err
		}
		text := strings.ReplaceAll(string(content), "\r\n", "\n")
		switch {
		case part.FileName() != "":
		case kind == "text/plain":
			l.text = text
		case kind == "text/html":
			l.html = text
		}
	}
}

// letters returns the mails to somebody that were taken until now, oldest
// first.
func (d *demo) letters(to string) (all []letter, err error) {
	for _, m := range d.post.Mails() {
		if m.To != to {
			continue
		}
		l, err := read(m)
		if err != nil {
			return nil, err
		}
		all = append(all, l)
	}
	return all, nil
}

// await waits for a mail to somebody with that in its subject, behind the
// first mails that are named by their number, and returns the newest.
func (d *demo) await(to, subject string, behind int) (found letter, err error) {
	err = d.wait(fmt.Sprintf("a mail to %s arrives: %q", to, subject), func() (bool, error) {
		all, err := d.letters(to)
		if err != nil {
			return false, err
		}
		for _, l := range all[min(behind, len(all)):] {
			if strings.Contains(l.subject, subject) {
				found = l
			}
		}
		return found.file != "", nil
	})
	return found, err
}

// subjects shows what has arrived for somebody, behind the first mails.
func (d *demo) subjects(to string, behind int) error {
	all, err := d.letters(to)
	if err != nil {
		return err
	}
	for _, l := range all[min(behind, len(all)):] {
		d.item("%s  %s", strings.SplitN(filepath.Base(l.file), "-", 2)[0], l.subject)
	}
	return nil
}

// arrived counts the mails to somebody until now.
func (d *demo) arrived(to string) int {
	n := 0
	for _, m := range d.post.Mails() {
		if m.To == to {
			n++
		}
	}
	return n
}

// show shows what a letter has to say, up to what to do about it.
func (d *demo) show(l letter) {
	d.say("%s reads %s:", l.to, filepath.Join("mails", filepath.Base(l.file)))
	d.item("Subject: %s", l.subject)
	text := l.text
	for _, end := range []string{"WHAT TO DO", "CHECK IT YOURSELF"} {
		text, _, _ = strings.Cut(text, end)
	}
	blank := true
	for line := range strings.Lines(strings.TrimSpace(text)) {
		line = strings.TrimSpace(line)
		if line != "" || !blank {
			d.item("| %s", line)
		}
		blank = line == ""
	}
}

// render leaves a letter for a browser.
func render(l letter) (file string, err error) {
	if !strings.Contains(l.html, "<html") {
		return "", fmt.Errorf("%s has no page for a browser", l.file)
	}
	file = strings.TrimSuffix(l.file, ".eml") + ".html"
	return file, os.WriteFile(file, []byte(l.html), 0o644)
}

// everybody is who gets the mails.
func (d *demo) everybody() []string {
	return slices.Sorted(slices.Values([]string{d.kim.mail(), d.otto.mail(), auditor}))
}
