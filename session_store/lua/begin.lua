-- Reads what an attempt begins with: the fence, the token, and the watched slots. Writes nothing.
--
-- KEYS[2..] the watched slots
-- ARGV[1]   token of the commit
-- ARGV[2]   bytes that a slot may have to be sent along
--
-- Reply     {fenced (1, 0), number of the attempt that has committed or nil, slot, slot, ..}, where a slot is
--             {'none'}   {'string', value}   {'hash', {field, value, ..}}
--             {type}     for one that is too large, or of a type that is not ours

local TOKEN, MOST_BYTES = ARGV[1], tonumber(ARGV[2])
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

local head = call('HMGET', INDEX, '~fence', '~commits')
local reply = {head[1] and now_ms() < tonumber(head[1]) and 1 or 0, head[2] and (recall(head[2], TOKEN)) or false}
for number = 2, #KEYS do
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
