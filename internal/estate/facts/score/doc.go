// Package score holds no program: its test reads real files whose dependencies
// are known, and counts how many of these the readers of facts find (recall) and
// how many of what they find is right (precision). `make facts` prints the
// table.
//
// A new reader adds a row to score_test.go, and where EXPECTED-EDGES.tsv does not
// speak of its file, the known dependencies to MORE-EDGES.tsv. It does not
// promise that a reader does as well elsewhere: it is a floor, and the files are
// few.
package score
