-- Has a channel produced, or consumed, by one and no other for some time.
--
-- Effects   writes
--
-- KEYS[2]   the channel
-- ARGV[3..5] as ringing.lua has them
-- ARGV[6]   'p' or 'c': which of the two
-- ARGV[7]   by whom
-- ARGV[8]   for how long, in milliseconds
-- ARGV[9]   '1': also where another one has it, which is told
-- ARGV[10]  for how many milliseconds the list of those that are consumed need not be told of this one
--
-- Reply     'done:<epoch>.<last number>:<1, the list is to be told>', 'ended', 'held'

local reply = enter()
if reply then return reply end
begun()
if ended and ARGV[6] == 'p' then return leave('ended', {}) end
local ends, listed = unpack(call('HMGET', KEY, ARGV[6] .. 'u', 'lt'))
if ends and tonumber(ends) > NOW_MS and ARGV[9] ~= '1' then return leave('held', {}) end
local now = written(NOW_MS + tonumber(ARGV[8]))
call('HSET', KEY, ARGV[6], ARGV[7], ARGV[6] .. 'u', now)
if ARGV[6] == 'p' then producer, produced_until = ARGV[7], tonumber(now) end
local tell = ARGV[6] == 'c' and NOW_MS - tonumber(listed or 0) >= tonumber(ARGV[10])
if tell then call('HSET', KEY, 'lt', written(NOW_MS)) end
local answer = 'done:' .. epoch .. '.' .. written(last) .. ':' .. (tell and 1 or 0)
return ring(answer, ARGV[6] == 'c' and 'c ' .. ARGV[7] or 's ')
