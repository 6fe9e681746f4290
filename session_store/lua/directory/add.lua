-- Has a directory name a member, and tell when it was there last.
--
-- Effects   writes
--
-- KEYS[1]   <directory>:created   sorted set: member -> milliseconds since the epoch at which it came
-- KEYS[2]   <directory>:active    sorted set: member -> the same of when it was added last, but for the latest ARGV[3]
-- ARGV[1]   the member
-- ARGV[2]   how long it lives from now on, in milliseconds: both keys outlive it
-- ARGV[3]   milliseconds in which it is not told anew that it is active
--
-- Reply     1, or 0 where it was named already

local call = redis.call
local time = call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local is_new = call('ZADD', KEYS[1], 'NX', now, ARGV[1])
local active = call('ZSCORE', KEYS[2], ARGV[1])
if is_new == 1 or not active or now - active >= tonumber(ARGV[3]) then call('ZADD', KEYS[2], now, ARGV[1]) end
for _, key in ipairs(KEYS) do
  if call('PTTL', key) < tonumber(ARGV[2]) then call('PEXPIRE', key, ARGV[2] + 60000) end
end
return is_new
