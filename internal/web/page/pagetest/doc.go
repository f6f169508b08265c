// Package pagetest has a safe to look at: one made-up report for each page, the
// same at every run, for tests of pages and for pictures of them. Nothing in it
// was computed: hashes and signatures verify nothing.
package pagetest
