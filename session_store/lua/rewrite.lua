-- Writes to an index again what it holds, so that a WAIT behind this call waits for what was written before it.
--
-- Effects   writes
--
-- KEYS[1]   the index
-- ARGV[1]   a field
-- ARGV[2]   a text that the field must hold; '': any
--
-- Reply     1, or 0 where the field does not say that the write was done: it was lost

local value, left = redis.call('HGET', KEYS[1], ARGV[1]), redis.call('PTTL', KEYS[1])
if not value or left <= 0 or not string.find(value, ARGV[2], 1, true) then return 0 end
redis.call('PEXPIRE', KEYS[1], left)
return 1
