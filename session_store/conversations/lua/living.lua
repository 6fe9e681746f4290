-- How a conversation lives on when it is changed. conversation.lua comes before.
--
-- ARGV[3]   how long it lives if nothing is written, in milliseconds
-- ARGV[4]   for how many milliseconds the lists of its user and its agent need not be told again that it lives

-- Ends a change. {answer, nothing or {user, agent}, where their lists are to be told}
local function lives_on(answer)
  local ttl, labels = ttl_of(KEY, tonumber(ARGV[3])), false
  if NOW_MS - listed >= tonumber(ARGV[4]) then
    labels = call('HMGET', KEY, 'u', 'a')
    call('HSET', KEY, 'lt', written(NOW_MS))
  end
  call('PEXPIRE', KEY, ttl)
  leave(answer, {[2] = ends_after(ttl, NOW)}, ttl)
  return {answer, labels}
end

-- Ends a call that found another revision than it expected, or no conversation.
local function conflict(held) return leave('conflict:' .. written(held), {}) end
local function missing() return leave('missing', {}) end
