-- Applies what a commit recorded: all operations, or none. Gives the commit's turns back.
--
-- KEYS[2..] the slots that the operations name, and behind them the turns to give back
-- ARGV[3]   number of the attempt, which is the answer; 0 settles a commit that had no answer: it gives the attempt that
--           was applied or, for 0, none ever will be
-- ARGV[4]   count of the turns
-- ARGV[5..] operations, each: verb (set, delete, hset, hdel), number of its key in KEYS, TTL in milliseconds, count of
--           arguments, arguments (as those of a single call)
--
-- Replies   the attempt that was applied, now or when the token came first
--           {1}          refused: the namespace is fenced
--           {2, number}  refused: the slot of this operation holds something else
--           {4}          refused: the token is stale

local ATTEMPT, LAST_SLOT = ARGV[3], #KEYS - ARGV[4]

for number = LAST_SLOT + 1, #KEYS do
  if call('MGET', KEYS[number])[1] == CALL then call('DEL', KEYS[number]) end
end

-- One read of the index. entries[n + 2] belongs to KEYS[n].
local slots = {}
for number = 2, LAST_SLOT do slots[number - 1] = sub(KEYS[number], SLOT_BEGINS) end
local entries = call('HMGET', INDEX, '~fence', '~era', WRITER, unpack(slots))
local fence, era, record = entries[1], entries[2], entries[3]
local reply = settled(fence, record)
if reply then return reply end

-- Whether the operations before this place leave a hash without a field, and so no key.
local function emptied(number, place)
  local fields, at = {}, 5
  if call('TYPE', KEYS[number]).ok == 'hash' then
    for _, field in ipairs(call('HKEYS', KEYS[number])) do fields[field] = true end
  end
  while at < place do
    local verb, last = ARGV[at], at + 3 + ARGV[at + 3]
    if tonumber(ARGV[at + 1]) == number then
      if verb == 'delete' then fields = {} end
      if verb == 'hset' then for n = at + 4, last, 2 do fields[ARGV[n]] = true end end
      if verb == 'hdel' then for n = at + 4, last do fields[ARGV[n]] = nil end end
    end
    at = last + 1
  end
  return next(fields) == nil
end

-- Can every operation succeed, each after the ones before it? types[n] is that of KEYS[n] by then.
local types = {}
local at, operation = 5, 1
while ARGV[at] do
  local verb, number = ARGV[at], tonumber(ARGV[at + 1])
  local kind = types[number] or call('TYPE', KEYS[number]).ok
  if verb == 'delete' then
    types[number] = 'none'
  else
    local wanted = verb == 'set' and 'string' or 'hash'
    if kind ~= 'none' and kind ~= wanted and not (kind == 'hash' and emptied(number, at)) then
      return {2, operation}
    end
    types[number] = verb == 'hdel' and kind or wanted
  end
  at, operation = at + 4 + ARGV[at + 3], operation + 1
end

local longest, changed = 0, {}
at = 5
while ARGV[at] do
  local number, ttl, last = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), at + 3 + ARGV[at + 3]
  local entry = entries[number + 2]
  local _, after = perform(ARGV[at], KEYS[number], ttl, at + 4, last, entry)
  if after ~= nil then
    if after ~= entry then
      entries[number + 2] = after
      changed[slots[number - 1]] = after
    end
    if ttl > longest then longest = ttl end
  end
  at = last + 1
end

-- A commit that changed nothing is recorded as well. A record that stands alone is kept for its own sake.
local fields, gone = {WRITER, (record and era or admitted(era)) .. CALL .. ATTEMPT}, {fence and '~fence' or nil}  -- which has ended
for slot, after in pairs(changed) do
  if after then
    fields[#fields + 1] = slot
    fields[#fields + 1] = after
  else
    gone[#gone + 1] = slot
  end
end
call_in_chunks('HSET', INDEX, fields, 1, #fields)
if gone[1] then call_in_chunks('HDEL', INDEX, gone, 1, #gone) end
if longest == 0 and not era then longest = RECORD_AGE * 1000 end
if longest > 0 then index_lives_for(longest) end
return ATTEMPT
