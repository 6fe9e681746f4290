-- Deletes slots, and with them what the index says of them.
--
-- KEYS[2..] the slots to delete
-- ARGV[1]   'all': KEYS must name every slot of the index; what else the index holds goes too, but a fence
--           'these': only the slots in KEYS
-- ARGV[2]   how long writes are refused from now on, in milliseconds; 0 leaves the fence as it is
--
-- Replies   {0, number of slots that lived}
--           {3, slot, ..}   nothing was done: the index names these, and KEYS does not have them all

local ALL, FENCE = ARGV[1] == 'all', tonumber(ARGV[2])

if ALL then
  local given, slots, missing = {}, {3}, false
  for number = 2, #KEYS do given[sub(KEYS[number], SLOT_BEGINS)] = true end
  for _, slot in ipairs(call('HKEYS', INDEX)) do
    if sub(slot, 1, 1) ~= '~' then
      slots[#slots + 1] = slot
      missing = missing or not given[slot]
    end
  end
  if missing then return slots end
end

local deleted = 0
for number = 2, #KEYS do
  local slot = sub(KEYS[number], SLOT_BEGINS)
  local lived = call('UNLINK', KEYS[number])
  if sub(slot, 1, 1) ~= '~' then
    deleted = deleted + lived
    if not ALL then call('HDEL', INDEX, slot) end
  end
end

if ALL then
  local now = now_ms()
  local ends = math.max(tonumber(call('HGET', INDEX, '~fence') or 0), FENCE > 0 and now + FENCE or 0)
  call('UNLINK', INDEX)
  if ends > now then
    call('HSET', INDEX, '~fence', string.format('%.0f', ends))
    call('PEXPIRE', INDEX, ends - now)
  end
end
return {0, deleted}
