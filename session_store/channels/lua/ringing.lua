-- How a channel lives on when something happens, and how its followers are told. channel.lua comes before.
--
-- ARGV[3]   how long it lives, in milliseconds
-- ARGV[4]   where its bell is heard
-- ARGV[5]   the epoch that it gets if it begins, or '': it is not to begin

-- Whether the channel is there; it begins where it may.
local function begun()
  opened()
  if epoch then return true end
  if ARGV[5] == '' then return false end
  epoch, last, first, ended, producer, produced_until = ARGV[5], 0, 1, false, false, 0
  call('HSET', KEY, 'e', epoch, 'n', 0, 'f', 1)
  return true
end

-- Ends a call that did what it was to do. What is rung: `<epoch> <last number> <what the producer has left> <what>`. The
-- bell comes last: where it is refused, all else is as it must be, and the caller is told.
local function ring(answer, what)
  local ttl = ttl_of(KEY, tonumber(ARGV[3]))
  call('PEXPIRE', KEY, ttl)
  leave(answer, {[2] = ends_after(ttl, NOW)}, ttl)
  call('PUBLISH', ARGV[4], table.concat({epoch, written(last), written(left(NOW_MS)), what}, ' '))
  return answer
end
