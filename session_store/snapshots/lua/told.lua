-- What is told of a snapshot, one of a list.
--
-- Effects   reads
--
-- KEYS[2]   the snapshot
--
-- Reply     snapshot.lua's `told`; nothing where there is none, or a key of another type, which is no error of the list

return call('TYPE', KEY).ok == 'hash' and told()
