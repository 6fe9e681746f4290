-- What makes a call that arrives twice happen once. For scripts whose first arguments are:
--
-- ARGV[1]   the field of the writer in the index, '~<writer>'
-- ARGV[2]   its call

local WRITER, CALL = ARGV[1], ARGV[2]
local WRONG_TYPE, OVERFLOW = '!type', '!overflow'   -- why a call was refused, as it is recorded

local function refusal(why)
  return why == WRONG_TYPE and {2, 1} or redis.error_reply('ERR increment or decrement would overflow')
end

-- The reply where nothing is to be done, or nil: {1} the namespace is fenced; what was replied when the call came first;
-- {4} it is stale: its writer has gone on to other calls, so this is an old one that was long on its way.
local function settled(fence, record)
  if fence and now_ms() < tonumber(fence) then return {1} end
  if not record or sub(record, 9, 16) < sub(CALL, 1, 8) then return nil end
  if sub(record, 9, 24) ~= CALL then return {4} end
  local left, answer = call('PTTL', INDEX), sub(record, 25)
  if left > 0 then call('PEXPIRE', INDEX, left) end   -- so that a WAIT behind this call waits for the first as well
  return sub(answer, 1, 1) == '!' and refusal(answer) or answer
end

-- Lets a writer in that has no record yet. The era that its record is to name.
--
-- An era lasts for as long as a record is kept. When one is over, the records that are of no later one go: they were
-- written before it began. So the time need not be known to write a record.
local function admitted(era)
  local now = call('TIME')[1]
  if era and now - tonumber(era, 16) < RECORD_AGE then return era end
  local begins = string.format('%08x', now)
  call('HSET', INDEX, '~era', begins)
  local fields, gone = era and call('HGETALL', INDEX) or {}, {}
  for at = 1, #fields, 2 do
    if #fields[at] == #WRITER and sub(fields[at], 1, 1) == '~' and sub(fields[at + 1], 1, 8) ~= era then
      gone[#gone + 1] = fields[at]
    end
  end
  if gone[1] then call_in_chunks('HDEL', INDEX, gone, 1, #gone) end
  return begins
end

-- Does what all scripts may be asked for. Its answer, and what the index is to say of the slot: nothing new (nil) when
-- nothing was changed, false when it is not to name the slot. `entry` is what the index says: '' when the slot is just
-- named, a number for a counter, false when it is not named.
local function perform(verb, key, ttl, first, last, entry)
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
  end
  local removed = call_in_chunks('HDEL', key, ARGV, first, last)   -- verb == 'hdel'
  if removed == 0 then return 0 end
  if call('PEXPIRE', key, ttl) == 0 and (entry or '') == '' then return removed, false end
  return removed, entry or ''
end
