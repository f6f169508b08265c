// Package gate is the door of one opening: an SSH server that offers SFTP and
// nothing else, to one key, one user name and one source address, until one
// moment. What it shows is decided before it listens and never changes:
//
//	/README, /snapshots/<run>.json,       small files, served from memory
//	/runs/<run>/inner.age, /ledger/...,
//	/roster/<n>.json
//	/runs/<run>/packs/<digest>            objects of the store, those in scope
//	/runs/<run>/parity/<digest>           and no other, not even by name
//	/runs/<run>/root/<digest>[.2]
//	/inbox/<name>.json                    the one place to write to
//
// Names are those of the store (package layout), so who can read a store can
// read through the gate. Files can be read, looked at and listed; what is put
// into the inbox is listed, never read back, never replaced. Nothing a client
// sends is used as a path: it is compared with the names that were granted. What
// else SFTP and SSH know is refused, and reported.
//
// The address is compared before the handshake, here and not by the SSH
// library, whose own check of it has failed before. The end is kept twice, by
// the clock and by the time that has passed, whichever says it first, so that
// a clock that is set back prolongs nothing. At the end connections are reset,
// whatever is in flight.
//
// A Server parses what a network sends, so it belongs into a process of its
// own, which a crash ends and which has nothing but this opening in reach.
//
// It does not promise that what it sends is sound: who reads verifies each
// object by its digest. It does not hide from who may log in which objects a
// snapshot is made of. Within the scope it does not limit how much is read. And
// if a disk hangs in a read, Serve waits for it: who runs it must be ready to
// end the process.
package gate
