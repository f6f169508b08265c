-- Version 7: what of the sources tells of the estate. The next collection of
-- each gives it again; when something was seen first, and what was seen but
-- rarely, is lost with it.

CREATE TABLE fact (
  source TEXT PRIMARY KEY,
  bytes  BLOB NOT NULL          -- estate.Facts in JSON
) STRICT;
