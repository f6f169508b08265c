package manifest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"

	"strongroom/internal/safe"
	"strongroom/internal/spelling"
)

// A Root is where reading a snapshot begins: it lists the chunks of the
// manifest. Stored, it is compressed and sealed to its run.
type Root struct {
	Version int             `json:"v"`
	Store   safe.StoreID    `json:"store"`
	Run     safe.RunID      `json:"run"`
	Source  safe.SourceName `json:"source"`
	Entries int64           `json:"entries"`
	Bytes   int64           `json:"bytes"`
	// List says that the chunks do not hold the manifest but a longer list of
	// chunks (see AppendChunkList), which do.
	List bool `json:"list,omitempty"`

	Chunks []Chunk `json:"-"` // follow in lines of their own
}

const (
	rootVersion = 1

	// MaxRoot is the greatest size of a root before compression. A longer list
	// of chunks is stored in chunks itself.
	MaxRoot = 1 << 20
)

// Encode returns the lines of r: one object with everything but the chunks,
// then the list of chunks.
func (r Root) Encode() []byte {
	r.Version = rootVersion
	b, err := json.Marshal(r)
	if err != nil {
		panic(fmt.Sprintf("a root cannot be encoded: %v", err)) // no field can fail
	}
	return AppendChunkList(append(b, '\n'), r.Chunks)
}

// ParseRoot reads what Encode writes, strictly.
func ParseRoot(b []byte) (Root, error) {
	if len(b) > MaxRoot {
		return Root{}, fmt.Errorf("a root of more than %d bytes", MaxRoot)
	}
	head, list, _ := bytes.Cut(b, []byte("\n"))
	var r Root
	if err := spelling.Decode(head, &r); err != nil {
		return Root{}, fmt.Errorf("reading a root: %w", err)
	}
	if r.Version != rootVersion {
		return Root{}, fmt.Errorf("a root has version %d, this program knows version %d", r.Version, rootVersion)
	}
	for chunks := NewListReader(bytes.NewReader(list)); ; {
		c, err := chunks.Next()
		if err == io.EOF {
			break
		}
		if err != nil {
			return Root{}, fmt.Errorf("reading a root: %w", err)
		}
		r.Chunks = append(r.Chunks, c)
	}
	if !bytes.Equal(r.Encode(), b) {
		return Root{}, errors.New("a root is not in its canonical spelling")
	}
	return r, nil
}

// LimitRoot reads at most a root's size from src; more is an error.
func LimitRoot(src io.Reader) ([]byte, error) {
	b, err := io.ReadAll(io.LimitReader(src, MaxRoot+1))
	if err == nil && len(b) > MaxRoot {
		err = fmt.Errorf("a root of more than %d bytes", MaxRoot)
	}
	return b, err
}
