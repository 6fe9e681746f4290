-- How messages go. changing.lua and parts.lua come before.

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
