// Package ledger is the tamper-evident record of what happened in a safe: an
// append-only list of entries whose Merkle tree is signed again after every
// entry. Whoever keeps one signed head, a checkpoint, from an old mail can tell
// later whether anything that it covers was altered, removed, inserted or
// reordered.
//
// # Model
//
//	entry 0   entry 1   entry 2   ...   entry n-1      canonical JSON, one line each
//	     \     /             \           /
//	      node                 ...                     RFC 6962 hashes, as golang.org/x/mod/sumdb/tlog keeps them
//	          \               /
//	               root of size n  ->  checkpoint      "strongroom/<store id>", n, root: a note signed with Ed25519
//
// Entries are numbered from 0; a log of size n holds entries 0 to n-1. The
// entry n is stored as ledger/entries/<n>, the checkpoint of the first n
// entries as ledger/checkpoints/<n>.
//
// Everything here is computation: entries and hashes come from the caller and
// go back to the caller, who keeps them in one transaction with the state that
// they record. Nothing here does I/O, has a clock or decides who may write.
// Values may be used concurrently.
//
// # What is not promised
//
//   - Entries after the newest checkpoint that somebody else holds can be
//     rewritten by whoever holds the ledger's key. That is why checkpoints
//     leave the safe with every mail.
//   - An entry says what the safe claims, not what is true.
//   - Times are those that the writer gave; they may go backwards.
//   - Nothing is confidential: entries and checkpoints are readable by anyone
//     who has the store. No secret, no name from inside a source and no
//     content ever belongs into an entry.
package ledger
