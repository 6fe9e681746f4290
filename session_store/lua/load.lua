-- Reads slots. Writes nothing.
--
-- Effects   reads
--
-- KEYS[2..] the slots
-- ARGV[1]   'all': KEYS must name every slot of the index; 'these': only those in KEYS
--
-- Replies   {'done', slot, ..}    each nil (there is none, or one of a layer's type where all are asked for), a value, or
--                                {field, value, ..}
--           {'type', number}     the slot of this number is of a type that is not ours
--           {'listed', slot, ..} the index names these, and KEYS does not have them all

if ARGV[1] == 'all' then
  local listed = listed_slots()
  if listed then return listed end
end
local reply = {'done'}
for number = 2, #KEYS do
  local key = KEYS[number]
  local kind = call('TYPE', key).ok
  if kind == 'string' then
    reply[number] = call('GET', key)
  elseif kind == 'hash' then
    reply[number] = call('HGETALL', key)
  elseif kind == 'none' or ARGV[1] == 'all' then
    reply[number] = false
  else
    return {'type', number - 1}
  end
end
return reply
