-- Version 2: who of the recipients of mails was told how much of the ledger.
-- The ledger is the queue; this is all that is known beside it. Whoever loses
-- it loses no event: every recipient begins anew, at the ledger's end.

CREATE TABLE mail_cursor (
  recipient TEXT PRIMARY KEY,   -- address
  next      INTEGER NOT NULL,   -- number of the first entry not told of
  mailed    INTEGER NOT NULL,   -- size of the checkpoint last mailed; 0 if none was
  refused   INTEGER NOT NULL    -- how often in a row the server would not have the next mail
) STRICT;
