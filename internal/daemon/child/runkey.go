package child

import (
	"bufio"
	"fmt"
	"io"

	"strongroom/internal/confine"
	"strongroom/internal/store/seal"
)

// RunKey makes the key of a run, seals it to both role keys, and tells
// envelope and recipient. The key itself goes with the process: that is why
// it is one of its own, which can neither be dumped nor reach anything.
func RunKey(stdin io.Reader, stdout io.Writer) error {
	if err := confine.NoDump(); err != nil {
		return err
	}
	// Memory may stay swappable where its locking is not permitted: the safe's
	// unit forbids swap altogether (MemorySwapMax=0), and doctor looks for it.
	_ = confine.NoSwap()
	var task KeyTask
	if err := readTask(bufio.NewReader(stdin), &task); err != nil {
		return err
	}
	// Nothing of the confinement matters to the key's secrecy from this host
	// as much as the exit, so an old kernel is no reason to refuse.
	if _, err := confine.Apply(confine.Rules{AllowWithoutLandlock: true}); err != nil {
		return fmt.Errorf("confining the maker of run keys: %w", err)
	}
	envelope, recipient, err := seal.NewEnvelope(task.Label, task.Outer, task.Inner)
	if err != nil {
		return err
	}
	return WriteTask(stdout, KeyAnswer{Envelope: envelope, Recipient: recipient})
}
