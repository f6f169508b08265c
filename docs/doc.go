// Package docs has the documents that go onto a recovery stick. Its tests try
// what they promise, above all that a snapshot can be restored without this
// program.
package docs

import _ "embed"

// RestoreByHand is the guide for who has nothing but stock tools.
//
//go:embed restore-by-hand.md
var RestoreByHand string

// RestoreScript is the script that the guide tells of.
//
//go:embed restore-by-hand.sh
var RestoreScript string

// Format describes what is in a store.
//
//go:embed format.md
var Format string
