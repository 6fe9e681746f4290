-- Gives a message another content.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3,4] as living.lua has them
-- ARGV[5]   the revision that it is to have, or ''
-- ARGV[6]   the number of the message
-- ARGV[7]   its tokens, or '': as many as before
-- ARGV[8]   the place that its body was encoded for
-- ARGV[9]   the place that it has to have by now, or ''
-- ARGV[10]   its body
--
-- Reply     {'done:<revision>:<time>:', .., the message}, as living.lua's `lives_on`; where the call came before, the text alone
--           'missing', 'conflict:<revision>', 'gone': there is no such message, 'changed': it is at another place

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
if ARGV[5] ~= '' and tonumber(ARGV[5]) ~= rev then return conflict(rev) end
local number = tonumber(ARGV[6])
local message = call('HGET', KEY, written(number))
if not message then return leave('gone', {}) end
local created, _, costs, role, place, key = parts(message)
if ARGV[9] ~= '' and ARGV[9] ~= place then return leave('changed', {}) end
local costs_now = ARGV[7] == '' and costs or tonumber(ARGV[7])
message = message_of(created, this_time(), written(costs_now), role, ARGV[8], key, ARGV[10])
fields[1], fields[2] = written(number), message
tokens = tokens + costs_now - costs
forget_summary(number)
local answer = changed('')
answer[3] = message
return answer
