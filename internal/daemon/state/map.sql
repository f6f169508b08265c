-- Version 8: how the map was, of each day on which it changed. The facts that it
-- was drawn of are those of the newest collections only.

CREATE TABLE map (
  day   INTEGER PRIMARY KEY,     -- since 1970, in UTC
  taken INTEGER NOT NULL,        -- when the map became so, in seconds since then
  bytes BLOB NOT NULL            -- estate.Map as it encodes itself, in gzip
) STRICT;
