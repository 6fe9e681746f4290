-- Reads what an attempt begins with: the fence, the token, the locks and the watched slots. Writes nothing but locks.
--
-- Effects   reads, and takes locks
--
-- KEYS[2..] the watched slots
-- ARGV[1]   the field of the producer in the index, as in once.lua
-- ARGV[2]   the sequence of the call
-- ARGV[3]   bytes that a slot may have to be sent along
-- ARGV[4]   what is done about locks. 0: waits for those of others; more: the same, and takes them, for so many
--           milliseconds; -1: leaves them alone
-- ARGV[5]   a character per slot, '1' where the content mark of a large one is wanted
--
-- Replies   {'fenced'}              the namespace is, or was to be one that was created and lives, and is none
--           {'committed', attempt}  this attempt has committed already
--           {'locked', owner}       another call holds the lock of a slot
--           {'began', slot, ..}     see view.lua

local MOST_BYTES, LOCK_TTL = tonumber(ARGV[3]), tonumber(ARGV[4])

local names = {'~fence', '~until', ARGV[1]}
for number = 2, LOCK_TTL < 0 and 0 or #KEYS do names[#names + 1] = '~lock:' .. sub(KEYS[number], SLOT_BEGINS) end
local head = call('HMGET', INDEX, unpack(names))
local fence, record, now = head[1], head[3], now_ms()
if fence and now < tonumber(fence) then return {'fenced'} end
if not heed(head[2], now) and sub(ARGV[1], 2, 2) == '=' then return {'fenced'} end
if record then
  local ends = find(record, ':', 13, true)
  if sub(record, 9, ends - 1) == ARGV[2] then return {'committed', sub(record, ends + 1)} end
end
for number = 4, #names do
  local holder = other_holder(head[number])
  if holder then return {'locked', holder} end
end
if LOCK_TTL > 0 then take_locks({unpack(names, 4)}, LOCK_TTL) end

local reply = {'began'}
for number = 2, #KEYS do
  reply[number] = seen(KEYS[number], MOST_BYTES, sub(ARGV[5], number - 1, number - 1) == '1')
end
return reply
