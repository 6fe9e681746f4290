-- Deletes a snapshot that nobody has saved since it was looked at.
--
-- Effects   once
--
-- KEYS[2]   the snapshot
-- ARGV[3]   the revision that it had
--
-- Reply     'done', 'changed'

local reply = enter()
if reply then return reply end
if call('HGET', KEY, 'rev') ~= ARGV[3] then return leave('changed', {}) end
call('UNLINK', KEY)
return leave('done', {[2] = false})
