-- Reads what an attempt begins with: the fence, the token, whose turn it is, and the watched slots. Writes nothing but
-- turns.
--
-- KEYS[2..] the watched slots, and behind them, unless turns are left alone, the turn of each: a string that holds the
--           call whose turn it is
-- ARGV[1]   the field of the writer in the index
-- ARGV[2]   its call
-- ARGV[3]   bytes that a slot may have to be sent along
-- ARGV[4]   what is done about turns. 0: waits for those of others; more: the same, and takes them, for so many
--           milliseconds; -1: leaves them alone
-- ARGV[5]   count of the turns
--
-- Reply     {fenced (1, 0), number of the attempt that has committed or nil, slot, slot, ..}, where a slot is
--             {'none'}   {'string', value}   {'hash', {field, value, ..}}
--             {type}     for one that is too large, or of a type that is not ours
--           without slots when it is the turn of another

local WRITER, CALL, MOST_BYTES, LEASE = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local LAST_SLOT = #KEYS - ARGV[5]
local MOST_FIELDS = 256

-- A hash's fields and values, nil when it is too large. One that Redis keeps packed is small, by the server's settings.
local function small_hash(key)
  local encoding = redis.pcall('OBJECT', 'ENCODING', key)
  if encoding == 'listpack' or encoding == 'ziplist' then return call('HGETALL', key) end
  if call('HLEN', key) > MOST_FIELDS then return nil end
  local bytes = 0
  for _, field in ipairs(call('HKEYS', key)) do
    bytes = bytes + #field + call('HSTRLEN', key, field)
    if bytes > MOST_BYTES then return nil end
  end
  return call('HGETALL', key)
end

local head = call('HMGET', INDEX, '~fence', WRITER)
local fence, record = head[1], head[2]
local reply = {
  fence and now_ms() < tonumber(fence) and 1 or 0,
  record and sub(record, 9, 24) == CALL and sub(record, 25),
}

if LEASE >= 0 then
  local mine = {}
  for number = LAST_SLOT + 1, #KEYS do
    local holder = call('MGET', KEYS[number])[1]   -- unlike GET, it passes over what is no turn
    if holder and holder ~= CALL then return reply end
    mine[number] = holder
  end
  for number = LAST_SLOT + 1, LEASE > 0 and #KEYS or 0 do
    if mine[number] then
      call('PEXPIRE', KEYS[number], LEASE)
    else
      redis.pcall('SET', KEYS[number], CALL, 'NX', 'PX', LEASE)   -- where memory is full, it is done without
    end
  end
end

for number = 2, LAST_SLOT do
  local key = KEYS[number]
  local kind, content = call('TYPE', key).ok
  if kind == 'hash' then
    content = small_hash(key)
  elseif kind == 'string' and call('STRLEN', key) <= MOST_BYTES then
    content = call('GET', key)
  end
  reply[number + 1] = {kind, content}
end
return reply
