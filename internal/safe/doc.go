// Package safe holds the words that every other package speaks: the
// identities of stores, runs and objects, what a snapshot says of itself, what
// an entry of a source is, and how long things are kept.
//
// It does no I/O, has no clock and knows no other package of this program.
package safe
