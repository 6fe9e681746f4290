-- Renews slots, and has the index name them. Types that are not ours are renewed if the index names them already.
--
-- Effects   writes
--
-- KEYS[2..] the slots
-- ARGV[1]   TTL in milliseconds
--
-- Reply     how many of them live

local now, seconds = now_ms()
heed(call('HGET', INDEX, '~until'), now)
local TTL = math.min(tonumber(ARGV[1]), LEFT)
local ENDS = ends_after(TTL, seconds)

-- What the index says of a slot that it has forgotten: when it ends or, for what may be a counter, its value; nil when the
-- key is of a type that is not ours.
local function entry_of(key)
  local kind = call('TYPE', key).ok
  if kind ~= 'string' then return kind == 'hash' and ENDS or nil end
  if call('STRLEN', key) > 19 then return ENDS end
  local value = call('GET', key)
  local counts = find(value, '^[1-9]%d*$') and (#value < 19 or tonumber(sub(value, 1, 10)) < 9223372036
    or (sub(value, 1, 10) == '9223372036' and tonumber(sub(value, 11)) <= 854775807))
  return counts and value or ENDS
end

local live, fields, expired = 0, {}, {}
for first = 2, #KEYS, CHUNK do
  local slots = {}
  for number = first, math.min(#KEYS, first + CHUNK - 1) do slots[#slots + 1] = sub(KEYS[number], SLOT_BEGINS) end
  for number, entry in ipairs(call('HMGET', INDEX, unpack(slots))) do
    local key = KEYS[first + number - 1]
    local is_counter = last_value(entry)
    if not entry then entry = entry_of(key) end
    if entry and call('PEXPIRE', key, TTL) == 1 then
      live = live + 1
      if not is_counter then
        fields[#fields + 1] = slots[number]
        fields[#fields + 1] = last_value(entry) and entry or ENDS
      end
    elseif entry and not is_counter then   -- the index forgets slots that have expired, but not where a counter stood
      expired[#expired + 1] = slots[number]
    end
  end
end
if fields[1] then call_in_chunks('HSET', INDEX, fields, 1, #fields) end
if expired[1] then call_in_chunks('HDEL', INDEX, expired, 1, #expired) end
if live > 0 then index_lives_for(TTL) end
return live
