// Package mail tells people what the ledger records, one mail for each thing
// that they must know.
//
// The ledger is the queue. For each recipient the state keeps a cursor, the
// number of the first entry that they were not told of; Mailer walks the
// entries from there, Compose makes a mail of those that deserve one, Sender
// hands it to the mail server, and then the cursor moves on. A server that
// cannot be reached leaves the cursor where it is. A crash between the
// server's answer and the commit of the cursor sends one mail twice, with the
// same Message-ID, and none never.
//
// Every mail carries the newest checkpoint of the ledger, and the proof that it
// goes on from the one that this person was sent last. So whoever keeps their
// mails can tell whether anything that they were told of was changed since.
//
// What stands in an entry may have been said by a host that somebody broke
// into. It is shown as text on one line, and quoted where it is not the safe's
// own; no mail has a link, a picture or anything that a mail program fetches or
// runs. The package does not promise that a mail is read, nor that it is
// secret: who can read mails learns when collections ran and how large they
// were, and what people do.
package mail
