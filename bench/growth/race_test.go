//go:build race

package main

// The race detector makes everything ten times as slow, and there is next to
// nothing for it to find in a simulation.
func init() { underRace = true }
