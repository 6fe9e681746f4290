-- Adds messages: all, or none.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3,4] as living.lua has them
-- ARGV[5]   the revision that it is to have, or ''
-- ARGV[6]   how many tokens it may have, or ''
-- ARGV[7..] the messages, as changing.lua's `add` takes them
--
-- Reply     {'done:<revision>:<time>:<number of the first one>:<those that were there>', ..}, as living.lua's `lives_on`
--           'missing', 'conflict:<revision>', 'budget:<tokens>'

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
local asked, fresh = 0, 0
for at = 7, #ARGV, 5 do
  if ARGV[at + 3] == '' or call('HEXISTS', KEY, 'k:' .. ARGV[at + 3]) == 0 then
    asked, fresh = asked + ARGV[at + 1], fresh + 1
  end
end
local begins = written(seq + 1)
if fresh == 0 then   -- a call that is made again, by its keys: nothing changes
  local known = add(7)
  return leave(table.concat({'done', written(rev), written(last), begins, known}, ':'), {})
end
if ARGV[5] ~= '' and tonumber(ARGV[5]) ~= rev then return conflict(rev) end
if ARGV[6] ~= '' and tokens + asked > tonumber(ARGV[6]) then return leave('budget:' .. written(tokens), {}) end
local known = add(7)
return changed(begins .. ':' .. known)
