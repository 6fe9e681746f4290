-- Has a session live on, and with it the slots that were to live as long.
--
-- Effects   writes
--
-- KEYS[2]   the session
-- KEYS[3..] all other slots of the namespace
-- ARGV[3]   digest of the request's secret
-- ARGV[4]   how long it lives if it is not renewed again, in milliseconds
--
-- Replies   the time of the server's clock
--           'ended', 'superseded'            nothing was done
--           {'listed', slot, ..}             nothing was done: the namespace has these, and KEYS does not have them all

local reply = enter()
if reply then return reply end
local is = standing(ARGV[3])
if is == 'ended' or is == 'superseded' then return leave(is, {}) end
local listed = listed_slots()
if listed then return listed end
return leave(written(NOW_MS), renewed(tonumber(ARGV[4])))
