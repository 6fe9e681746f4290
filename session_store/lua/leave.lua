-- Gives turns back.
--
-- KEYS      <prefix>:<namespace>:~turn:<slot>   string: the call whose turn it is
-- ARGV[1]   the call that gives them back

for _, turn in ipairs(KEYS) do
  if redis.call('MGET', turn)[1] == ARGV[1] then redis.call('DEL', turn) end
end
