-- Puts an item at the front of a trail, and takes off what is too many at its end.
--
-- Effects   once
--
-- KEYS[2]   the trail: a list
-- ARGV[3]   TTL in milliseconds
-- ARGV[4]   how many items it may have
-- ARGV[5]   the item                                       and the answer: how many it has now

local reply = enter()
if reply then return reply end
local kind = call('TYPE', KEYS[2]).ok
if kind ~= 'none' and kind ~= 'list' then return refuse(WRONG_TYPE) end
call('LPUSH', KEYS[2], ARGV[5])
call('LTRIM', KEYS[2], 0, ARGV[4] - 1)
local ttl = ttl_of(KEYS[2], tonumber(ARGV[3]))
call('PEXPIRE', KEYS[2], ttl)
return leave(call('LLEN', KEYS[2]), {[2] = ends_after(ttl, NOW)}, ttl)
