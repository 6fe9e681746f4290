-- The rules of a namespace, put before the body of every script: fence, token, index, TTL.
--
-- KEYS[1]   <prefix>:<namespace>:~index   hash: a field per slot ('' or, for a counter, its last value);
--           ~commits: the latest commit of each writer, oldest first, as records
--                     <writer>.<call>=<answer, or why it was refused>@<seconds since the epoch, hexadecimal>;
--                     a call begins with its number, 8 hexadecimal digits that only go up, and goes on at random
--           ~fence:   when the fence ends, in milliseconds since the epoch
-- KEYS[2..] <prefix>:<namespace>:<slot>   string or hash: what the application stores
--
-- All of this runs at every call, the making of its functions included.

local call, find, sub, match = redis.call, string.find, string.sub, string.match
local INDEX = KEYS[1]
local SLOT_BEGINS = #INDEX - 5      -- INDEX ends in '~index'; the name of a slot begins at the same place in its key
local RECORD_AGE = 600              -- seconds that a commit is remembered, if the index lives; clients resend sooner
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

-- The answer recorded under a token, or nil; and whether the token is stale: its writer has gone on to other calls, so
-- this is an old one that was long on its way.
local function recall(commits, token)
  local dot = find(token, '.', 1, true)
  local from = find(commits, sub(token, 1, dot), 1, true)
  if not from then return nil, false end
  local recorded, answer = match(commits, '^([^=]*)=([^@]*)@', from + dot)
  if recorded == sub(token, dot + 1) then return answer, false end
  return nil, sub(token, dot + 1, dot + 8) <= sub(recorded, 1, 8)
end

-- The records with a new one in place of the same writer's last, and without those that are too old.
local function remember(commits, token, answer)
  local now = call('TIME')[1]
  local record = string.format('%s=%s@%x;', token, answer, now)
  if not commits then return record end
  local from = find(commits, match(token, '^[^.]*%.'), 1, true)
  if from then
    commits = sub(commits, 1, from - 1) .. sub(commits, find(commits, ';', from, true) + 1)
  end
  while commits ~= '' and tonumber(match(commits, '@(%x+);'), 16) < now - RECORD_AGE do
    commits = sub(commits, find(commits, ';', 1, true) + 1)
  end
  return commits .. record
end

-- The index outlives every slot that it names.
local function index_lives_for(ttl_ms)
  if call('PTTL', INDEX) < ttl_ms then
    call('PEXPIRE', INDEX, ttl_ms + INDEX_SLACK)
  end
end
