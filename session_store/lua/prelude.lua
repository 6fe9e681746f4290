-- The rules of a namespace, put before the body of every script: fence, lifetime, token, index, TTL.
--
-- KEYS[1]   <prefix>:<namespace>:~index   hash: a field per slot: minus the second since the epoch at which it ends or,
--                                         for a counter, its last value, with '=' before one below 0. Others are:
--           ~fence        when the fence ends, in milliseconds since the epoch
--           ~until        when the namespace ends, if it was created with a lifetime, in milliseconds since the epoch
--           ~lock:<slot>  who holds the slot's lock, as <when it ends, in milliseconds>:<producer><sequence>
--           ~<producer>   its latest call, as <second, 8 hexadecimal digits><sequence>:<answer, or why it was refused>. A
--                         sequence is 4 random characters and a hexadecimal number that only goes up
-- KEYS[2..] <prefix>:<namespace>:<slot>   string or hash: what the application stores
--
-- All of this runs at every call, the making of its functions included.

local call, find, sub = redis.call, string.find, string.sub
local INDEX = KEYS[1]
local SLOT_BEGINS = #INDEX - 5      -- INDEX ends in '~index'; the name of a slot begins at the same place in its key
local RECORD_AGE = 600              -- seconds that a call is remembered, if the index lives; clients resend sooner
local INDEX_SLACK = 500             -- milliseconds that the index may outlive its slots; saves it a write in a burst
local LEFT = math.huge              -- milliseconds that the namespace has left; see `heed`
local CHUNK = 4000                  -- arguments of one call; Lua's unpack refuses 8000

-- A command over list[first..last], in several calls when that is long. The sum of the replies.
local function call_in_chunks(command, key, list, first, last)
  local done = call(command, key, unpack(list, first, math.min(last, first + CHUNK - 1)))
  if last < first + CHUNK then return done end
  return done + call_in_chunks(command, key, list, first + CHUNK, last)
end

-- The time of the server's clock, in milliseconds since the epoch and in seconds.
local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000), tonumber(time[1])
end

-- Takes note of when the namespace ends: `ends` is what the index says. Whether it was created, and has not ended.
local function heed(ends, now)
  local left = ends and tonumber(ends) - now or 0
  if left > 0 then LEFT = left end
  return left > 0
end

-- The index outlives every slot that it names.
local function index_lives_for(ttl_ms)
  ttl_ms = math.min(ttl_ms, LEFT)
  if call('PTTL', INDEX) < ttl_ms then
    call('PEXPIRE', INDEX, ttl_ms + INDEX_SLACK)
  end
end

-- What the index remembers of a counter: its last value, nil where it remembers none.
local function last_value(entry)
  if not entry or entry == '' or sub(entry, 1, 1) == '-' then return nil end
  return sub(entry, 1, 1) == '=' and sub(entry, 2) or entry
end

-- What the index says of a slot that is no counter and lives for so long from now (in seconds) on.
local function ends_after(ttl_ms, now)
  return string.format('%.0f', -(now + math.ceil(ttl_ms / 1000) + 1))
end
