-- How messages come, go, and change. living.lua comes before.

local roles = {}    -- by field, what has changed of the roles
local fields = {}   -- and what else is to be written: field, value, ..

local function mark(number, role)
  local field, at = role_at(number)
  local held = roles[field] or call('HGET', KEY, field) or ''
  if #held < at - 1 then held = held .. string.rep('-', at - 1 - #held) end
  roles[field] = sub(held, 1, at - 1) .. role .. sub(held, at + 1)
end

-- The next time: not before that of the last change, so that numbers and times have one order, whatever the clock does.
local function this_time() return written(math.max(NOW_MS, last)) end

-- Adds messages: from ARGV[at] on, five arguments each: role, tokens, place, key or '', body. Those whose key the
-- conversation has already are not added again; their numbers are in the text that is returned, as "<which>=<number>,..".
local function add(at)
  local now, known = this_time(), {}
  for each = at, #ARGV, 5 do
    local role, costs, place, key, body = unpack(ARGV, each, each + 4)
    local number = key ~= '' and call('HGET', KEY, 'k:' .. key)
    if number then
      known[#known + 1] = (each - at) / 5 .. '=' .. number
    else
      seq, count, tokens = seq + 1, count + 1, tokens + costs
      fields[#fields + 1], fields[#fields + 2] = written(seq), message_of(now, '', costs, role, place, key, body)
      if key ~= '' then fields[#fields + 1], fields[#fields + 2] = 'k:' .. key, written(seq) end
      mark(seq, role)
    end
  end
  return table.concat(known, ',')
end

local function forget_summary(number)
  if number <= upto then
    call('HDEL', KEY, 's', 'su')
    upto = 0
  end
end

-- Whether there was such a message.
local function remove(number)
  local message = call('HGET', KEY, written(number))
  if not message then return false end
  local _, _, costs, _, _, key = parts(message)
  call('HDEL', KEY, written(number))
  if key ~= '' then call('HDEL', KEY, 'k:' .. key) end
  mark(number, '-')
  count, tokens = count - 1, tokens - costs
  forget_summary(number)
  return true
end

-- Ends a change of messages; see `lives_on`. `answer` is put behind the new revision and the time of the change.
local function changed(answer)
  local now = this_time()
  rev = rev + 1
  for field, held in pairs(roles) do fields[#fields + 1], fields[#fields + 2] = field, held end
  for field, held in pairs({rev = written(rev), seq = written(seq), n = count, tok = written(tokens), la = now}) do
    fields[#fields + 1], fields[#fields + 2] = field, held
  end
  call_in_chunks('HSET', KEY, fields, 1, #fields)
  return lives_on(table.concat({'done', written(rev), now, answer}, ':'))
end
