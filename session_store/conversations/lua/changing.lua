-- How messages come, and how a change of them ends. living.lua comes before.

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

-- Ends a change of messages; see `lives_on`. `answer` is put behind the new revision and the time of the change.
local function changed(answer)
  local now, revision = this_time(), written(rev + 1)
  for field, held in pairs(roles) do fields[#fields + 1], fields[#fields + 2] = field, held end
  call('HSET', KEY, 'rev', revision, 'seq', written(seq), 'n', count, 'tok', written(tokens), 'la', now,
    unpack(fields, 1, math.min(#fields, CHUNK)))
  if #fields > CHUNK then call_in_chunks('HSET', KEY, fields, CHUNK + 1, #fields) end
  return lives_on('done:' .. revision .. ':' .. now .. ':' .. answer)
end
