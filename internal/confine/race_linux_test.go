//go:build race

package confine

func init() { underRace = true }
