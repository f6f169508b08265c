package coverage

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"strongroom/internal/estate"
)

// A Miss is something that people are told of an application: once when it comes
// up, and once when it is gone.
type Miss struct {
	Kind    string // such as "coverage.missing"
	Subject string // the application, and the component if it is about one: "erp: host/db1"
	// Terms are what is missed. Who was told of some is not told of fewer, and is
	// told again of others; so they have nothing in them that changes by itself,
	// as an age does. There are none if the whole is one thing: then Text alone
	// says it, and may differ each night.
	Terms []string
	Text  string
}

// Kinds of misses. Those of service levels are levelKind and the promise.
const (
	KindMissing  = "coverage.missing"  // of a component
	KindStale    = "coverage.stale"    // of a component
	KindUnproven = "coverage.unproven" // of an application
	KindMore     = "coverage.more"     // of an application: more is missed than is told one by one
	levelKind    = "levels."
)

// KindOf returns the kind of the miss of a service level.
func KindOf(p Promise) string { return levelKind + string(p) }

// IsMiss reports whether findings of that kind are about coverage or service
// levels.
func IsMiss(kind string) bool {
	return strings.HasPrefix(kind, "coverage.") || strings.HasPrefix(kind, levelKind)
}

// SubjectOf returns what a miss is about: an application, and a component if
// that is not "".
func SubjectOf(application string, component estate.ID) string {
	if component == "" {
		return application
	}
	return application + separator + string(component)
}

// About returns the application and the component that a miss is about. A name
// cannot have a space in it.
func About(subject string) (application string, component estate.ID) {
	application, rest, _ := strings.Cut(subject, separator)
	return application, estate.ID(rest)
}

const separator = ": "

// Misses returns what people are told of an application: one of each component
// of which something is missing or stale, one for all that is unproven, and one
// of each level that is broken. Those of components that people speak of come
// first, then those that were only discovered.
func Misses(r Report) []Miss {
	app := r.Application.Name()
	var components []Miss
	unproven := false
	of := make(map[string]int) // where it is, by kind and subject
	said := make(map[string]bool)
	for _, item := range r.Items {
		if item.State == Unproven {
			unproven = true
		}
		kind, ok := map[State]string{Missing: KindMissing, Stale: KindStale}[item.State]
		if !ok {
			continue
		}
		subject := SubjectOf(app, item.Component)
		i, ok := of[kind+" "+subject]
		if !ok {
			i = len(components)
			of[kind+" "+subject] = i
			components = append(components, Miss{Kind: kind, Subject: subject})
		}
		components[i].Terms = append(components[i].Terms, termOf(item))
		said[subject] = said[subject] || item.Matter != ""
	}
	for i := range components {
		components[i].Text = strings.Join(components[i].Terms, "; ")
	}
	slices.SortStableFunc(components, func(a, b Miss) int {
		if said[a.Subject] != said[b.Subject] {
			if said[a.Subject] {
				return -1
			}
			return 1
		}
		return cmp.Compare(a.Subject, b.Subject)
	})
	all := components
	if unproven {
		all = append(all, Miss{Kind: KindUnproven, Subject: app,
			Text: "nobody knows whether all of it would come back: no scrub has read some of it, or nobody has restored it and found it to be right"})
	}
	for _, l := range r.Levels {
		if l.Verdict == Broken {
			all = append(all, Miss{Kind: KindOf(l.Promise), Subject: app, Text: l.Why})
		}
	}
	return all
}

// termOf says what is missed of an item.
func termOf(item Item) string {
	why := item.Why
	if item.State == Stale {
		why = fmt.Sprintf("the newest snapshot of %s is older than was promised", item.Source)
	}
	if item.Matter == "" {
		return why
	}
	return string(item.Matter) + ": " + why
}

// NotNeeded is what Gone says of a component that an application does not need.
func NotNeeded(r Report) string { return r.Application.Name() + " does not need it any more" }

// Gone says why a miss of an application is none any more.
func Gone(r Report, kind, subject string) string {
	_, component := About(subject)
	switch kind {
	case KindMissing, KindStale:
		i := slices.IndexFunc(r.Items, func(item Item) bool { return item.Component == component })
		if i < 0 {
			return NotNeeded(r)
		}
		switch r.Items[i].State { // its worst: the items are in that order
		case Missing:
			return "what was kept of it is gone"
		case Stale:
			return "something of it is kept, and older than was promised"
		case Waived:
			return "somebody has waived it"
		}
		return "it is kept"
	case KindUnproven:
		return "nothing of it is kept unproven any more"
	case KindMore:
		return "the others are told one by one, or are kept"
	}
	for _, l := range r.Levels {
		if KindOf(l.Promise) == kind {
			return l.Why
		}
	}
	return "it is not promised any more"
}
