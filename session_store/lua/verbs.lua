-- The verbs: what each works on, and what those that all scripts may be asked for do. `once.lua` comes before.

-- What a verb works on; a verb that is not here is refused before anything is written.
local WORKS_ON = {set = 'string', incr = 'string', hset = 'hash', hdel = 'hash', hincrby = 'hash', delete = 'any'}

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
