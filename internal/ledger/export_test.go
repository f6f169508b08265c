package ledger

import (
	"maps"
	"slices"
)

// Kinds returns the closed list of kinds.
func Kinds() []Kind { return slices.Sorted(maps.Keys(kinds)) }

// FrontierHead returns the head of a log as a replay computes it.
func FrontierHead(entries [][]byte) Head {
	var f frontier
	for _, entry := range entries {
		f.add(entry)
	}
	return f.head()
}
