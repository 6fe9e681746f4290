-- Saves what a request changed. The session lives no longer for it: that is what renewing is for.
--
-- Effects   once
--
-- KEYS[2]   the session
-- ARGV[3]   digest of the request's secret
-- ARGV[4..] changes, as in session.lua
--
-- Replies   the time of the server's clock
--           'ended', 'superseded'            nothing was written
--           {'changed', field, held, ..}     nothing was written: these hold something else

local reply = enter()
if reply then return reply end
local is = standing(ARGV[3])
if is == 'ended' or is == 'superseded' then return leave(is, {}) end
local changed = changed_meanwhile(4)
if changed then return changed end
apply_changes(4)
return leave(written(NOW_MS), {}, call('PTTL', KEY))
