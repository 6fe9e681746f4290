-- What makes a call that arrives twice happen once, under the rules of its namespace. A body calls `enter` first and gives
-- its reply back, if there is one; then it looks, and may `refuse`; then it writes, and ends with `leave`.
--
-- ARGV[1]   the field of the producer in the index: '~<producer>' or, of a handle that wants a namespace which was created,
--           '~=<producer>'
-- ARGV[2]   the sequence of the call: 4 random characters and a hexadecimal number
--
-- Replies   {'fenced'}        refused: the namespace is fenced, or was to be one that was created and lives, and is none
--           {'stale'}         refused: the token is of an earlier call of its producer
--           {'<why>', 1}      refused by the body: 'type', the slot holds something else
--           answer            a short text that does not begin with '!', or a number: given now, or when the call came first

local PRODUCER, SEQUENCE = ARGV[1], ARGV[2]
local WRONG_TYPE, OVERFLOW = '!type', '!overflow'   -- why a call was refused, as it is recorded
local NOW_MS, NOW = now_ms()
local SWEPT = 64            -- fields of the index that are looked at together
local MOST_TOGETHER = 1000  -- names of slots that are asked for at once

local fence, lifetime, record   -- what the index says of these
local is_created                -- and whether its lifetime goes on
local entries = {}    -- and of KEYS[n]; false where it does not name it

local function slot_of(number) return sub(KEYS[number], SLOT_BEGINS) end

local function refusal(why)
  return why == OVERFLOW and redis.error_reply('ERR increment or decrement would overflow') or {sub(why, 2), 1}
end

-- Whether the time of a slot is over by what the index says of it; that of a counter never is.
local function is_over(entry)
  return not last_value(entry) and -(tonumber(entry) or -NOW) < NOW
end

-- Milliseconds that a slot gets. A TTL below nothing: a slot that lives keeps the one that it has. No slot outlives its
-- namespace.
local function ttl_of(key, ttl)
  if ttl < 0 then
    local left = call('PTTL', key)
    if left > 0 then return left end
    ttl = -ttl
  end
  return math.min(ttl, LEFT)
end

-- Reads what the index says of the call and of its slots, and the fields in `more`. Gives the reply where nothing is to be
-- done, else nil: the namespace is fenced, or none; the call came before, and this was its reply; it is stale: its producer
-- has gone on to other calls, so this is an old one that was long on its way. Then the values of `more`. `lifted`: the end
-- of a fence that this call is to take away.
local function enter(more, lifted)
  local names = {'~fence', '~until', PRODUCER, unpack(more or {})}
  local last = #names
  for number = 2, math.min(#KEYS, MOST_TOGETHER) do names[last + number - 1] = slot_of(number) end
  local head = call('HMGET', INDEX, unpack(names))
  fence, lifetime, record = head[1], head[2], head[3]
  is_created = heed(lifetime, NOW_MS)
  for number = 2, math.min(#KEYS, MOST_TOGETHER) do entries[number] = head[last + number - 1] end
  for first = MOST_TOGETHER + 1, #KEYS, MOST_TOGETHER do
    names = {}
    for number = first, math.min(#KEYS, first + MOST_TOGETHER - 1) do names[#names + 1] = slot_of(number) end
    for at, entry in ipairs(call('HMGET', INDEX, unpack(names))) do entries[first + at - 1] = entry end
  end
  local found = {unpack(head, 4, last)}

  if fence and NOW_MS < tonumber(fence) and fence ~= lifted then return {'fenced'}, found end
  if not is_created and sub(PRODUCER, 2, 2) == '=' then return {'fenced'}, found end
  if not record then return nil, found end
  local ends = find(record, ':', 13, true)
  if tonumber(sub(record, 13, ends - 1), 16) < tonumber(sub(SEQUENCE, 5), 16) then return nil, found end
  if sub(record, 9, ends - 1) ~= SEQUENCE then return {'stale'}, found end
  local left, answer = call('PTTL', INDEX), sub(record, ends + 1)
  if left > 0 then call('PEXPIRE', INDEX, left) end   -- so that a WAIT behind this call waits for the first as well
  return sub(answer, 1, 1) == '!' and refusal(answer) or answer, found
end

-- What is recorded of a call. Who had no record, and one call in sixteen by chance, takes out of the index what is over:
-- records, locks, and names of slots; but not where a counter stood. Of a small index all of it, of a large one some: no
-- call does much, and many do it all.
local function recorded(answer)
  if not record or string.byte(SEQUENCE) % 16 == 0 then
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
        over = is_over(value)
      elseif name == '~fence' or name == '~until' then
        over = tonumber(value) <= NOW_MS
      elseif sub(name, 1, 6) == '~lock:' then
        over = tonumber(sub(value, 1, find(value, ':', 1, true) - 1)) <= NOW_MS
      elseif name ~= PRODUCER then
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
  return string.format('%08x', NOW) .. SEQUENCE .. ':' .. answer
end

-- Ends a call that did what it was to do, also where that was nothing: it might find something to do if it arrived again.
-- `changed[n]` is what the index is to say of KEYS[n] from now on: a counter's last value or a revision, which it remembers
-- when the slot has ended, too, `ends_after(ttl, NOW)` of other slots, or false when it is not to name the slot.
-- `longest`: milliseconds that these live at most.
local function leave(answer, changed, longest)
  local fields, gone = {PRODUCER, recorded(answer)}, {}
  if fence then gone[1] = '~fence' end   -- which has ended, or is taken away
  if lifetime and not is_created then gone[#gone + 1] = '~until' end
  for number, after in pairs(changed) do
    if after then
      fields[#fields + 1], fields[#fields + 2] = slot_of(number), after
    else
      gone[#gone + 1] = slot_of(number)
    end
  end
  call_in_chunks('HSET', INDEX, fields, 1, #fields)
  if gone[1] then call_in_chunks('HDEL', INDEX, gone, 1, #gone) end
  index_lives_for(longest and longest > 0 and longest or RECORD_AGE * 1000)
  return answer
end

-- Ends a call that is refused. It is recorded: were it to arrive again, what was in its way might have gone.
local function refuse(why)
  leave(why, {})
  return refusal(why)
end
