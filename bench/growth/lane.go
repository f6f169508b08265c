package main

import (
	"maps"
	"slices"
)

// laneRules say which chunks go into packs together.
var laneRules = map[string]func(how) int{
	"one": nil,
	// What is new is apart from what is stored again, which has proved to last.
	"apart": func(h how) int {
		if h.again {
			return 1
		}
		return 0
	},
	// Beside that, what replaces something of the last five weeks is apart: it
	// will not last either.
	"lifetime": func(h how) int {
		switch {
		case h.again:
			return 1
		case h.age > 0 && h.age <= 35:
			return 2
		}
		return 0
	},
}

func laneNames() []string { return slices.Sorted(maps.Keys(laneRules)) }
