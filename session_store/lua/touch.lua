-- Renews slots. A key whose expiry would move by less than a second is left alone: writers watch it.
--
-- KEYS[2..] the slots that the index named
-- ARGV[1]   TTL in milliseconds
--
-- Reply     how many of them live

local TTL = tonumber(ARGV[1])
local NOTICEABLE = math.min(1000, TTL / 2)   -- milliseconds

local live, longest, expired = 0, 0, {}
for number = 2, #KEYS do
  local key = KEYS[number]
  local left = call('PTTL', key)
  if left == -2 then
    expired[#expired + 1] = sub(key, SLOT_BEGINS)
  else
    live = live + 1
    if left == -1 or math.abs(TTL - left) >= NOTICEABLE then
      call('PEXPIRE', key, TTL)
      left = TTL
    end
    longest = math.max(longest, left)
  end
end
if live > 0 then index_lives_for(longest) end

-- The index forgets slots that have expired, but not where a counter stood.
for _, slot in ipairs(expired) do
  if call('HGET', INDEX, slot) == '' then call('HDEL', INDEX, slot) end
end
return live
