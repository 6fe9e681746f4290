-- Keeps a summary of the messages up to one; it is forgotten when one of these is edited or taken out.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3,4] as living.lua has them
-- ARGV[5]   the revision that it is to have, or ''
-- ARGV[6]   the number of the last message that it is of
-- ARGV[7]   the summary, or '': none
--
-- Reply     {'done', ..}, as living.lua's `lives_on`; 'missing', 'conflict:<revision>', 'beyond': there is no such message yet

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
if ARGV[5] ~= '' and tonumber(ARGV[5]) ~= rev then return conflict(rev) end
if tonumber(ARGV[6]) > seq then return leave('beyond', {}) end
if ARGV[7] == '' then
  call('HDEL', KEY, 's', 'su')
else
  call('HSET', KEY, 's', ARGV[7], 'su', ARGV[6])
end
return lives_on('done')
