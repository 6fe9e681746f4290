-- What the scripts of a conversation share. The primitive's prelude comes before, and once.lua where they write.
--
-- KEYS[2]   the conversation, a hash. Its messages are numbered from 1 on, and no number is given twice:
--           1, 2, ..     <created>|<edited, or nothing>|<tokens>|<role>|<place>|<length of the key>|<key><body>, by the codec
--                        for the place m:<place>
--           r0, r1, ..   the roles of 256 messages, a letter each; '-' where there is none
--           k:<key>      the number of the message that was added with this key
--           rev ver      how often messages, and what is told of it, were changed, from the time of its creation in microseconds on
--           seq first n tok   the last number; the first one since it was cleared; how many messages, and their tokens
--           ca la xa     when it was created, changed last, and ends at the latest
--           lt           when the lists of its user and its agent were last told that it is active
--           u a st       user, agent and status as they are; t g x s, by the codec: title, tags, metadata, summary
--           su           up to which message the summary goes
--           All times are milliseconds since the epoch, by the server's clock

local KEY = KEYS[2]
local PER_FIELD = 256
local rev, seq, first, count, tokens, last, upto, listed

local function written(number) return string.format('%.0f', number) end

-- Takes note of the conversation. Whether there is one; not after its end, should its key still be there.
local function opened(now)
  local has = call('HMGET', KEY, 'rev', 'seq', 'first', 'n', 'tok', 'la', 'su', 'lt', 'xa')
  if not has[1] or (has[9] and tonumber(has[9]) <= now) then return false end
  rev, seq, first, count, tokens, last = unpack(has, 1, 6)
  rev, seq, first, count = tonumber(rev), tonumber(seq), tonumber(first), tonumber(count)
  tokens, last, upto, listed = tonumber(tokens), tonumber(last), tonumber(has[7] or 0), tonumber(has[8])
  return true
end

local function message_of(created, edited, costs, role, place, key, body)
  return created .. '|' .. edited .. '|' .. costs .. '|' .. role .. '|' .. place .. '|' .. #key .. '|' .. key .. body
end

-- The field with the role of a message, and where in it.
local function role_at(number)
  local before = (number - 1) % PER_FIELD
  return 'r' .. written((number - 1 - before) / PER_FIELD), before + 1
end
