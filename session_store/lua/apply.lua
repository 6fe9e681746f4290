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
--           ERR .. would overflow   refused: the sum is not a signed 64-bit integer

local TOKEN, ATTEMPT = ARGV[1], ARGV[2]
local TYPES = {set = 'string', incr = 'string', hset = 'hash', hdel = 'hash', hincrby = 'hash'}

local indexed = {}   -- key: its field of the index before this call, false when there is none
local entries = {}   -- key: its field of the index after it; false removes it

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

-- What a counter goes on from: its value or, when that is behind, the last one that the index remembers.
local function base_of(key)
  local value, last = call('GET', key), indexed[key]
  if last and last ~= '' and (not value or (is_integer(value) and less(value, last))) then return last end
  return value or '0'
end

-- Why an operation cannot be done on a key of this type: nil, or the reply that refuses it.
local function refusal(number, verb, key, kind, first)
  if verb == 'delete' then return nil end
  if kind ~= 'none' and kind ~= TYPES[verb] then return {2, number} end
  if verb ~= 'incr' and verb ~= 'hincrby' then return nil end
  local amount, limit, field = ARGV[first], ARGV[first + 1], ARGV[first + 2]
  local value = verb == 'incr' and base_of(key) or call('HGET', key, field) or '0'
  if not is_integer(value) then return {2, number} end
  local overflows
  if sub(amount, 1, 1) == '-' then overflows = less(value, limit) else overflows = less(limit, value) end
  return overflows and redis.error_reply('ERR increment or decrement would overflow') or nil
end

-- Does an operation. The answer, and what the index is to say of the key: nil when nothing was changed.
local function perform(verb, key, ttl, first, last)
  local entry = entries[key]
  if entry == nil then entry = indexed[key] end
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
  call('SET', key, base_of(key), 'PX', ttl)
  call('INCRBY', key, ARGV[first])
  local value = call('GET', key)
  return value, value
end

-- One read of the index: fence, records, and the entries of the slots at hand.
local slots = {}
for number = 2, #KEYS do slots[number - 1] = sub(KEYS[number], SLOT_BEGINS) end
local found = call('HMGET', INDEX, '~fence', '~commits', unpack(slots))
for number = 2, #KEYS do indexed[KEYS[number]] = found[number + 1] end

if found[1] and now_ms() < tonumber(found[1]) then return {1} end
local answer = found[2] and recall(found[2], TOKEN)
if answer then return {0, answer} end

-- Can every operation succeed, each after the ones before it?
local types = {}
local at, number = 3, 1
while ARGV[at] do
  local verb, key = ARGV[at], KEYS[tonumber(ARGV[at + 1])]
  local kind = types[key] or call('TYPE', key).ok
  local refused = refusal(number, verb, key, kind, at + 4)
  if refused then return refused end
  types[key] = verb == 'delete' and 'none' or verb == 'hdel' and kind or TYPES[verb]
  at, number = at + 4 + ARGV[at + 3], number + 1
end

local longest, entry = ATTEMPT == '0' and RECORD_AGE * 1000 or 0
at = 3
while ARGV[at] do
  local key, ttl, last = KEYS[tonumber(ARGV[at + 1])], tonumber(ARGV[at + 2]), at + 3 + ARGV[at + 3]
  answer, entry = perform(ARGV[at], key, ttl, at + 4, last)
  if entry ~= nil then
    entries[key] = entry
    longest = math.max(longest, ttl)
  end
  at = last + 1
end

-- A call that changed nothing leaves no record: nothing of it can be done twice.
if ATTEMPT ~= '' then answer = ATTEMPT end
if longest > 0 then
  local named, gone = {'~commits', remember(found[2], TOKEN, answer)}, {}
  for key, after in pairs(entries) do
    if after == false then
      gone[#gone + 1] = sub(key, SLOT_BEGINS)
    elseif after ~= indexed[key] then
      named[#named + 1] = sub(key, SLOT_BEGINS)
      named[#named + 1] = after
    end
  end
  call_in_chunks('HSET', INDEX, named, 1, #named)
  if gone[1] then call_in_chunks('HDEL', INDEX, gone, 1, #gone) end
  index_lives_for(longest)
end
return {0, tostring(answer)}
