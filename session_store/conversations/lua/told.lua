-- What is told of a conversation.
--
-- Effects   reads
--
-- KEYS[2]   the conversation
--
-- Reply     what conversation.lua's `told` gives, or 'missing'

local now = now_ms()
return opened(now) and told(now) or 'missing'
