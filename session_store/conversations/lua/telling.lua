-- What is told of a conversation. conversation.lua comes before.

local TOLD = {'rev', 'ver', 'seq', 'n', 'tok', 'ca', 'la', 'xa', 'u', 'a', 'st', 't', 'g', 'x', 's', 'su'}

-- All that is told of it: the time, how long the key lives, and the fields.
local function told(now)
  return {written(now), call('PTTL', KEY), unpack(call('HMGET', KEY, unpack(TOLD)))}
end
