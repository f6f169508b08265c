package mail

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strings"
)

// The lines around what a person keeps for later.
const (
	checkpointBegin = "-----BEGIN STRONGROOM CHECKPOINT-----"
	checkpointEnd   = "-----END STRONGROOM CHECKPOINT-----"
	proofBegin      = "-----BEGIN STRONGROOM CONSISTENCY PROOF-----"
	proofEnd        = "-----END STRONGROOM CONSISTENCY PROOF-----"
)

// maxMail bounds a mail that is read: ours have about 30 KiB, and mail servers
// add headers.
const maxMail = 4 << 20

// ErrNoCheckpoint says that there is no checkpoint of a mail in what was read.
var ErrNoCheckpoint = errors.New("there is no checkpoint in this mail")

// Checkpoint returns the checkpoint of a mail that Compose made: of the mail as
// a mail program saves it, or of its text. Whether it is signed is not looked
// at. It is ErrNoCheckpoint if there is none.
func Checkpoint(saved []byte) ([]byte, error) { return find(saved, checkpointBegin, checkpointEnd) }

// ConsistencyProof returns the consistency proof of a mail as Checkpoint
// returns its checkpoint.
func ConsistencyProof(saved []byte) ([]byte, error) { return find(saved, proofBegin, proofEnd) }

func find(saved []byte, begin, end string) ([]byte, error) {
	if len(saved) > maxMail {
		return nil, fmt.Errorf("a mail of %d bytes, at most %d are possible", len(saved), maxMail)
	}
	if m, err := mail.ReadMessage(bytes.NewReader(saved)); err == nil {
		if b := findPart(m.Header.Get, m.Body, begin, end, 0); b != nil {
			return b, nil
		}
	}
	if b := between(saved, begin, end); b != nil {
		return b, nil
	}
	return nil, ErrNoCheckpoint
}

// maxDepth bounds the parts within parts: ours has three levels, and a mail
// that was forwarded some more.
const maxDepth = 8

// findPart looks through the plain texts of a mail for the block.
func findPart(header func(string) string, body io.Reader, begin, end string, depth int) []byte {
	if depth > maxDepth {
		return nil
	}
	kind, params, err := mime.ParseMediaType(header("Content-Type"))
	if err != nil {
		return nil
	}
	switch {
	case strings.HasPrefix(kind, "multipart/"):
		for parts := multipart.NewReader(body, params["boundary"]); ; {
			// Raw: findPart itself undoes the encoding of all parts.
			part, err := parts.NextRawPart()
			if err != nil {
				return nil
			}
			if b := findPart(part.Header.Get, part, begin, end, depth+1); b != nil {
				return b
			}
		}
	case kind == "text/plain":
		switch strings.ToLower(header("Content-Transfer-Encoding")) {
		case "quoted-printable":
			body = quotedprintable.NewReader(body)
		case "base64":
			body = base64.NewDecoder(base64.StdEncoding, body)
		}
		b, err := io.ReadAll(body)
		if err != nil {
			return nil
		}
		return between(b, begin, end)
	default:
		return nil
	}
}

// between returns the lines between two lines, with the line breaks that they
// had when they were signed; nil if there are none.
func between(b []byte, begin, end string) []byte {
	b = bytes.ReplaceAll(b, []byte("\r\n"), []byte("\n"))
	_, rest, ok := bytes.Cut(b, []byte(begin+"\n"))
	if !ok {
		return nil
	}
	inner, _, ok := bytes.Cut(rest, []byte(end))
	if !ok || len(inner) == 0 {
		return nil
	}
	return inner
}
