-- Applies what a closure recorded, if every watched slot is what it was: all operations, or none.
--
-- Effects   once, if every watched slot is what it was
--
-- KEYS[2..] the watched slots, and behind them the other slots that the operations name
-- ARGV[3]   number of the attempt, which is the answer; 0 settles a commit that had no answer: it gives the attempt that
--           was applied or, for 0, none ever will be
-- ARGV[4]   bytes that a slot may have to be sent along
-- ARGV[5]   what is done about locks, as in begin.lua, where the attempt is lost; those that it has go back where not
-- ARGV[6]   count of the watched slots
-- ARGV[7..] for each of them its mark, and its content mark or ''
-- then      operations, each: verb (set, delete, hset, hdel), number of its key in KEYS, TTL in milliseconds, count of
--           arguments, arguments (as those of a single call)
--
-- Replies   the attempt that was applied, now or when the token came first
--           {'lost', what begin.lua would reply now}
--           {'type', number}  refused: the slot of this operation holds something else

local ATTEMPT, MOST_BYTES, LOCK_TTL = ARGV[3], tonumber(ARGV[4]), tonumber(ARGV[5])
local LAST_WATCHED = 1 + ARGV[6]
local FIRST_OPERATION = 7 + 2 * ARGV[6]

local lock_names = {}
for number = 2, LOCK_TTL < 0 and 0 or LAST_WATCHED do lock_names[number - 1] = '~lock:' .. slot_of(number) end
local reply, locks = enter(lock_names)
if reply then
  give_back(lock_names, locks)
  return reply
end

-- Is every watched slot what it was?
local is_lost = false
for number = 2, LAST_WATCHED do
  local key, at = KEYS[number], 3 + 2 * number   -- of its mark
  is_lost = is_lost or not is_as_before(key, mark(key), ARGV[at], ARGV[at + 1])
end
if is_lost then
  for _, lock in ipairs(locks) do
    local holder = other_holder(lock)
    if holder then return {'lost', {'locked', holder}} end
  end
  if LOCK_TTL > 0 then take_locks(lock_names, LOCK_TTL) end
  local began = {'began'}
  for number = 2, LAST_WATCHED do began[number] = seen(KEYS[number], MOST_BYTES, true) end
  return {'lost', began}
end
if ATTEMPT ~= '0' and not ARGV[FIRST_OPERATION] then   -- only read: there is nothing to record
  give_back(lock_names, locks)
  return ATTEMPT
end

-- Whether the operations before this place leave a hash without a field, and so no key.
local function emptied(number, place)
  local fields, at = {}, FIRST_OPERATION
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

-- Can every operation succeed, each after the ones before it? kinds[n] is that of KEYS[n] by then.
local kinds = {}
local at, operation = FIRST_OPERATION, 1
while ARGV[at] do
  local verb, number = ARGV[at], tonumber(ARGV[at + 1])
  local wanted = WORKS_ON[verb]
  if not wanted or verb == 'incr' or verb == 'hincrby' then return redis.error_reply('ERR unknown operation') end
  local kind = kinds[number] or call('TYPE', KEYS[number]).ok
  if wanted == 'any' then
    kinds[number] = 'none'
  else
    if kind ~= 'none' and kind ~= wanted and not (kind == 'hash' and emptied(number, at)) then
      give_back(lock_names, locks)
      return {'type', operation}
    end
    kinds[number] = verb == 'hdel' and kind or wanted
  end
  at, operation = at + 4 + ARGV[at + 3], operation + 1
end

local longest, changed = 0, {}
at = FIRST_OPERATION
while ARGV[at] do
  local number, last = tonumber(ARGV[at + 1]), at + 3 + ARGV[at + 3]
  local _, ttl, after = perform(ARGV[at], KEYS[number], tonumber(ARGV[at + 2]), at + 4, last, entries[number])
  if after ~= nil then
    entries[number] = after
    changed[number] = after
    if ttl > longest then longest = ttl end
  end
  at = last + 1
end

give_back(lock_names, locks)
return leave(ATTEMPT, changed, longest)
