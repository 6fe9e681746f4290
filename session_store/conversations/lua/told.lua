-- What is told of a conversation.
--
-- Effects   reads
--
-- KEYS[2]   the conversation
-- ARGV[1]   'hash': a key of another type is no conversation, and no error, which would be one of a whole list
--
-- Reply     what telling.lua's `told` gives, or 'missing'

if ARGV[1] == 'hash' and call('TYPE', KEY).ok ~= 'hash' then return 'missing' end
local now = now_ms()
return opened(now) and told(now) or 'missing'
