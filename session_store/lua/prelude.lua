-- The rules of a namespace, put before the body of every script: fence, token, index, TTL.
--
-- KEYS[1]   <prefix>:<namespace>:~index   hash: a field per slot ('' or, for a counter, its last value);
--           ~fence:   when the fence ends, in milliseconds since the epoch
--           ~era:     when the current era began, in seconds since the epoch, 8 hexadecimal digits
--           ~<writer> (8 characters): its latest call, as <era><call><answer, or why it was refused>. A call is 8
--                     hexadecimal digits that only go up, and 8 random characters
-- KEYS[2..] <prefix>:<namespace>:<slot>   string or hash: what the application stores
--
-- All of this runs at every call, the making of its functions included.

local call, find, sub = redis.call, string.find, string.sub
local INDEX = KEYS[1]
local SLOT_BEGINS = #INDEX - 5      -- INDEX ends in '~index'; the name of a slot begins at the same place in its key
local RECORD_AGE = 600              -- seconds that a call is remembered, if the index lives; clients resend sooner
local INDEX_SLACK = 500             -- milliseconds that the index may outlive its slots; saves it a write in a burst
local CHUNK = 4000                  -- arguments of one call; Lua's unpack refuses 8000

-- A command over list[first..last], in several calls when that is long. The sum of the replies.
local function call_in_chunks(command, key, list, first, last)
  local done = call(command, key, unpack(list, first, math.min(last, first + CHUNK - 1)))
  if last < first + CHUNK then return done end
  return done + call_in_chunks(command, key, list, first + CHUNK, last)
end

-- Milliseconds since the epoch, by the server's clock.
local function now_ms()
  local time = call('TIME')
  return time[1] * 1000 + math.floor(time[2] / 1000)
end

-- The index outlives every slot that it names.
local function index_lives_for(ttl_ms)
  if call('PTTL', INDEX) < ttl_ms then
    call('PEXPIRE', INDEX, ttl_ms + INDEX_SLACK)
  end
end
