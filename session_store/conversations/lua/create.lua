-- Begins a conversation.
--
-- Effects   writes
--
-- KEYS[2]   the conversation
-- ARGV[3]   how long it lives if nothing is written, in milliseconds
-- ARGV[4]   how long it lives at most, in milliseconds; 0: there is no such time
-- ARGV[5..] fields and what they are to hold
--
-- Reply     'exists', or the list of telling.lua's `told`; where the call came before, 'done'

local reply = enter()
if reply then return reply end
if opened(NOW_MS) then return leave('exists', {}) end
local now, most, time = written(NOW_MS), tonumber(ARGV[4]), call('TIME')
local begins = written(time[1] * 1e6 + time[2])   -- no conversation changes as often as once in a microsecond
if call('EXISTS', KEY) == 1 then call('DEL', KEY) end   -- what has ended; else a full memory is to be seen by what follows
call('HSET', KEY, 'rev', begins, 'ver', begins, 'seq', 0, 'first', 1, 'n', 0, 'tok', 0, 'ca', now, 'la', now, 'lt', now)
if most > 0 then
  ends_in(most)
  call('HSET', KEY, 'xa', lifetime)
end
call('HSET', KEY, unpack(ARGV, 5))
local ttl = ttl_of(KEY, tonumber(ARGV[3]))
call('PEXPIRE', KEY, ttl)
leave('done', {[2] = ends_after(ttl, NOW)}, ttl)
return told(NOW_MS)
