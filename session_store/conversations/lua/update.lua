-- Changes what is told of a conversation.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3]   how long it lives if nothing is written, in milliseconds
-- ARGV[4]   the version that it is to have, or ''
-- ARGV[5..] fields, and what each is to hold: '=' and that, or '' for nothing
--
-- Reply     {'done', user and agent before, what conversation.lua's `told` gives}; where the call came before, 'done'
--           'missing', 'conflict:<version>'

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return leave('missing', {}) end
local version, user, agent = unpack(call('HMGET', KEY, 'ver', 'u', 'a'))
if ARGV[4] ~= '' and ARGV[4] ~= version then return leave('conflict:' .. version, {}) end
for at = 5, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    call('HDEL', KEY, ARGV[at])
  else
    call('HSET', KEY, ARGV[at], sub(ARGV[at + 1], 2))
  end
end
local ttl = ttl_of(KEY, tonumber(ARGV[3]))
call('HSET', KEY, 'ver', written(version + 1), 'la', written(math.max(NOW_MS, last)))
call('PEXPIRE', KEY, ttl)
leave('done', {[2] = ends_after(ttl, NOW)}, ttl)
return {'done', user, agent, unpack(told(NOW_MS))}
