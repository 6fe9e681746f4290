-- Gives a session another secret: at a login, or to have another one.
--
-- Effects   writes
--
-- KEYS[2]   the session
-- KEYS[3..] all other slots of the namespace
-- ARGV[3]   digest of the request's secret, which must be the current one
-- ARGV[4]   digest of the other
-- ARGV[5]   for how many milliseconds the one before counts; 0: for none
-- ARGV[6]   for what it counts then: 'save', or 'load' and save
-- ARGV[7]   at a login, how long the session lives at most from now on, in milliseconds; else ''
-- ARGV[8]   how long it lives if it is not renewed, in milliseconds
-- ARGV[9..] changes, as in session.lua
--
-- Replies   the time of the server's clock
--           'ended', 'superseded'            nothing was written
--           {'changed', field, held, ..}     nothing was written: these hold something else
--           {'listed', slot, ..}             nothing was written: the namespace has these, and KEYS does not have them all

local reply = enter()
if reply then return reply end
local is, now = standing(ARGV[3]), written(NOW_MS)
if is ~= 'current' then return leave(is == 'old' and 'superseded' or is, {}) end
local listed = listed_slots()
if listed then return listed end
local changed = changed_meanwhile(9)
if changed then return changed end

apply_changes(9)
call('HSET', KEY, '~secret', ARGV[4], '~rotated', now)
if ARGV[5] == '0' then
  call('HDEL', KEY, '~old', '~grace', '~mode')
else
  call('HSET', KEY, '~old', ARGV[3], '~grace', written(NOW_MS + ARGV[5]), '~mode', ARGV[6])
end
if ARGV[7] ~= '' then
  ends_in(tonumber(ARGV[7]))
  call('HSET', KEY, '~auth', now, '~deadline', lifetime)
end
return leave(now, renewed(tonumber(ARGV[8])))
