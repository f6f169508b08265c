// Package sourcetest checks that a kind of source keeps what source.Source
// promises. For kinds that pull files, Run builds trees that are as nasty as a
// filesystem allows, lets the kind pull them, and compares with what the
// filesystem says. RunStream is for kinds with one entry of type stream.
//
// The suite itself needs Linux.
package sourcetest
