-- Deletes slots, and with them what the index says of them.
--
-- Effects   writes
--
-- KEYS[2..] the slots to delete
-- ARGV[1]   'all': KEYS must name every slot of the index; what else the index holds goes too, but a fence
--           'these': only the slots in KEYS
-- ARGV[2]   how long writes are refused from now on, in milliseconds; 0 leaves the fence as it is
--
-- Replies   {'done', number of slots that lived}
--           {'listed', slot, ..}  nothing was deleted: the index names these, and KEYS does not have them all. A fence
--                                 stands already, so that nobody adds another one

local ALL, FENCE = ARGV[1] == 'all', tonumber(ARGV[2])

-- When the fence ends: a longer one that stands goes on standing.
local function fence_ends()
  return math.max(tonumber(call('HGET', INDEX, '~fence') or 0), FENCE > 0 and now_ms() + FENCE or 0)
end

if ALL then
  local listed = listed_slots()
  if listed then
    if FENCE > 0 then
      call('PEXPIRE', INDEX, math.max(FENCE, call('PTTL', INDEX)))   -- first: it is not refused where memory is full
      call('HSET', INDEX, '~fence', string.format('%.0f', fence_ends()))
    end
    return listed
  end
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
  local now, ends = now_ms(), fence_ends()
  call('UNLINK', INDEX)
  if ends > now then
    call('HSET', INDEX, '~fence', string.format('%.0f', ends))
    call('PEXPIRE', INDEX, ends - now)
  end
end
return {'done', deleted}
