-- The name of a key as the server sees it, behind a client that renames keys.
--
-- Effects   reads
return KEYS[1]
