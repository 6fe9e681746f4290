-- Keeps a summary of the messages up to one; it is forgotten when one of these is edited or taken out.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3]   how long it lives if nothing is written, in milliseconds
-- ARGV[4]   the revision that it is to have, or ''
-- ARGV[5]   the number of the last message that it is of
-- ARGV[6]   the summary, or '': none
--
-- Reply     'done', 'missing', 'conflict:<revision>', 'beyond': there is no such message yet

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return leave('missing', {}) end
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= rev then return leave('conflict:' .. written(rev), {}) end
if tonumber(ARGV[5]) > seq then return leave('beyond', {}) end
if ARGV[6] == '' then
  call('HDEL', KEY, 's', 'su')
else
  call('HSET', KEY, 's', ARGV[6], 'su', ARGV[5])
end
local ttl = ttl_of(KEY, tonumber(ARGV[3]))
call('PEXPIRE', KEY, ttl)
return leave('done', {[2] = ends_after(ttl, NOW)}, ttl)
