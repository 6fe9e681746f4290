-- Goes on producing or consuming a channel, or leaves it.
--
-- Effects   writes
--
-- KEYS[2]   the channel
-- ARGV[3..5] as ringing.lua has them; ARGV[5] is ''
-- ARGV[6]   'p' or 'c'
-- ARGV[7]   who
-- ARGV[8]   for how long, in milliseconds; 0: not any more; -1: not any more, and as one that was lost
-- ARGV[10]  for how many milliseconds the list of those that are consumed need not be told of this one
--
-- Reply     'done:<1, the list is to be told>', 'lost'

local reply = enter()
if reply then return reply end
if not begun() then return leave('lost', {}) end
local who, ends, listed = unpack(call('HMGET', KEY, ARGV[6], ARGV[6] .. 'u', 'lt'))
if who ~= ARGV[7] or tonumber(ends) <= NOW_MS then return leave('lost', {}) end
local lease, tell = tonumber(ARGV[8]), false
if lease == 0 then
  call('HDEL', KEY, ARGV[6], ARGV[6] .. 'u')
  if ARGV[6] == 'p' then producer = false end
else
  ends = NOW_MS + lease
  call('HSET', KEY, ARGV[6] .. 'u', written(ends))
  if ARGV[6] == 'p' then produced_until = ends end
  tell = ARGV[6] == 'c' and lease > 0 and NOW_MS - tonumber(listed or 0) >= tonumber(ARGV[10])
  if tell then call('HSET', KEY, 'lt', written(NOW_MS)) end
end
return ring('done:' .. (tell and 1 or 0), 's ')
