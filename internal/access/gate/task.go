package gate

import (
	"errors"
	"fmt"
	"net/netip"
	"path"
	"regexp"
	"strings"
	"time"

	"golang.org/x/crypto/ssh"

	"strongroom/internal/safe"
	"strongroom/internal/store/blob"
)

// A Task is what one opening grants, and to whom.
type Task struct {
	Listen  netip.AddrPort `json:"listen"`   // port 0 takes any that is free
	Peer    netip.Addr     `json:"peer"`     // the one address that may connect
	User    string         `json:"user"`     // the one user name
	Key     string         `json:"key"`      // the one key, as "ssh-ed25519 AAAA..."; also sk-ssh-ed25519@openssh.com
	HostKey []byte         `json:"host_key"` // ed25519, private, as in a file of OpenSSH
	Until   time.Time      `json:"until"`
	Files   []File         `json:"files"`
	Scope   []Scope        `json:"scope"`
}

// A File is served from memory. Its name is one of a store, but neither that
// of an object in a run's folders nor one in the inbox.
type File struct {
	Name    string `json:"name"`
	Content []byte `json:"content"`
}

// A Scope is what may be read of one run's objects.
type Scope struct {
	Run   safe.RunID    `json:"run"`
	Packs []safe.Digest `json:"packs"` // with their parity
	Roots []safe.Digest `json:"roots"` // with their second copies
}

// userForm keeps names to what every client can be told.
var userForm = regexp.MustCompile(`^[a-z0-9][a-z0-9._-]{0,63}$`)

// keyTypes are the types of key that a person may have.
var keyTypes = map[string]bool{ssh.KeyAlgoED25519: true, ssh.KeyAlgoSKED25519: true}

// a grant is a Task that was checked.
type grant struct {
	peer    netip.Addr
	user    string
	key     []byte // in the wire's encoding
	hostKey ssh.Signer
	until   time.Time // without a monotonic reading: the clock counts
	tree    *tree
}

func (t Task) check() (grant, error) {
	fail := func(format string, args ...any) (grant, error) { return grant{}, fmt.Errorf(format, args...) }
	switch {
	case !t.Listen.IsValid():
		return fail("there is no address to listen on")
	case !t.Peer.IsValid(), t.Peer.IsUnspecified():
		return fail("there is no address that may connect")
	case !userForm.MatchString(t.User):
		return fail("user name %.80q: want lower-case letters, digits, dots, underscores and hyphens, at most 64", t.User)
	case t.Until.IsZero():
		return fail("there is no end")
	}
	key, err := parseKey(t.Key)
	if err != nil {
		return fail("reading the operator's key: %w", err)
	}
	hostKey, err := ssh.ParsePrivateKey(t.HostKey)
	if err != nil {
		return fail("the host key cannot be read") // err might quote it
	}
	if got := hostKey.PublicKey().Type(); got != ssh.KeyAlgoED25519 {
		return fail("the host key is of type %s, want %s", got, ssh.KeyAlgoED25519)
	}
	tree, err := newTree(t.Files, t.Scope)
	if err != nil {
		return grant{}, err
	}
	return grant{peer: t.Peer.Unmap(), user: t.User, key: key, hostKey: hostKey, until: t.Until.Round(0), tree: tree}, nil
}

// parseKey reads one public key and returns its encoding on the wire.
func parseKey(line string) ([]byte, error) {
	key, _, options, rest, err := ssh.ParseAuthorizedKey([]byte(line))
	switch {
	case err != nil:
		return nil, err
	case len(options) > 0 || len(rest) > 0:
		return nil, errors.New("more than a key")
	case !keyTypes[key.Type()]:
		return nil, fmt.Errorf("a key of type %s, want %s or %s", key.Type(), ssh.KeyAlgoED25519, ssh.KeyAlgoSKED25519)
	}
	return key.Marshal(), nil
}

// checkFile refuses names that no store would have, and those of the inbox.
func checkFile(name string) error {
	if err := blob.CheckName(name); err != nil {
		return err
	}
	if first, _, _ := strings.Cut(name, "/"); first == path.Base(inboxPath) {
		return fmt.Errorf("file %q lies in the inbox", name)
	}
	return nil
}
