-- Has a conversation live on.
--
-- Effects   once
--
-- KEYS[2]   the conversation
-- ARGV      as living.lua has them
--
-- Reply     'missing', or what living.lua's `lives_on` gives: {'done', ..}

local reply = enter()
if reply then return reply end
if not opened(NOW_MS) then return missing() end
return lives_on('done')
