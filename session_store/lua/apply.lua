-- Applies a list of operations: all of them, or none.
--
-- KEYS[2..] the slots that the operations name
-- ARGV[1]   token, '<writer>.<call>'
-- ARGV[2]   number of the attempt, which is the answer of a commit; '' for a single call, answered by its operation;
--           0 settles a commit that had no answer: it gives the attempt that was applied or, for 0, none ever will be
-- ARGV[3..] operations, each: verb, number of its key in KEYS, TTL in milliseconds, count of arguments, arguments
--             set      condition ('', 'nx', 'xx'), value     1, or 0 when the condition forbade it
--             delete                                         1, or 0 when there was no such slot
--             hset     field, value, field, value, ..        fields added
--             hdel     field, field, ..                      fields removed
--             hincrby  amount, limit, field                  the new value; limit is the farthest value that
--             incr     amount, limit                         the amount can be added to
--
-- Replies   {0, answer}             applied, now or when the token came first
--           {1}                     refused: the namespace is fenced
--           {2, number}             refused: the slot of this operation holds something else
--           {4}                     refused: the token is stale
--           ERR .. would overflow   refused: the sum is not a signed 64-bit integer

local TOKEN, ATTEMPT = ARGV[1], ARGV[2]

-- Why a single call was refused, as it is recorded, and the reply.
local WRONG_TYPE, OVERFLOW = '!type', '!overflow'
local function refusal(why)
  return why == WRONG_TYPE and {2, 1} or redis.error_reply('ERR increment or decrement would overflow')
end

-- One read of the index: the fence, the records, and what it says of each slot. entries[n] belongs to KEYS[n]; '' when
-- the slot is just named, a number for a counter, false when it is not named.
local slots = {}
for number = 2, #KEYS do slots[number - 1] = sub(KEYS[number], SLOT_BEGINS) end
local entries = call('HMGET', INDEX, '~fence', '~commits', unpack(slots))
local fence, commits = table.remove(entries, 1), entries[1]

if fence and now_ms() < tonumber(fence) then return {1} end
local answer, stale
if commits then answer, stale = recall(commits, TOKEN) end
if answer then
  local left = call('PTTL', INDEX)
  if left > 0 then call('PEXPIRE', INDEX, left) end   -- so that a WAIT behind this call waits for the commit as well
  return sub(answer, 1, 1) == '!' and refusal(answer) or {0, answer}
end
if stale then return {4} end

-- Decimal integers as Redis writes them, compared as such: a Lua number is exact to 2^53 only.
local function less(a, b)
  local negative = sub(a, 1, 1) == '-'
  if a == b or negative ~= (sub(b, 1, 1) == '-') then return a ~= b and negative end
  if #a ~= #b then return (#a < #b) ~= negative end
  return (a < b) ~= negative
end

local function is_integer(text)
  return text == '0' or (find(text, '^%-?[1-9]%d*$')
    and not less(text, '-9223372036854775808') and not less('9223372036854775807', text))
end

-- What the counter KEYS[n] goes on from: its value or, when that is behind, the last one that the index remembers.
local bases = {}
local function base_of(number)
  local value, last = call('GET', KEYS[number]), entries[number]
  if last and last ~= '' and (not value or (is_integer(value) and less(value, last))) then value = last end
  bases[number] = value or '0'
  return bases[number]
end

-- Why an amount cannot be added, or nil.
local function sum_refused(value, amount, limit)
  if not is_integer(value) then return WRONG_TYPE end
  local overflows
  if sub(amount, 1, 1) == '-' then overflows = less(value, limit) else overflows = less(limit, value) end
  return overflows and OVERFLOW or nil
end

-- Does an operation. Its answer, and what the index is to say of the slot: nothing new when nothing was changed.
local function perform(verb, number, ttl, first, last)
  local key, entry = KEYS[number], entries[number]
  if verb == 'hset' then
    local added = call_in_chunks('HSET', key, ARGV, first, last)
    call('PEXPIRE', key, ttl)
    return added, entry or ''
  elseif verb == 'set' then
    local condition, done = ARGV[first]
    if condition == '' then
      done = call('SET', key, ARGV[last], 'PX', ttl)
    else
      done = call('SET', key, ARGV[last], 'PX', ttl, condition)
    end
    if not done then return 0 end
    return 1, entry or ''
  elseif verb == 'delete' then
    local deleted = call('DEL', key)
    if deleted == 0 and not entry then return 0 end
    return deleted, false
  elseif verb == 'hdel' then
    local removed = call_in_chunks('HDEL', key, ARGV, first, last)
    if removed == 0 then return 0 end
    if call('PEXPIRE', key, ttl) == 0 and (entry or '') == '' then return removed, false end
    return removed, entry or ''
  elseif verb == 'hincrby' then
    call('HINCRBY', key, ARGV[last], ARGV[first])
    call('PEXPIRE', key, ttl)
    return call('HGET', key, ARGV[last]), entry or ''
  end
  call('SET', key, bases[number], 'PX', ttl)
  call('INCRBY', key, ARGV[first])
  local value = call('GET', key)
  return value, value
end

-- Whether the operations before this place leave a hash without a field, and so no key.
local function emptied(number, place)
  local fields, at = {}, 3
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
local at, operation = 3, 1
while ARGV[at] do
  local verb, number = ARGV[at], tonumber(ARGV[at + 1])
  local kind = types[number] or call('TYPE', KEYS[number]).ok
  if verb == 'delete' then
    types[number] = 'none'
  else
    local wanted = (verb == 'set' or verb == 'incr') and 'string' or 'hash'
    local refused
    if kind ~= 'none' and kind ~= wanted and not (kind == 'hash' and emptied(number, at)) then
      refused = WRONG_TYPE
    elseif verb == 'incr' then
      refused = sum_refused(base_of(number), ARGV[at + 4], ARGV[at + 5])
    elseif verb == 'hincrby' then
      refused = sum_refused(call('HGET', KEYS[number], ARGV[at + 6]) or '0', ARGV[at + 4], ARGV[at + 5])
    end
    if refused and ATTEMPT ~= '' then return {2, operation} end
    if refused then  -- is recorded: were the call to arrive again, what was in its way might have gone
      call('HSET', INDEX, '~commits', remember(commits, TOKEN, refused))
      if not commits then index_lives_for(RECORD_AGE * 1000) end
      return refusal(refused)
    end
    types[number] = verb == 'hdel' and kind or wanted
  end
  at, operation = at + 4 + ARGV[at + 3], operation + 1
end

local longest, entry = 0
local changed = {}
at = 3
while ARGV[at] do
  local number, ttl, last = tonumber(ARGV[at + 1]), tonumber(ARGV[at + 2]), at + 3 + ARGV[at + 3]
  answer, entry = perform(ARGV[at], number, ttl, at + 4, last)
  if entry ~= nil then
    if entry ~= entries[number] then
      entries[number] = entry
      changed[slots[number - 1]] = entry
    end
    if ttl > longest then longest = ttl end
  end
  at = last + 1
end

-- What changed nothing is recorded as well: it might find something to do if it arrived again. A record that stands
-- alone is kept for its own sake.
if ATTEMPT ~= '' then answer = ATTEMPT end
if longest == 0 and not commits then longest = RECORD_AGE * 1000 end
local fields, gone = {'~commits', remember(commits, TOKEN, answer)}, {fence and '~fence' or nil}  -- which has ended
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
if longest > 0 then index_lives_for(longest) end
return {0, tostring(answer)}
