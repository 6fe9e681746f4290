-- Reads a watched slot that was too large to be sent along, and says whether it is what it was.
--
-- Effects   reads
--
-- KEYS[2]   the slot
-- ARGV[1]   its mark
-- ARGV[2]   its content mark, '' where it is not known
-- ARGV[3..] the read command, and its arguments behind the key
--
-- Reply     {1 or 0, mark, reply to the command}

local now = mark(KEYS[2])
local same = is_as_before(KEYS[2], now, ARGV[1], ARGV[2])
return {same and 1 or 0, now, call(ARGV[3], KEYS[2], unpack(ARGV, 4))}
