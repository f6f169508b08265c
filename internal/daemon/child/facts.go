package child

import (
	"encoding/json"
	"fmt"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/formats"
	"strongroom/internal/safe"
	"strongroom/internal/source"
	"strongroom/internal/source/tap"
)

// maxFacts bounds in bytes what one collection may say of the estate. Its line
// has room for a result beside that.
const maxFacts = 24 << 20

// maxShown bounds in bytes the files that are held until all of them are there.
const maxShown = 32 << 20

// readersTake bounds in bytes what it may take to read them: twenty times what
// estates of thousands of machines take, and what a hostile file can ask for has
// no end.
const readersTake = 1 << 30

// An onlooker sees the files of a source that may hold facts, and reads them
// when all have passed.
type onlooker struct {
	place facts.Place
	api   facts.API // whose answers they are; "" if their paths tell what they are
	files []facts.File
	size  int
	full  bool
}

// watch returns the source with somebody who looks at it.
func (o *onlooker) watch(from source.Source) source.Source {
	most := int64(formats.MaxFile)
	if o.api != "" {
		most = maxShown
	}
	return tap.New(from, tap.Options{
		Wants: func(e safe.Entry) bool { return o.api != "" || formats.Wants(e.Path) },
		Most:  most,
		See:   o.see,
	})
}

func (o *onlooker) see(path string, content []byte) {
	if o.size+len(content) > maxShown || len(o.files) == formats.MaxFiles {
		o.full = true
		return
	}
	o.size += len(content)
	o.files = append(o.files, facts.File{Path: path, Data: content})
}

// facts returns what was found. What is too much becomes a doubt, so that
// nobody takes half of an estate for all of it.
func (o *onlooker) facts() estate.Facts {
	if len(o.files) == 0 {
		return estate.Facts{}
	}
	found, err := o.read()
	if err == nil {
		err = transferable(found)
	}
	if err != nil {
		return estate.Facts{Doubts: []string{facts.Quote(fmt.Sprintf("%s: %v", o.place.Source, err))}}
	}
	if o.full {
		found.Doubts = append(found.Doubts, fmt.Sprintf("%s has more files with facts than are looked at in one collection: %d bytes, %d files", o.place.Source, maxShown, formats.MaxFiles))
	}
	return found
}

func (o *onlooker) read() (estate.Facts, error) {
	if o.api != "" {
		return formats.ReadAPI(o.place, o.api, o.files)
	}
	return formats.Read(o.place, o.files)
}

// transferable reports why the facts cannot be told: a mistake of a reader must
// not cost the snapshot.
func transferable(f estate.Facts) error {
	b, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if len(b) > maxFacts {
		return facts.TooMuch("bytes of facts", maxFacts)
	}
	return json.Unmarshal(b, new(estate.Facts))
}
