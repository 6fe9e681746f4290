-- The name of a key as the server sees it, behind a client that renames keys.
return KEYS[1]
