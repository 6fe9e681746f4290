-- Begins a session.
--
-- Effects   writes
--
-- KEYS[2]   the session
-- ARGV[3]   how long it lives at most, in milliseconds
-- ARGV[4]   how long it lives if it is not renewed, in milliseconds
-- ARGV[5]   digest of its secret
-- ARGV[6..] changes, as in session.lua
--
-- Reply     the time of the server's clock; '0' where there is such a namespace already

local reply = enter()
if reply then return reply end
if lives() then return leave('0', {}) end
ends_in(tonumber(ARGV[3]))
local now, ttl = written(NOW_MS), ttl_of(KEY, tonumber(ARGV[4]))
call('HSET', KEY, '~secret', ARGV[5], '~created', now, '~renewed', now, '~deadline', lifetime)
apply_changes(6)
call('PEXPIRE', KEY, ttl)
return leave(now, {[2] = ends_after(ttl, NOW)}, ttl)
