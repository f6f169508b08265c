//go:build race

package profile_test

func init() { raceDetector = true }
