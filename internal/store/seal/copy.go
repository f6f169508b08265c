package seal

import (
	"bytes"
	"fmt"
	"time"
)

// MaxCopy bounds a copy of a role key. Real ones have about 4 kB.
const MaxCopy = 16 << 10

// SealTo returns a copy of the key for one of the people who hold it: an age
// file whose content is the key file that Write writes, so that with the
// person's own key, age makes of the copy a file for its flag -i. Anybody who
// knows a person's public key can seal something to it, so a copy does not say
// who made it; see OpenOuterCopy.
func (i OuterIdentity) SealTo(person PersonalRecipient, made time.Time) ([]byte, error) {
	return i.sealTo(person, outerRole, made)
}

// SealTo returns a copy of the key for one of the people who hold it; see
// OuterIdentity.SealTo.
func (i InnerIdentity) SealTo(person PersonalRecipient, made time.Time) ([]byte, error) {
	return i.sealTo(person, innerRole, made)
}

// OpenOuterCopy opens a person's copy of a role key. A copy that holds any key
// but the private half of want is refused, so that nobody who can replace
// copies can have people use a key of theirs. The error is ErrWrongKey if the
// copy is sealed to another person.
func OpenOuterCopy(person PersonalIdentity, copy []byte, want OuterRecipient) (OuterIdentity, error) {
	i, err := person.openCopy(copy, outerRole, want.recipient)
	return OuterIdentity{i}, err
}

// OpenInnerCopy opens a person's copy of a role key; see OpenOuterCopy.
func OpenInnerCopy(person PersonalIdentity, copy []byte, want InnerRecipient) (InnerIdentity, error) {
	i, err := person.openCopy(copy, innerRole, want.recipient)
	return InnerIdentity{i}, err
}

func (i identity) sealTo(person PersonalRecipient, role role, made time.Time) ([]byte, error) {
	var file bytes.Buffer
	if err := i.writeKeyFile(&file, role, made); err != nil {
		return nil, fmt.Errorf("writing the %s key: %w", role, err)
	}
	copy, err := person.sealBytes(file.Bytes())
	if err != nil {
		return nil, fmt.Errorf("sealing the %s key to a person: %w", role, err)
	}
	return copy, nil
}

func (i PersonalIdentity) openCopy(copy []byte, role role, want recipient) (identity, error) {
	file, err := i.openBytes(copy, MaxCopy)
	if err != nil {
		return identity{}, fmt.Errorf("opening a copy of the %s key: %w", role, err)
	}
	key, err := parseKeyFile(file, role)
	if err != nil {
		return identity{}, fmt.Errorf("reading a copy of the %s key: %w", role, err)
	}
	if key.public() != want {
		return identity{}, fmt.Errorf("opening a copy of the %s key: it holds another key than the private half of %.24s... which was asked for", role, want)
	}
	return key, nil
}
