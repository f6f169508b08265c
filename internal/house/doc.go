// Package house holds no program: its tests state the rules of this
// repository's code, above all which package may import which and why. The
// table of rooms is rooms_test.go; who adds a package or an import adds the
// line that says what for.
package house
