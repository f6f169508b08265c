-- Version 4: what is looked for in the ledger is found without reading all of
-- it. Entries are in one spelling, so a field has one place.

CREATE INDEX entry_kind ON entry (CAST(bytes AS TEXT) ->> '$.kind');
CREATE UNIQUE INDEX entry_kept ON entry (CAST(bytes AS TEXT) ->> '$.what.run') WHERE CAST(bytes AS TEXT) ->> '$.kind' = 'snapshot.kept';
