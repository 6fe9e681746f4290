-- Saves a snapshot in place of the one that is there.
--
-- Effects   writes
--
-- KEYS[2]   the snapshot
-- ARGV[3]   how long it lives, in milliseconds
-- ARGV[4]   what is saved, by the codec
-- ARGV[5]   the application's version of that
-- ARGV[6]   which turn it is of, or ''
-- ARGV[7]   the revision that is to be there, 0 for none, or ''
-- ARGV[8]   '=' and whose list it is in, or '': as before
-- ARGV[9]   for how many milliseconds a list need not be told again that it lives
-- ARGV[10]  '1': the list was told of it before this call
-- ARGV[11]  the end of a fence that this call is to take away, or ''
--
-- Reply     {'done:<revision>:<turn, or nothing>:<time>:<TTL>', whose list is to be told, or false}; where the call came
--           before, the text alone
--           'conflict:<revision>', 'stale:<turn>'

local has = call('HMGET', KEY, 'rev', 'tick', 'o', 'lt')   -- first: another type of key is an error before anything is done
local reply = enter(nil, ARGV[11])
if reply then return reply end
local rev, tick, owner, listed = tonumber(has[1] or 0), has[2], has[3], tonumber(has[4] or 0)
if ARGV[7] ~= '' and tonumber(ARGV[7]) ~= rev then return leave('conflict:' .. written(rev), {}) end
if ARGV[6] ~= '' then
  if tick and tonumber(ARGV[6]) < tonumber(tick) then return leave('stale:' .. tick, {}) end
  tick = ARGV[6]
end
local time = call('TIME')
rev = rev > 0 and rev + 1 or time[1] * 1e6 + time[2]   -- nothing is saved as often as once in a microsecond
local fields = {'rev', written(rev), 'sv', ARGV[5], 'ts', written(NOW_MS), 'tl', ARGV[3], 'b', ARGV[4]}
local function set(name, value) fields[#fields + 1], fields[#fields + 2] = name, value end
if tick then set('tick', tick) end
if ARGV[8] ~= '' then
  owner = sub(ARGV[8], 2)
  set('o', owner)
end
local tell = owner and NOW_MS - listed >= tonumber(ARGV[9])
if tell then set('lt', written(NOW_MS)) end
call('HSET', KEY, unpack(fields))
local ttl = ttl_of(KEY, tonumber(ARGV[3]))
call('PEXPIRE', KEY, ttl)
local answer = table.concat({'done', written(rev), tick or '', written(NOW_MS), written(ttl)}, ':')
leave(answer, {[2] = ends_after(ttl, NOW)}, ttl)
return {answer, tell and ARGV[10] ~= '1' and owner}
