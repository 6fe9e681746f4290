-- Adds an event, or ends a channel, or both.
--
-- Effects   writes
--
-- KEYS[2]   the channel
-- ARGV[3..5] as ringing.lua has them
-- ARGV[6]   who publishes, as the one that produces it, or ''
-- ARGV[7]   how long that one has from now on, in milliseconds
-- ARGV[8]   how many events are kept
-- ARGV[9]   how the bell has the event: 'd', as it is; 'b', as ARGV[12]; 'r', not at all
-- ARGV[10]  '1': the channel ends
-- ARGV[11]  the event, or ''
-- ARGV[12]  the same for the bell, or ''
--
-- Reply     'done:<epoch>.<number>', 'none', 'ended', 'held', 'lost'

local MOST_TRIMMED = 1000

local reply = enter()
if reply then return reply end
if not begun() then return leave('none', {}) end
if ended then return leave('ended', {}) end
local has = left(NOW_MS)
local fields = {}
if ARGV[6] ~= '' then
  if producer ~= ARGV[6] or has <= 0 then return leave('lost', {}) end
  produced_until = NOW_MS + tonumber(ARGV[7])
  fields[1], fields[2] = 'pu', written(produced_until)
elseif has > 0 then
  return leave('held', {})
elseif has == 0 then   -- somebody goes on where the producer was lost
  producer = false
  call('HDEL', KEY, 'p', 'pu')
end
local what = 's'
if ARGV[11] ~= '' then
  last = last + 1
  fields[#fields + 1], fields[#fields + 2] = written(last), ARGV[11]
  fields[#fields + 1], fields[#fields + 2] = 'n', written(last)
  local excess = math.min(last - tonumber(ARGV[8]) - first + 1, MOST_TRIMMED)
  if excess > 0 then
    local gone = {}
    for at = 1, excess do gone[at] = written(first + at - 1) end
    first = first + excess
    fields[#fields + 1], fields[#fields + 2] = 'f', written(first)
    call('HSET', KEY, unpack(fields))
    call('HDEL', KEY, unpack(gone))
    fields = {}
  end
  what = ARGV[9]
end
if ARGV[10] == '1' then
  producer, ended = false, '1'
  fields[#fields + 1], fields[#fields + 2] = 'x', '1'
  call('HDEL', KEY, 'p', 'pu')
end
if fields[1] then call('HSET', KEY, unpack(fields)) end
what = (ended and 'x' or '') .. what
local rung = {d = ARGV[11], b = ARGV[12]}
return ring('done:' .. epoch .. '.' .. written(last), what .. ' ' .. (rung[what:sub(-1)] or ''))
