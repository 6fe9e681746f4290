-- Puts messages in place of all that come after one.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3,4] as living.lua has them
-- ARGV[5]   the revision that it is to have, or ''
-- ARGV[6]   the number of that one
-- ARGV[7..] the messages, as changing.lua's `add` takes them
--
-- Reply     {'done:<revision>:<time>:<number of the first one>:', ..}, as living.lua's `lives_on`
--           'missing', 'conflict:<revision>'

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
if ARGV[5] ~= '' and tonumber(ARGV[5]) ~= rev then return conflict(rev) end
for number = math.max(tonumber(ARGV[6]) + 1, first), seq do remove(number) end
local begins = written(seq + 1)
return changed(begins .. ':' .. add(7))
