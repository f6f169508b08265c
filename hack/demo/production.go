package main

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"strongroom/internal/source/sftp/sshdtest"
)

// The sources of the demonstration.
const (
	erp     = "erp"     // a folder of ours, in which people work
	files   = "files"   // real files of this machine, only read
	payroll = "payroll" // a small folder, which nobody needs to look at
)

// What nobody but the two people together may learn of: a file's name and a
// word in it.
const (
	secretName = "project-nightjar"
	secretWord = "Halcyon"
	secretText = "Project Nightjar: we buy " + secretWord + " Mills, at 41.70 a share. Not a word to anyone.\n"
)

// A production is a host with files and an SSH server.
type production struct {
	server  *sshdtest.Server
	folder  string              // of the ERP's files
	sources map[string][]string // folders, by source
}

// stop ends the server. A production that was never started is stopped, too.
func (p *production) stop() {
	if p != nil && p.server != nil {
		p.server.Stop()
	}
}

// inventory takes the inventory of every source.
func (p *production) inventory() (map[string]inventory, error) {
	all := make(map[string]inventory)
	for source, folders := range p.sources {
		inv, err := take("", folders)
		if err != nil {
			return nil, err
		}
		all[source] = inv
	}
	return all, nil
}

// realFiles returns folders with real files of this machine.
func realFiles() ([]string, error) {
	root, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("asking Go where it lives: %w", err)
	}
	var folders []string
	for _, folder := range []string{filepath.Join(strings.TrimSpace(string(root)), "src"), "/usr/share/doc", "/usr/include"} {
		real, err := filepath.EvalSymlinks(folder)
		if err != nil {
			continue // not every machine has each
		}
		folders = append(folders, real)
	}
	return folders, nil
}

// An author writes files of the past. Its first error is kept in err, and
// nothing is written after it.
type author struct {
	folder string
	random *rand.ChaCha8
	err    error
	past   time.Time // when the next file was written
}

func newAuthor(folder string) *author {
	return &author{folder: folder, random: rand.NewChaCha8([32]byte{}), past: time.Now().AddDate(-2, 0, 0)}
}

func (a *author) write(name string, mode os.FileMode, content []byte) {
	path := filepath.Join(a.folder, name)
	a.do(func() error { return os.MkdirAll(filepath.Dir(path), 0o755) })
	a.do(func() error { return os.WriteFile(path, content, 0o600) })
	a.do(func() error { return os.Chmod(path, mode) })
	a.past = a.past.Add(7*time.Hour + 11*time.Minute)
	a.do(func() error { return os.Chtimes(path, time.Time{}, a.past) })
}

func (a *author) do(f func() error) {
	if a.err == nil {
		a.err = f()
	}
}

// scan is content that cannot be made smaller, such as a scanned page.
func (a *author) scan(n int) []byte {
	b := make([]byte, n)
	a.random.Read(b) // never fails
	return b
}

// rows are n lines of a table of orders.
func (a *author) rows(n int) []byte {
	r := rand.New(a.random)
	var b []byte
	for range n {
		b = fmt.Appendf(b, "%07d;customer %04d;article %05d;%3d pieces;%8.2f EUR\n", r.IntN(1e7), r.IntN(5000), r.IntN(40000), r.IntN(200), r.Float64()*10000)
	}
	return b
}

// orders is the file of which little changes.
const orders = "orders.csv"

// furnish makes the folder of the ERP.
func furnish(folder string) error {
	a := newAuthor(folder)
	a.write(orders, 0o640, a.rows(200_000))
	a.write("board/"+secretName+".txt", 0o600, []byte(secretText))
	for i := range 40 {
		a.write(fmt.Sprintf("contracts/supplier-%03d.txt", i+1), 0o640, fmt.Appendf(nil, "Contract with supplier %d.\n\n%s", i+1, a.rows(30)))
	}
	for i := range 12 {
		a.write(fmt.Sprintf("uploads/scan %02d.pdf", i+1), 0o444, a.scan(150_000+i*37_111))
	}
	a.write("contracts/Müller & Söhne (signed).txt", 0o440, a.rows(50))
	a.write("bin/nightly", 0o750, []byte("#!/bin/sh\nexit 0\n"))
	a.write("compose.yaml", 0o644, []byte(compose))
	a.write("empty.log", 0o644, nil)
	a.do(func() error { return os.Mkdir(filepath.Join(folder, "archive"), 0o750) })
	a.do(func() error { return os.Symlink("contracts", filepath.Join(folder, "current")) })
	if os.Geteuid() == 0 {
		// Others own files, too.
		a.do(func() error { return os.Chown(filepath.Join(folder, orders), 33, 33) })
	}
	return a.err
}

// furnishPayroll makes the folder of the payroll.
func furnishPayroll(folder string) error {
	a := newAuthor(folder)
	for month := range 6 {
		a.write(fmt.Sprintf("2026-%02d.csv", month+1), 0o600, a.rows(200))
	}
	a.write("contracts/board.txt", 0o400, []byte("Not for everybody.\n"))
	return a.err
}

// A day's work, each as difference.path and what one sees of it.
const (
	newFile  = "contracts/framework-agreement.txt"
	lostFile = "contracts/supplier-007.txt"
	shutFile = "uploads/scan 03.pdf"
)

// work does to the folder of the ERP what people do in a day.
func work(folder string) error {
	path := func(name string) string { return filepath.Join(folder, name) }
	table, err := os.OpenFile(path(orders), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer table.Close() // an error of writing is seen at once, or in what is collected
	info, err := table.Stat()
	if err != nil {
		return err
	}
	a := newAuthor(folder)
	if _, err := table.WriteAt([]byte("#corrected#"), info.Size()/2); err != nil {
		return err
	}
	if _, err := table.WriteAt(a.rows(200), info.Size()); err != nil {
		return err
	}
	a.write(newFile, 0o640, []byte("Framework agreement.\n"))
	a.do(func() error { return os.Remove(path(lostFile)) })
	a.do(func() error { return os.Chmod(path(shutFile), 0o400) })
	return a.err
}
