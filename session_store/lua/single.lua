-- Applies one operation.
--
-- Effects   once
--
-- KEYS[2]   the slot
-- ARGV[3]   verb: set, delete, hset, hdel (see `perform`), hincrby, incr
-- ARGV[4]   TTL in milliseconds; below nothing: that of a new slot, while one that lives keeps its own
-- ARGV[5..] its arguments                                  and its answer
--             set      condition ('', 'nx', 'xx'), value     1, or 0 when the condition forbade it
--             delete                                         1, or 0 when there was no such slot
--             hset     field, value, field, value, ..        fields added
--             hdel     field, field, ..                      fields removed
--             hincrby  amount, limit, field                  the new value; limit is the farthest value that
--             incr     amount, limit                         the amount can be added to
--
-- Replies   answer, as a number or in digits   applied, now or when the call came first
--           ERR .. would overflow   refused: the sum is not a signed 64-bit integer

local KEY, VERB, TTL = KEYS[2], ARGV[3], tonumber(ARGV[4])
local reply = enter()
if reply then return reply end
local entry = entries[2]

-- Why hincrby or incr is refused, or nil; and what the counter goes on from: its value or, when that is behind, the last
-- one that the index remembers.
local function sum_checked()
  -- Decimal integers as Redis writes them, compared as such: a Lua number is exact to 2^53 only. Of two of one length,
  -- digits are compared as pairs of numbers, since the order of Lua's strings is that of the server's locale.
  local function less(a, b)
    local negative = sub(a, 1, 1) == '-'
    if a == b or negative ~= (sub(b, 1, 1) == '-') then return a ~= b and negative end
    if #a ~= #b then return (#a < #b) ~= negative end
    local high_a, high_b = tonumber(sub(a, 1, 10)), tonumber(sub(b, 1, 10))
    if high_a ~= high_b then return high_a < high_b end
    return (tonumber(sub(a, 11)) < tonumber(sub(b, 11))) ~= negative
  end
  local function is_integer(text)
    return text == '0' or (find(text, '^%-?[1-9]%d*$')
      and not less(text, '-9223372036854775808') and not less('9223372036854775807', text))
  end

  local value, amount, limit
  if VERB == 'incr' then
    local last = last_value(entry)
    value = call('GET', KEY)
    if last and value ~= last and (not value or (is_integer(value) and less(value, last))) then value = last end
  else
    value = call('HGET', KEY, ARGV[7])
  end
  value, amount, limit = value or '0', ARGV[5], ARGV[6]
  if not is_integer(value) then return WRONG_TYPE end
  local overflows
  if sub(amount, 1, 1) == '-' then overflows = less(value, limit) else overflows = less(limit, value) end
  return overflows and OVERFLOW or nil, value
end

local wanted = WORKS_ON[VERB]
if not wanted then return redis.error_reply('ERR unknown operation') end
local refused, base
local kind = wanted ~= 'any' and call('TYPE', KEY).ok or 'none'
if kind ~= 'none' and kind ~= wanted then
  refused = WRONG_TYPE
elseif VERB == 'incr' or VERB == 'hincrby' then
  refused, base = sum_checked()
end
if refused then return refuse(refused) end

local answer, ttl, after
if VERB == 'incr' then
  ttl = ttl_of(KEY, TTL)
  call('SET', KEY, base, 'PX', ttl)
  call('INCRBY', KEY, ARGV[5])
  answer = call('GET', KEY)
  if TTL < 0 and not last_value(entry) then   -- a window: when its time is over, it begins anew
    after = ends_after(ttl, NOW)
  else
    after = sub(answer, 1, 1) == '-' and '=' .. answer or answer
  end
elseif VERB == 'hincrby' then
  ttl = ttl_of(KEY, TTL)
  call('HINCRBY', KEY, ARGV[7], ARGV[5])
  call('PEXPIRE', KEY, ttl)
  answer, after = call('HGET', KEY, ARGV[7]), last_value(entry) and entry or ends_after(ttl, NOW)
else
  answer, ttl, after = perform(VERB, KEY, TTL, 5, #ARGV, entry)
end

return leave(answer, {[2] = after}, after and ttl)
