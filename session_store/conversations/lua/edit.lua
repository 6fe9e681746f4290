-- Gives a message another content.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3]   how long it lives if nothing is written, in milliseconds
-- ARGV[4]   the revision that it is to have, or ''
-- ARGV[5]   the number of the message
-- ARGV[6]   its tokens, or '': as many as before
-- ARGV[7]   the place that its body was encoded for
-- ARGV[8]   the place that it has to have by now, or ''
-- ARGV[9]   its body
--
-- Reply     {'done:<revision>:<time>:', the message}; where the call came before, the text alone
--           'missing', 'conflict:<revision>', 'gone': there is no such message, 'changed': it is at another place

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
if ARGV[4] ~= '' and tonumber(ARGV[4]) ~= rev then return conflict(rev) end
local number = tonumber(ARGV[5])
local message = call('HGET', KEY, written(number))
if not message then return leave('gone', {}) end
local created, _, costs, role, place, key = parts(message)
if ARGV[8] ~= '' and ARGV[8] ~= place then return leave('changed', {}) end
local costs_now = ARGV[6] == '' and costs or tonumber(ARGV[6])
message = message_of(created, this_time(), written(costs_now), role, ARGV[7], key, ARGV[9])
fields[1], fields[2] = written(number), message
tokens = tokens + costs_now - costs
forget_summary(number)
return {changed(''), message}
