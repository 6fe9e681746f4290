-- Renews slots. A key whose expiry would move by less than a second is left alone: writers watch it.
--
-- KEYS[2..] the slots that the index named, or that a scan found
-- ARGV[1]   TTL in milliseconds
-- ARGV[2]   'name': the index is to name them; '': it does
--
-- Reply     how many of them live

local TTL, NAME = tonumber(ARGV[1]), ARGV[2] == 'name'
local NOTICEABLE = math.min(1000, TTL / 2)   -- milliseconds

-- What the index says of a slot that it has forgotten: '' or, for what may be a counter, its value; nil when the key is
-- of a type that is not ours.
local function entry_of(key)
  local kind = call('TYPE', key).ok
  if kind ~= 'string' then return kind == 'hash' and '' or nil end
  if call('STRLEN', key) > 19 then return '' end
  local value = call('GET', key)
  local counts = find(value, '^[1-9]%d*$') and (#value < 19 or value <= '9223372036854775807')
  return counts and value or ''
end

local live, longest, expired = 0, 0, {}
for number = 2, #KEYS do
  local key = KEYS[number]
  local left = call('PTTL', key)
  local entry = not NAME or entry_of(key)
  if left == -2 then
    expired[#expired + 1] = sub(key, SLOT_BEGINS)
  elseif entry then
    if NAME then call('HSETNX', INDEX, sub(key, SLOT_BEGINS), entry) end
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
