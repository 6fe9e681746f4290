-- Locks of slots: advisory. A writer that lost waits for its turn, and others wait for it, so that they do not make each
-- other lose. Nothing rests on them but speed, and that nobody starves.

local OWNER = ARGV[1] .. ARGV[2]

-- Who holds a lock, if it is another and has not run out. One that ends later than any can is of a clock that was ahead.
local function other_holder(lock)
  if not lock then return nil end
  local colon = find(lock, ':', 1, true)
  local owner = sub(lock, colon + 1)
  local left = tonumber(sub(lock, 1, colon - 1)) - now_ms()
  if owner ~= OWNER and left > 0 and left <= RECORD_AGE * 1000 then return owner end
end

-- Takes the locks of these slots for so many milliseconds. Where memory is full, it is done without.
local function take_locks(names, ttl_ms)
  local value = string.format('%.0f:%s', now_ms() + ttl_ms, OWNER)
  for _, name in ipairs(names) do
    if type(redis.pcall('HSET', INDEX, name, value)) == 'table' then return end
  end
  index_lives_for(ttl_ms)
end

-- Gives back those that are this call's.
local function give_back(names, locks)
  for number, name in ipairs(names) do
    local lock = locks[number]
    if lock and sub(lock, find(lock, ':', 1, true) + 1) == OWNER then call('HDEL', INDEX, name) end
  end
end
