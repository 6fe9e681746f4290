-- Applies one operation.
--
-- KEYS[2]   the slot
-- ARGV[3]   verb: set, delete, hset, hdel (see `perform`), hincrby, incr
-- ARGV[4]   TTL in milliseconds
-- ARGV[5..] its arguments                                  and its answer
--             set      condition ('', 'nx', 'xx'), value     1, or 0 when the condition forbade it
--             delete                                         1, or 0 when there was no such slot
--             hset     field, value, field, value, ..        fields added
--             hdel     field, field, ..                      fields removed
--             hincrby  amount, limit, field                  the new value; limit is the farthest value that
--             incr     amount, limit                         the amount can be added to
--
-- Replies   answer, as a number or in digits   applied, now or when the call came first
--           {1}                     refused: the namespace is fenced
--           {2, 1}                  refused: the slot holds something else
--           {4}                     refused: the call is stale
--           ERR .. would overflow   refused: the sum is not a signed 64-bit integer

local KEY, VERB, TTL = KEYS[2], ARGV[3], ARGV[4]
local SLOT = sub(KEY, SLOT_BEGINS)
local head = call('HMGET', INDEX, '~fence', '~era', WRITER, SLOT)
local fence, era, record, entry = head[1], head[2], head[3], head[4]
local reply = settled(fence, record)
if reply then return reply end

-- Why hincrby or incr is refused, or nil; and what the counter goes on from: its value or, when that is behind, the last
-- one that the index remembers.
local function sum_checked()
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

  local value, amount, limit
  if VERB == 'incr' then
    value = call('GET', KEY)
    if entry and entry ~= '' and value ~= entry and (not value or (is_integer(value) and less(value, entry))) then
      value = entry
    end
  else
    value = call('HGET', KEY, ARGV[7])
  end
  value, amount, limit = value or '0', ARGV[5], ARGV[6]
  if not is_integer(value) then return WRONG_TYPE end
  local overflows
  if sub(amount, 1, 1) == '-' then overflows = less(value, limit) else overflows = less(limit, value) end
  return overflows and OVERFLOW or nil, value
end

local refused, base
local kind = VERB ~= 'delete' and call('TYPE', KEY).ok or 'none'
if kind ~= 'none' and kind ~= ((VERB == 'set' or VERB == 'incr') and 'string' or 'hash') then
  refused = WRONG_TYPE
elseif VERB == 'incr' or VERB == 'hincrby' then
  refused, base = sum_checked()
end
if refused then  -- is recorded: were the call to arrive again, what was in its way might have gone
  call('HSET', INDEX, WRITER, (record and era or admitted(era)) .. CALL .. refused)
  if not era then index_lives_for(RECORD_AGE * 1000) end
  return refusal(refused)
end

local answer, after
if VERB == 'incr' then
  call('SET', KEY, base, 'PX', TTL)
  call('INCRBY', KEY, ARGV[5])
  answer = call('GET', KEY)
  after = answer
elseif VERB == 'hincrby' then
  call('HINCRBY', KEY, ARGV[7], ARGV[5])
  call('PEXPIRE', KEY, TTL)
  answer, after = call('HGET', KEY, ARGV[7]), entry or ''
else
  answer, after = perform(VERB, KEY, TTL, 5, #ARGV, entry)
end

-- What changed nothing is recorded as well: it might find something to do if it arrived again. A record that stands
-- alone is kept for its own sake.
record = (record and era or admitted(era)) .. CALL .. answer
if after and after ~= entry then
  call('HSET', INDEX, WRITER, record, SLOT, after)
else
  call('HSET', INDEX, WRITER, record)
  if after == false then call('HDEL', INDEX, SLOT) end
end
if fence then call('HDEL', INDEX, '~fence') end   -- which has ended
if after ~= nil then
  index_lives_for(tonumber(TTL))
elseif not era then
  index_lives_for(RECORD_AGE * 1000)
end
return answer
