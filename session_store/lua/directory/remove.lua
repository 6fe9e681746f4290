-- Takes members out of a directory.
--
-- Effects   writes
--
-- KEYS[1], KEYS[2]   as add.lua has them
-- ARGV[1]   '', or milliseconds since the epoch: only those that have not been added since
-- ARGV[2..] members
--
-- Reply     how many were there

local removed = 0
for at = 2, #ARGV do
  local active = redis.call('ZSCORE', KEYS[2], ARGV[at])
  if ARGV[1] == '' or not active or tonumber(active) < tonumber(ARGV[1]) then
    removed = removed + redis.call('ZREM', KEYS[1], ARGV[at])
    redis.call('ZREM', KEYS[2], ARGV[at])
  end
end
return removed
