//go:build race

package main

// The clocked program is this test binary, in which trying a passphrase would
// take ten times as long.
func init() { raceDetector = true }
