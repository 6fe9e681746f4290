-- Some members of a directory, the latest first; of two with the same time, in the reverse order of their bytes.
--
-- Effects   reads
--
-- KEYS[1]   the sorted set to go by
-- KEYS[2]   the other one
-- ARGV[1]   how many, at most
-- ARGV[2]   the time behind which to go on, in milliseconds since the epoch; '' for the first page
-- ARGV[3]   the member of that time behind which to go on
--
-- Reply     {the server's time, member, time by KEYS[1], time by KEYS[2], ..}

local call = redis.call
local MOST, TIME, MEMBER = tonumber(ARGV[1]), ARGV[2], ARGV[3]

-- Whether a text comes before another by its bytes. Lua's own comparison goes by the server's locale.
local function comes_before(one, other)
  for at = 1, math.min(#one, #other) do
    local difference = string.byte(one, at) - string.byte(other, at)
    if difference ~= 0 then return difference < 0 end
  end
  return #one < #other
end

local time = call('TIME')
local reply = {string.format('%.0f', time[1] * 1000 + math.floor(time[2] / 1000))}
local skipped, found = 0, nil
repeat
  found = call('ZREVRANGEBYSCORE', KEYS[1], TIME == '' and '+inf' or TIME, '-inf', 'WITHSCORES', 'LIMIT', skipped, MOST)
  for at = 1, #found, 2 do
    if #reply > 3 * MOST then break end
    local member, score = found[at], found[at + 1]
    if TIME == '' or tonumber(score) < tonumber(TIME) or comes_before(member, MEMBER) then
      reply[#reply + 1], reply[#reply + 2], reply[#reply + 3] = member, score, call('ZSCORE', KEYS[2], member) or score
    end
  end
  skipped = skipped + MOST
until #reply > 3 * MOST or #found < 2 * MOST
return reply
