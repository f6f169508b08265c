// Package crashtest ends the real program where it hurts, and looks whether
// what it had promised is still there. It has tests only:
//
//	kill_test.go      SIGKILL at every step of a collection
//	power_test.go     a loss of power, on a file system of its own
//	together_test.go  several processes, signals, collections that broke off
//	trouble_test.go   a full or read-only disk, a state from another time
//
// The order of writing that these tests defend is at (*daemon.Safe).Collect.
// A loss of power needs root and loop devices; without them those tests are
// skipped, except in CI.
package crashtest
