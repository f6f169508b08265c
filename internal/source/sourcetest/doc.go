// Package sourcetest checks that a kind of source that pulls files keeps what
// source.Source promises. It builds trees that are as nasty as a filesystem
// allows, lets the kind pull them, and compares with what the filesystem says.
//
// The suite itself needs Linux.
package sourcetest
