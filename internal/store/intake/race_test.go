//go:build race

package intake_test

// The race detector makes everything ten times as slow; what it looks for it
// finds in fewer rounds.
func init() { underRace = true }
