local TOLERANCE = 1000   -- milliseconds: until Redis 7.2 the clock goes on during a script

-- Renews a session, and all slots that end no sooner: those that were given a shorter TTL end when they were to. What
-- `leave` is to be told of it.
local function renewed(wanted)
  local changed, ended = {}, call('PTTL', KEY) - TOLERANCE
  local ttl = ttl_of(KEY, wanted)
  call('HSET', KEY, '~renewed', written(NOW_MS))
  for number = 2, #KEYS do
    if number == 2 or call('PTTL', KEYS[number]) >= ended then
      call('PEXPIRE', KEYS[number], ttl)
      changed[number] = last_value(entries[number]) and entries[number] or ends_after(ttl, NOW)
    end
  end
  return changed, ttl
end
