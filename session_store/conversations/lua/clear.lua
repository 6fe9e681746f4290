-- Takes all messages out, however many: the hash is made anew. The numbers go on.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3,4] as living.lua has them
--
-- Reply     {'done:<revision>:<time>:<how many there were>', ..}, as living.lua's `lives_on`; 'missing'

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
local kept = {'ver', 'ca', 'xa', 'lt', 'u', 'a', 'st', 't', 'g', 'x'}
fields = {'first', written(seq + 1)}
for at, held in ipairs(call('HMGET', KEY, unpack(kept))) do
  if held then fields[#fields + 1], fields[#fields + 2] = kept[at], held end
end
call('UNLINK', KEY)
local removed = count
count, tokens = 0, 0
return changed(removed)
