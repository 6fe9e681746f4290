-- Takes messages out.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3,4] as living.lua has them
-- ARGV[5]   the revision that it is to have, or ''
-- ARGV[6..] their numbers
--
-- Reply     {'done:<revision>:<time>:<how many there were>', ..}, as living.lua's `lives_on`; 'missing', 'conflict:<revision>'

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
if ARGV[5] ~= '' and tonumber(ARGV[5]) ~= rev then return conflict(rev) end
local removed = 0
for at = 6, #ARGV do
  if remove(tonumber(ARGV[at])) then removed = removed + 1 end
end
if removed == 0 then return leave(table.concat({'done', written(rev), written(last), 0}, ':'), {}) end
return changed(removed)
