-- Puts messages in place of all that come after one.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3]   how long it lives if nothing is written, in milliseconds
-- ARGV[4]   the revision that it is to have, or ''
-- ARGV[5]   the number of that one
-- ARGV[6..] the messages, as changing.lua's `add` takes them
--
-- Reply     'done:<revision>:<time>:<number of the first one>:', 'missing', 'conflict:<revision>'

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= rev then return conflict(rev) end
for number = math.max(tonumber(ARGV[5]) + 1, first), seq do remove(number) end
local begins = written(seq + 1)
return changed(begins .. ':' .. add(6))
