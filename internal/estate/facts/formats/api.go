package formats

import (
	"cmp"
	"fmt"
	"net/url"

	"strongroom/internal/estate"
	"strongroom/internal/estate/facts"
	"strongroom/internal/estate/facts/hubble"
	"strongroom/internal/estate/facts/jaeger"
	"strongroom/internal/estate/facts/kiali"
	"strongroom/internal/estate/facts/netbox"
)

// A Question is what an API is asked, and the name of the file with its answer.
type Question struct {
	URL  *url.URL
	Name string
}

// Questions returns what to ask an API at that address. Most are asked what the
// address says; that of NetBox is its front page, below which it has its lists.
func Questions(api facts.API, at *url.URL) []Question {
	switch api {
	case facts.NetBox:
		root, all := *at, []Question(nil)
		root.Path = cmp.Or(root.Path, "/")
		for _, list := range netbox.Lists() {
			u := root.JoinPath("api", list, "/")
			u.RawQuery = "limit=500" // a page; it gives 50 to who does not say
			all = append(all, Question{u, netbox.FileOf(list)})
		}
		return all
	case facts.Hubble:
		return []Question{{at, "hubble.jsonl"}}
	}
	return []Question{{at, string(api) + ".json"}}
}

// ReadAPI returns what the answers of an API say, all of them together.
func ReadAPI(p facts.Place, api facts.API, files []facts.File) (estate.Facts, error) {
	readers := map[facts.API]func(facts.Place, []byte) (estate.Facts, error){
		facts.Jaeger: jaeger.Read, facts.Kiali: kiali.Read, facts.Hubble: hubble.Read,
	}
	if api == facts.NetBox {
		return netbox.Read(p, files)
	}
	one, ok := readers[api]
	if !ok {
		return estate.Facts{}, fmt.Errorf("%.40q is no API that is known here", string(api))
	}
	var all facts.Draft
	for _, f := range files {
		found, err := one(p.At(f), f.Data)
		if err != nil {
			return estate.Facts{}, err
		}
		add(&all, found)
	}
	return all.Facts()
}
