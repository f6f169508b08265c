package seal

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"filippo.io/age"
	"filippo.io/age/armor"
)

// ErrPassphrase means that a passphrase is not the one that a file was locked
// with, or that the file's header is damaged; the two cannot be told apart.
var ErrPassphrase = errors.New("the passphrase is wrong, or the file is damaged")

// MinPassphrase is how many characters a new passphrase has at least. Who
// copies a locked file can try passphrases for as long as they like, each for
// about a second and 256 MiB: eight letters that somebody made up would not
// last, and four words from a list of some thousands, which have at least 12,
// would.
const MinPassphrase = 12

const (
	// lockWork is the base-2 logarithm of scrypt's work factor, as age has
	// it: a second and 256 MiB.
	lockWork = 18
	// maxLockWork is the most that is worked for: four seconds and 1 GiB.
	// age's own bound of 22 would take 4 GiB, more than some laptops have.
	maxLockWork = 20
)

// maxLocked bounds a locked key file. Ours have about 3 kB.
const maxLocked = 64 << 10

// CheckPassphrase says in words for people why s is not taken as a new
// passphrase. Blanks at its ends are a part of it and do not count.
func CheckPassphrase(s string) error {
	switch n := utf8.RuneCountInString(strings.TrimSpace(s)); {
	case n == 0:
		return errors.New("there is no passphrase")
	case n < MinPassphrase:
		return fmt.Errorf("the passphrase is too short: it has %d characters and needs %d; four words that nobody expects together will do", n, MinPassphrase)
	case !utf8.ValidString(s) || strings.ContainsFunc(s, unicode.IsControl):
		return errors.New("the passphrase has a character that cannot be typed, such as a line break or a tabulator")
	}
	return nil
}

// WriteLocked writes the private key as an armored age file that opens with
// passphrase; within is the key file that Write writes. The program age opens
// it too, and then asks for the passphrase. CheckPassphrase says which are
// taken.
func (i PersonalIdentity) WriteLocked(w io.Writer, passphrase string, made time.Time) error {
	return i.writeLocked(w, passphrase, made, lockWork)
}

func (i PersonalIdentity) writeLocked(w io.Writer, passphrase string, made time.Time, work int) error {
	if err := CheckPassphrase(passphrase); err != nil {
		return err
	}
	lock, err := age.NewScryptRecipient(passphrase)
	if err != nil {
		return fmt.Errorf("locking the personal key: %w", err)
	}
	lock.SetWorkFactor(work)
	armored := armor.NewWriter(w)
	sealed, err := age.Encrypt(armored, lock)
	if err != nil {
		return fmt.Errorf("locking the personal key: %w", err)
	}
	if err := i.Write(sealed, made); err != nil {
		return fmt.Errorf("writing the locked personal key: %w", err)
	}
	if err := sealed.Close(); err != nil {
		return fmt.Errorf("writing the locked personal key: %w", err)
	}
	if err := armored.Close(); err != nil {
		return fmt.Errorf("writing the locked personal key: %w", err)
	}
	return nil
}

// OpenLocked reads what WriteLocked writes, and no file that asks for more
// than four times its work. The error is ErrPassphrase if the passphrase does
// not fit.
func OpenLocked(r io.Reader, passphrase string) (PersonalIdentity, error) {
	b, err := io.ReadAll(io.LimitReader(r, maxLocked+1))
	if err != nil {
		return PersonalIdentity{}, fmt.Errorf("reading the locked personal key: %w", err)
	}
	i, err := parseLocked(b, passphrase, maxLockWork)
	if err != nil {
		return PersonalIdentity{}, fmt.Errorf("opening the locked personal key: %w", err)
	}
	return PersonalIdentity{i}, nil
}

// errNotLocked stands for what the decoder says in detail, which can repeat a
// line of the file: it might be a private key that was never locked.
var errNotLocked = errors.New("it is not a key file that was locked with a passphrase, or it is damaged")

func parseLocked(b []byte, passphrase string, maxWork int) (identity, error) {
	if len(b) > maxLocked {
		return identity{}, fmt.Errorf("more than %d bytes are not a locked key file", maxLocked)
	}
	sealed, err := io.ReadAll(armor.NewReader(bytes.NewReader(b)))
	if err != nil || !bytes.HasPrefix(sealed, []byte(ageIntro)) {
		return identity{}, errNotLocked
	}
	lock, err := age.NewScryptIdentity(passphrase)
	if err != nil {
		return identity{}, ErrPassphrase // there is none, and none was ever taken for a lock
	}
	lock.SetMaxWorkFactor(maxWork)
	plain, err := age.Decrypt(bytes.NewReader(sealed), lock)
	if miss, ok := errors.AsType[*age.NoIdentityMatchError](err); ok {
		if len(miss.StanzaTypes) == 1 && miss.StanzaTypes[0] == "scrypt" {
			return identity{}, ErrPassphrase
		}
		return identity{}, errNotLocked
	}
	if err != nil {
		return identity{}, err
	}
	file, err := io.ReadAll(plain)
	if err != nil {
		return identity{}, err
	}
	return parseKeyFile(file, personalRole)
}
