package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"strongroom/internal/fartest"
	"strongroom/internal/source/sftp/sshdtest"
)

// distance is how long every byte takes in each direction on the link to a
// distant host, which limits nothing else.
const distance = 20 * time.Millisecond

// strongroomSFTP is an ordinary safe with a source on another host.
var strongroomSFTP = contender{
	name: ours,
	note: "an ordinary safe at its defaults, with a source of kind sftp",
	files: map[string]string{"strongroom.yaml": `safe: bench
dir: $HOME/safe
store: $REPO
sources:
  data:
    kind: sftp
    host: $SSH_USER@$SSH_ADDR
    host_key: $SSH_HOST_KEY
    key: file:$SSH_KEY
    include: [ $SOURCE ]
`},
	prepare:  strongroom.prepare,
	lines:    map[operation]string{collect: strongroom.lines[collect]},
	restored: strongroom.restored,
	parity:   strongroom.parity,
	version:  strongroom.version,
}

// rsync keeps one copy, neither compressed nor sealed: how long it takes to have
// everything here is what it is measured by.
var rsync = contender{
	name:    "rsync",
	note:    "over OpenSSH's ssh with AES-GCM, its fastest cipher here; a plain copy, neither compressed nor sealed",
	lines:   map[operation]string{collect: "rsync -a -e $RSH $SSH_USER@127.0.0.1:$SOURCE/ $REPO/"},
	version: []string{"rsync", "--version"},
}

// kopiaMounted is kopia with the host's files mounted: it has no other way to
// pull.
func kopiaMounted() contender {
	c := kopia
	c.name = "kopia over sshfs"
	c.note = "the host's folder mounted with sshfs at its defaults, which is not measured; goes on where sshfs cannot read a symbolic link; otherwise as kopia"
	c.prepare = append(slices.Clone(c.prepare), "kopia policy set --global --ignore-file-errors=true --ignore-dir-errors=true")
	c.lines = map[operation]string{collect: "kopia snapshot create --no-auto-maintenance --no-progress $MOUNT/source"}
	return c
}

// whyNear explains what is missed, from profiles of both sides.
const whyNear = `rsync copies bytes; a collection also cuts, hashes, compresses and seals them, and does so on the same two processors that
here encrypt for both ends of the connection. Of its core seconds about seven are those of the local collection above, of which zstd is
two thirds; two and a half are SSH (copies and AES-GCM), and two more are the server's, which count for nobody. The local collection
alone takes as long as rsync. When nothing changed, a quarter of a second is the local work and the rest is what SSH takes to connect,
of which rsync's own time mostly consists as well.`

// overSFTP pulls the mixed tree from a host with OpenSSH's server, near and far.
// The server's core seconds count for nobody.
func overSFTP(short bool) []course {
	data := tree(short).data
	steps := func(first, firstAim, again, againAim float64) []step {
		return []step{
			{name: "first collection", do: collect, must: first, aim: firstAim},
			{name: "nothing changed", do: collect, must: again, aim: againAim},
		}
	}
	media := []string{tmpfs}
	if short {
		media = []string{disk}
	}
	away := fmt.Sprintf("over SFTP, %d ms away", distance.Milliseconds())
	courses := []course{
		{name: "sftp", title: "A mixed tree, over SFTP on loopback", contenders: []contender{strongroomSFTP, rsync}, runs: 5,
			steps: steps(1, 1.5, 2, 3), begin: beginSSH(0, false), remark: whyNear},
		{name: "sftp-far", title: "A mixed tree, " + away + ", against rsync", contenders: []contender{strongroomSFTP, rsync}, runs: 3,
			steps: steps(1, 1.5, 0, 0), begin: beginSSH(distance, false)},
		{name: "sftp-far-mounted", title: "A mixed tree, " + away + ", against a mount", contenders: []contender{strongroomSFTP, kopiaMounted()}, runs: 1,
			steps: steps(5, 0, 0, 0), begin: beginSSH(distance, true)},
	}
	for i := range courses {
		courses[i].data, courses[i].media = data, media
	}
	if short { // nobody waits for it to be far, and not everybody may mount
		courses = courses[:1]
	}
	return courses
}

// beginSSH returns what starts a server for whoever runs this, as far away as
// delay, and mounts what is there if wanted.
func beginSSH(delay time.Duration, mount bool) func(context.Context, *stage) (func() error, error) {
	return func(_ context.Context, s *stage) (_ func() error, err error) {
		var ends []func() error
		end := func() error {
			var errs []error
			for i := len(ends) - 1; i >= 0; i-- {
				errs = append(errs, ends[i]())
			}
			return errors.Join(errs...)
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, end())
			}
		}()
		keys := filepath.Join(s.dir, "ssh")
		if err := os.Mkdir(keys, 0o700); err != nil {
			return nil, err
		}
		// rsync runs its other half there; SFTP is read-only all the same.
		server, err := sshdtest.Start(keys, sshdtest.Options{ForceCommand: "none"})
		if err != nil {
			return nil, err
		}
		ends = append(ends, func() error { server.Stop(); return nil })
		addr := server.Addr
		if delay > 0 {
			link, err := fartest.NewLink(addr, delay)
			if err != nil {
				return nil, err
			}
			ends = append(ends, func() error { link.Close(); return nil })
			addr = link.Addr
		}
		_, port, _ := strings.Cut(addr, ":") // it is of IPv4
		config := filepath.Join(keys, "config")
		options := "Port " + port + "\nIdentityFile " + server.KeyFile + "\nCiphers aes128-gcm@openssh.com\n" +
			"IdentitiesOnly yes\nStrictHostKeyChecking no\nUserKnownHostsFile /dev/null\nLogLevel ERROR\n"
		if err := os.WriteFile(config, []byte(options), 0o600); err != nil {
			return nil, err
		}
		s.vars["SSH_USER"], s.vars["SSH_ADDR"], s.vars["SSH_KEY"], s.vars["SSH_HOST_KEY"] = server.User, addr, server.KeyFile, server.HostKey
		s.vars["RSH"] = "ssh -F " + config
		if mount {
			s.vars["MOUNT"] = filepath.Join(s.dir, "mount")
			if err := mountStage(s, config, server.User); err != nil {
				return nil, err
			}
			ends = append(ends, func() error { return command("fusermount3", "-u", "-z", s.vars["MOUNT"]) })
		}
		return end, nil
	}
}

// mountStage mounts the folder in which the source is going to be, read-only.
func mountStage(s *stage, config, user string) error {
	if err := os.Mkdir(s.vars["MOUNT"], 0o700); err != nil {
		return err
	}
	return command("sshfs", "-F", config, "-o", "ro", user+"@127.0.0.1:"+s.dir, s.vars["MOUNT"])
}

// command runs a program, which has nothing to say unless it fails.
func command(name string, args ...string) error {
	if out, err := exec.Command(name, args...).CombinedOutput(); err != nil {
		return fmt.Errorf("running %s: %w: %s", name, err, out)
	}
	return nil
}
