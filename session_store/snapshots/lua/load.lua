-- A snapshot.
--
-- Effects   reads
--
-- KEYS[2]   the snapshot
-- ARGV[1]   what has more bytes is not sent along; '': all is
--
-- Reply     snapshot.lua's `told`, and what was saved where that is sent along; nothing where there is no snapshot

local found = told()
if not found then return false end
if ARGV[1] == '' or found[3] <= tonumber(ARGV[1]) then found[#found + 1] = call('HGET', KEY, 'b') end
return found
