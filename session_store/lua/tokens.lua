-- What makes a call that arrives twice happen once. For scripts whose first arguments are:
--
-- ARGV[1]   the field of the writer in the index, '~<writer>'
-- ARGV[2]   its call: 4 random characters and a hexadecimal number
--
-- Replies   {'fenced'}        refused: the namespace is fenced
--           {'type', number}  refused: the slot of this operation holds something else
--           {'stale'}         refused: the token is of an earlier call of its writer

local WRITER, CALL = ARGV[1], ARGV[2]
local WRONG_TYPE, OVERFLOW = '!type', '!overflow'   -- why a call was refused, as it is recorded
local NOW_MS, NOW = now_ms()
local SWEPT = 64   -- fields of the index that are looked at together

-- What a verb works on; a verb that is not here is refused before anything is written.
local WORKS_ON = {set = 'string', incr = 'string', hset = 'hash', hdel = 'hash', hincrby = 'hash', delete = 'any'}

local function refusal(why)
  return why == WRONG_TYPE and {'type', 1} or redis.error_reply('ERR increment or decrement would overflow')
end

-- The reply where nothing is to be done, or nil: the namespace is fenced; the call came before, and this was its reply;
-- it is stale: its writer has gone on to other calls, so this is an old one that was long on its way.
local function replayed(fence, record)
  if fence and NOW_MS < tonumber(fence) then return {'fenced'} end
  if not record then return nil end
  local ends = find(record, ':', 13, true)
  if tonumber(sub(record, 13, ends - 1), 16) < tonumber(sub(CALL, 5), 16) then return nil end
  if sub(record, 9, ends - 1) ~= CALL then return {'stale'} end
  local left, answer = call('PTTL', INDEX), sub(record, ends + 1)
  if left > 0 then call('PEXPIRE', INDEX, left) end   -- so that a WAIT behind this call waits for the first as well
  return sub(answer, 1, 1) == '!' and refusal(answer) or answer
end

-- What is recorded of a call. Who had no record, and one call in sixteen by chance, takes out of the index what is over:
-- records, locks, and names of slots; but not where a counter stood. Of a small index all of it, of a large one some: no
-- call does much, and many do it all.
local function recorded(record, answer)
  if not record or string.byte(CALL) % 16 == 0 then
    local fields, gone
    if call('HLEN', INDEX) <= SWEPT then
      fields, gone = call('HGETALL', INDEX), {}
    else
      fields, gone = call('HRANDFIELD', INDEX, SWEPT, 'WITHVALUES'), {}
    end
    for at = 1, #fields, 2 do
      local name, value = fields[at], fields[at + 1]
      local over
      if sub(name, 1, 1) ~= '~' then
        over = not last_value(value) and -(tonumber(value) or -NOW) < NOW
      elseif name == '~fence' then
        over = tonumber(value) <= NOW_MS
      elseif sub(name, 1, 6) == '~lock:' then
        over = tonumber(sub(value, 1, find(value, ':', 1, true) - 1)) <= NOW_MS
      elseif name ~= WRITER then
        local made = tonumber(sub(value, 1, 8), 16)
        over = NOW - made > RECORD_AGE
        if made > NOW then   -- the clock was ahead, and has been set right: its age counts from now on
          call('HSET', INDEX, name, string.format('%08x', NOW) .. sub(value, 9))
        end
      end
      if over then gone[#gone + 1] = name end
    end
    if gone[1] then call('HDEL', INDEX, unpack(gone)) end
  end
  return string.format('%08x', NOW) .. CALL .. ':' .. answer
end

-- Milliseconds that a slot gets. A TTL below nothing: a slot that lives keeps the one that it has.
local function ttl_of(key, ttl)
  if ttl > 0 then return ttl end
  local left = call('PTTL', key)
  return left > 0 and left or -ttl
end

-- Does what all scripts may be asked for. Its answer, how long the slot lives from now on, and what the index is to say
-- of it: nothing new (nil) when nothing was changed, false when it is not to name the slot. `entry` is what the index
-- says, false when it does not name the slot.
local function perform(verb, key, ttl, first, last, entry)
  local answer
  if verb == 'hset' then
    ttl = ttl_of(key, ttl)
    answer = call_in_chunks('HSET', key, ARGV, first, last)
    call('PEXPIRE', key, ttl)
  elseif verb == 'set' then
    ttl = ttl_of(key, ttl)
    local condition, done = ARGV[first]
    if condition == '' then
      done = call('SET', key, ARGV[last], 'PX', ttl)
    else
      done = call('SET', key, ARGV[last], 'PX', ttl, condition)
    end
    if not done then return 0 end
    answer = 1
  elseif verb == 'hdel' then
    ttl = ttl_of(key, ttl)
    answer = call_in_chunks('HDEL', key, ARGV, first, last)
    if answer == 0 then return 0 end
    if call('PEXPIRE', key, ttl) == 0 and not last_value(entry) then return answer, 0, false end
  elseif verb == 'delete' then
    local deleted = call('DEL', key)
    if deleted == 0 and not entry then return 0 end
    return deleted, 0, false
  end
  return answer, ttl, last_value(entry) and entry or ends_after(ttl, NOW)
end
