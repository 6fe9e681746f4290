-- Events behind a number, and how the channel stands.
--
-- Effects   reads
--
-- KEYS[2]   the channel
-- ARGV[1]   the number
-- ARGV[2]   its epoch, or '': whatever there is
-- ARGV[3]   how many events at most
-- ARGV[4]   of no more bytes than so many, but for the first ones
--
-- Reply     {epoch, last number, first one that is kept, 1 if it has ended, what the producer has left, milliseconds that its
--           consumer has left, who that is, event, ..}; nothing where there is none

local TOGETHER = 20

opened()
if not epoch then return false end
local now = now_ms()
local consumer, consumed = unpack(call('HMGET', KEY, 'c', 'cu'))
local found = {epoch, last, first, ended and 1 or 0, left(now), math.max(tonumber(consumed or 0) - now, 0), consumer or ''}
local at, limit, bytes = tonumber(ARGV[1]), tonumber(ARGV[3]), tonumber(ARGV[4])
if (ARGV[2] ~= '' and ARGV[2] ~= epoch) or at < first - 1 then return found end
local ends = math.min(at + limit, last)
while at < ends and bytes > 0 do
  local names = {}
  for number = at + 1, math.min(at + TOGETHER, ends) do names[#names + 1] = written(number) end
  for _, event in ipairs(call('HMGET', KEY, unpack(names))) do
    found[#found + 1] = event
    bytes = bytes - #event
  end
  at = at + #names
end
return found
