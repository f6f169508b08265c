package sshsig

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"
)

const (
	begin = "-----BEGIN SSH SIGNATURE-----\n"
	end   = "-----END SSH SIGNATURE-----\n"
	// lineLength is how long OpenSSH makes the lines between them.
	lineLength = 70
)

// Armored returns the signature as a file for ssh-keygen, byte for byte as
// ssh-keygen -Y sign writes it. In a store it is without armor; whoever checks
// it there puts the armor on with a line of shell.
func (s Signature) Armored() []byte {
	var b bytes.Buffer
	b.WriteString(begin)
	for line := range slices.Chunk([]byte(s.String()), lineLength) {
		b.Write(line)
		b.WriteByte('\n')
	}
	b.WriteString(end)
	return b.Bytes()
}

// ParseArmored reads what Armored writes, and nothing else.
func ParseArmored(b []byte) (Signature, error) {
	text, begins := strings.CutPrefix(string(b), begin)
	text, ends := strings.CutSuffix(text, end)
	if !begins || !ends {
		return Signature{}, fmt.Errorf("not an SSH signature: want %q, base64 and %q", begin, end)
	}
	s, err := decode(text)
	if err == nil && !bytes.Equal(s.Armored(), b) {
		err = errors.New("not as ssh-keygen writes it")
	}
	if err != nil {
		return Signature{}, err
	}
	return s, nil
}
