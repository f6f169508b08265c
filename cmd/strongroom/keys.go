package main

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"github.com/spf13/cobra"

	"strongroom/internal/store/seal"
	"strongroom/internal/ui"
)

func (a *app) keysCommand() *cobra.Command {
	return group(&cobra.Command{Use: "keys COMMAND", Short: "Make and keep the keys of the people who read together"},
		a.newRoleCommand(), a.keysPaperCommand(), a.keysCheckCommand(), a.newPeriodCommand(), a.keysPassphraseCommand(), a.keysRestoreCommand())
}

func (a *app) newRoleCommand() *cobra.Command {
	var out string
	cmd := &cobra.Command{
		Use:   "new-role outer|inner",
		Short: "Make the role key of the keykeepers or of the operators",
		Long: `Make a role key: outer is that of the keykeepers, who release, inner that of the
operators, who restore. Run it on the machine of the person who will hold the
key, not on the safe. The file is an ordinary age identity; it is not protected
by a passphrase, so encrypt the disk it is on or keep it on paper. Its public
half, in the file that ends in .pub, goes to the safe.

Both keys are needed to read anything. Nothing can be read without them, and
nobody can make them again: keep copies in places that do not burn together.`,
		Example: `  strongroom keys new-role outer
  strongroom keys new-role inner --output /media/stick/inner.key`,
		Args: args(1, 1, "outer or inner"),
		RunE: func(_ *cobra.Command, given []string) error {
			var public string
			var write func(io.Writer) error
			switch given[0] {
			case "outer":
				key, err := seal.NewOuterIdentity()
				if err != nil {
					return err
				}
				public = key.Recipient().String()
				write = func(w io.Writer) error { return key.Write(w, a.now()) }
			case "inner":
				key, err := seal.NewInnerIdentity()
				if err != nil {
					return err
				}
				public = key.Recipient().String()
				write = func(w io.Writer) error { return key.Write(w, a.now()) }
			default:
				return &ui.UsageError{Problem: fmt.Sprintf("there is no role %q", given[0]), Remedy: "It is outer (keykeepers) or inner (operators)."}
			}
			if out == "" {
				out = given[0] + ".key"
			}
			return a.writeRoleKey(given[0], out, public, write)
		},
	}
	cmd.Flags().StringVarP(&out, "output", "o", "", "`file` to write (default outer.key or inner.key)")
	return cmd
}

// writeRoleKey writes the private half to a new file and the public half
// beside it. A key that is there already may be the only one that reads a
// store, so nothing is ever written over.
func (a *app) writeRoleKey(role, file, public string, write func(io.Writer) error) error {
	writePublic := func(w io.Writer) error {
		_, err := fmt.Fprintf(w, "%s, public half\n%s\n", publicComment(role), public)
		return err
	}
	err := writeNew(file+".pub", 0o444, writePublic)
	if err == nil {
		if err = writeNew(file, 0o400, write); err != nil {
			os.Remove(file + ".pub") // it is ours, and of no key
		}
	}
	if errors.Is(err, os.ErrExist) {
		return refusedError{ui.WithRemedy(fmt.Errorf("a key is not written over another: %w", err), "Name another file: --output FILE")}
	}
	if err != nil {
		return err
	}
	a.talk().Printf("The %s role key is in %s: keep it off the safe, and a copy on paper.\nIts public half is in %s.pub; the safe needs that.", role, file, file)
	a.talk().Emit("role_key", map[string]string{"role": role, "file": file, "public": public})
	return nil
}

func writeNew(file string, mode os.FileMode, write func(io.Writer) error) error {
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, mode)
	if err != nil {
		return err
	}
	return errors.Join(write(f), f.Sync(), f.Close())
}

// publicComment begins a file with the public half of a role key. Keys that are
// exchanged when a safe is made are noticed by it; otherwise they would be when
// the first snapshot is needed.
func publicComment(role string) string { return "# strongroom " + role + " key" }

// publicLine finds a public key in a file: alone on a line, or in the comment
// of a key file.
func publicLine(b []byte) (string, error) {
	for word := range strings.FieldsSeq(string(b)) {
		if strings.HasPrefix(word, "age1pq1") {
			return word, nil
		}
	}
	return "", errors.New("there is no public key in it, which begins with age1pq1")
}

func readKey[K any](file string, read func(io.Reader) (K, error)) (K, error) {
	f, err := os.Open(file)
	if err != nil {
		var none K
		return none, err
	}
	defer f.Close() // nothing was written
	key, err := read(f)
	if err != nil {
		err = fmt.Errorf("%s: %w", file, err)
		if strings.HasSuffix(file, ".pub") {
			err = ui.WithRemedy(err, "This seems to be the public half; reading takes the private one.")
		}
	}
	return key, err
}
