// Package confine takes away from the current process what its job does not
// need, by Landlock: files, programs, TCP ports, signals to others. What is
// taken is gone for good, for all threads and for all that they start.
//
// It is for the safe's own child processes, which parse what production sends:
// whoever takes over a collector shall neither read nor overwrite what is in
// the store. The supervisor opens, makes and connects what a child needs
// beforehand, as far as possible: descriptors that are open when Apply is
// called keep working, also those of folders (to sync, and sadly to list) and
// of listening sockets.
//
// It does not promise to stop these, which Landlock does not govern:
//
//   - UDP, and so DNS; sockets of the file system, such as a container
//     engine's: the unit's IPAddressDeny and the files' modes do
//   - Multipath TCP, which passes by the TCP rules, also to servers that do
//     not speak it, unless the sysctl net.mptcp.enabled is 0. Go listens with
//     it by default, and dials with it when asked; our own dialers and
//     listeners call SetMultipathTCP(false)
//   - chmod, chown, utime, stat, and whether a name exists
//   - writing to an object through the descriptor that made it, until that is
//     closed: an object's digest tells
//   - running a program from memory (memfd_create), which gains nothing over
//     the code that does so
package confine

import (
	"fmt"
	"path/filepath"
	"slices"
)

// Rules are what a process may still do. The zero value allows nothing but to
// compute, and to use what is open. All paths must exist; symbolic links are
// followed once, now.
//
// What is granted adds up along a path. Apply refuses Rules by which a folder
// of Create or Stage lies beneath one whose rights it must not have.
type Rules struct {
	// Read lists folders beneath which files may be read and folders listed.
	Read []string
	// ReadFile lists single files that may be read.
	ReadFile []string
	// Create lists folders beneath which a file may be given a name, if that
	// name is free: one made in Stage, by linkat with /proc/self/fd, or a new
	// one, which can only stay empty. Nothing there can be opened, listed,
	// overwritten, renamed or removed, and no folder made.
	Create []string
	// Stage lists folders in which files without a name (O_TMPFILE) may be
	// made, written and read back. They cannot be truncated by their maker,
	// and nothing in these folders can have a name.
	Stage []string
	// Work lists folders beneath which files and folders may be made, read,
	// written, renamed and removed; no links, pipes or sockets made.
	Work []string
	// Connect lists the TCP ports that may be connected to. None may be
	// listened on.
	Connect []uint16
	// AllowWithoutLandlock lets Apply succeed where it can do nothing. What
	// could not be had then stands in the Report.
	AllowWithoutLandlock bool
}

// A Report says what came into force.
type Report struct {
	// ABI is the version of Landlock whose restrictions are in force, from 2
	// to 6, or 0 if there are none. What is newer than 6 is not used, so that
	// a newer kernel does not take away what a child was tested with.
	ABI int
	// Notes say what is open that would not be on a newer or otherwise
	// configured kernel, each in a sentence for people.
	Notes []string
}

// checkApart refuses folders beneath others that would add rights to them.
func (r Rules) checkApart() error {
	for _, rule := range []struct{ folders, more []string }{
		{r.Create, slices.Concat(r.Read, r.Work, r.Stage)},
		{r.Stage, slices.Concat(r.Read, r.Work)},
	} {
		for _, folder := range rule.folders {
			for _, more := range rule.more {
				beneath, err := isBeneath(folder, more)
				if err != nil {
					return err
				}
				if beneath {
					return fmt.Errorf("%s lies in %s, where more is allowed than shall be there", folder, more)
				}
			}
		}
	}
	return nil
}

func isBeneath(inner, outer string) (bool, error) {
	inner, err := resolve(inner)
	if err != nil {
		return false, err
	}
	outer, err = resolve(outer)
	if err != nil {
		return false, err
	}
	way, err := filepath.Rel(outer, inner)
	return err == nil && filepath.IsLocal(way), nil
}

func resolve(path string) (string, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return "", err
	}
	return filepath.EvalSymlinks(path)
}
