-- What the scripts of a session share: whose a token is, and what a request changed. The primitive's once.lua comes before.
--
-- KEYS[2]   the session, a hash. Fields as they are: ~secret (hexadecimal SHA-256 of the token's secret), ~rotated (since
--           when), ~old and ~grace (the digest before it, and until when that counts), ~mode (for what: 'save', or 'load'
--           and save), ~created, ~auth (when its owner logged in last), ~deadline, ~renewed. All times are milliseconds since the epoch, by the
--           server's clock. By the codec: ~owner, ~label, and the application's keys, each behind a dot
--
-- A change is three arguments: a field; what it held when it was loaded ('=' and that, '' for nothing, '*' for whatever it
-- holds); and what it is to hold ('=' and that, '' for nothing)

local KEY = KEYS[2]

-- What a secret is to the session: 'current', 'old' (before it was rotated, and within the grace), 'superseded', or 'ended'
-- where there is no session.
local function standing(digest)
  local has = call('HMGET', KEY, '~secret', '~old', '~grace')
  if not has[1] then return 'ended' end
  if has[1] == digest then return 'current' end
  return has[2] == digest and NOW_MS < tonumber(has[3]) and 'old' or 'superseded'
end

-- {'changed', field, what it holds, ..} of those that hold something else than when they were loaded; nil for none.
local function changed_meanwhile(first)
  local reply = {'changed'}
  for at = first, #ARGV, 3 do
    if ARGV[at + 1] ~= '*' then
      local held = call('HGET', KEY, ARGV[at])
      held = held and '=' .. held or ''
      if held ~= ARGV[at + 1] then reply[#reply + 1], reply[#reply + 2] = ARGV[at], held end
    end
  end
  return reply[2] and reply or nil
end

local function apply_changes(first)
  for at = first, #ARGV, 3 do
    if ARGV[at + 2] == '' then
      call('HDEL', KEY, ARGV[at])
    else
      call('HSET', KEY, ARGV[at], sub(ARGV[at + 2], 2))
    end
  end
end

local function written(ms) return string.format('%.0f', ms) end
