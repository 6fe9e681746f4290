-- Changes what is told of a conversation.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV[3,4] as living.lua has them
-- ARGV[5]   the version that it is to have, or ''
-- ARGV[6..] fields, and what each is to hold: '=' and that, or '' for nothing
--
-- Reply     {'done', .., user and agent before, what telling.lua's `told` gives}, as living.lua's `lives_on`; where the
--           call came before, 'done'
--           'missing', 'conflict:<version>'

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
local version, user, agent = unpack(call('HMGET', KEY, 'ver', 'u', 'a'))
if ARGV[5] ~= '' and ARGV[5] ~= version then return conflict(version) end
for at = 6, #ARGV, 2 do
  if ARGV[at + 1] == '' then
    call('HDEL', KEY, ARGV[at])
  else
    call('HSET', KEY, ARGV[at], sub(ARGV[at + 1], 2))
  end
end
call('HSET', KEY, 'ver', written(version + 1), 'la', written(math.max(NOW_MS, last)))
local answer = lives_on('done')
answer[3], answer[4] = user, agent
answer[5] = told(NOW_MS)
return answer
