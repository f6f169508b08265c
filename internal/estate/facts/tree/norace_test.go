//go:build !race

package tree

func raceEnabled() bool { return false }
