-- What an attempt begins with, and whether a slot is what it was then.
--
-- A slot in a reply is {kind, mark}, and behind it
--   content         a value, or {field, value, ..}: of one that is not too large, and of no other type than these
--   false, content mark   of one that is too large, where it was asked for

local MOST_FIELDS = 256

-- The digest of what a key holds, in whatever order Redis keeps it. The client works out the same (`_core/marks.py`), so
-- the order must not depend on the server's locale, as that of Lua's strings does: digests are put in order as numbers.
local function content_mark(key)
  -- A text of any reply, from which no other reply has the same.
  local function written(reply)
    if type(reply) ~= 'table' then return #reply .. ':' .. reply end
    local parts = {#reply .. '*'}
    for number, part in ipairs(reply) do parts[number + 1] = written(part) end
    return table.concat(parts)
  end

  local ORDERED = {list = {'LRANGE', 0, -1}, zset = {'ZRANGE', 0, -1, 'WITHSCORES'}, stream = {'XRANGE', '-', '+'}}

  local kind = call('TYPE', key).ok
  if kind == 'none' then return '' end
  if kind == 'string' then return redis.sha1hex('string:' .. call('GET', key)) end
  local read = ORDERED[kind]
  if read then return redis.sha1hex(kind .. ':' .. written(call(read[1], key, unpack(read, 2)))) end
  local members, step = call(kind == 'hash' and 'HGETALL' or 'SMEMBERS', key), kind == 'hash' and 2 or 1
  local numbers, digests = {}, {}
  for at = 1, #members, step do
    local digest = redis.sha1hex(#members[at] .. ':' .. members[at] .. (step == 2 and members[at + 1] or ''))
    local number = tonumber(sub(digest, 1, 13), 16)   -- 52 bits, which a Lua number holds exactly
    if digests[number] then
      digests[number] = digests[number] .. digest
    else
      numbers[#numbers + 1], digests[number] = number, digest
    end
  end
  table.sort(numbers)
  for at, number in ipairs(numbers) do numbers[at] = digests[number] end
  return redis.sha1hex(kind .. ':' .. table.concat(numbers))
end

-- The digest of a key as Redis keeps it: equal ones are of equal contents. '' where there is no such key. A user who may
-- not DUMP has the slower one.
local function mark(key)
  local dump = redis.pcall('DUMP', key)
  if type(dump) == 'table' then return content_mark(key) end
  return dump and redis.sha1hex(dump) or ''
end

-- Whether a slot is what it was. A hash table is dumped in the order of its buckets, which readers change while it is
-- being rehashed: where the first mark differs, that of the content decides, if the client has it ('' if not).
local function is_as_before(key, now, before, content_before)
  return now == before or (content_before ~= '' and content_mark(key) == content_before)
end

-- A slot as it is now.
local function seen(key, most_bytes, wants_content_mark)
  -- A hash's fields and values, nil when it is too large. One that Redis keeps packed is small, by the server's settings.
  local function small_hash(key, most_bytes)
    local encoding = redis.pcall('OBJECT', 'ENCODING', key)
    if encoding == 'listpack' or encoding == 'ziplist' then return call('HGETALL', key) end
    if call('HLEN', key) > MOST_FIELDS then return nil end
    local bytes = 0
    for _, field in ipairs(call('HKEYS', key)) do
      bytes = bytes + #field + call('HSTRLEN', key, field)
      if bytes > most_bytes then return nil end
    end
    return call('HGETALL', key)
  end

  local kind, content = call('TYPE', key).ok
  if kind == 'hash' then
    content = small_hash(key, most_bytes)
  elseif kind == 'string' and call('STRLEN', key) <= most_bytes then
    content = call('GET', key)
  end
  if content then return {kind, mark(key), content} end
  if (kind == 'hash' or kind == 'string') and wants_content_mark then return {kind, mark(key), false, content_mark(key)} end
  return {kind, mark(key)}
end
