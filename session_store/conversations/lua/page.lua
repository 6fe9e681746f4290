-- Some of the messages of a conversation.
--
-- Effects   reads
--
-- KEYS[2]   the conversation
-- ARGV[1]   'asc' or 'desc'
-- ARGV[2]   after which: '', 's' and a number, or 't' and a time in milliseconds
-- ARGV[3]   before which: the same
-- ARGV[4]   how many at most
-- ARGV[5]   how many to pass over before
-- ARGV[6]   the letters of their roles; '': all
-- ARGV[7]   how many tokens they may have together, but for the first one; '': any number
--
-- Reply     {1 where there are more, number, message, number, message, ..}, or 'missing'

if not opened((now_ms())) then return 'missing' end
local held = {}

local function roles_at(field)
  if not held[field] then held[field] = call('HGET', KEY, field) or '' end
  return held[field]
end

-- The number of the first message from one on, or seq + 1.
local function next_from(number)
  while number <= seq do
    local field, at = role_at(number)
    local found = find(roles_at(field), '[^-]', at)
    if found then return number + found - at end
    number = number + PER_FIELD - at + 1
  end
  return seq + 1
end

-- The number of the first message that was created at a time or later, or seq + 1: numbers and times have one order.
local function created_from(ms)
  local low, high = first, seq + 1
  while low < high do
    local number = next_from(math.floor((low + high) / 2))
    if number > seq or tonumber((parts(call('HGET', KEY, written(number))))) >= ms then
      high = math.floor((low + high) / 2)
    else
      low = number + 1
    end
  end
  return next_from(low)
end

local low, high = first, seq
local kind, bound = sub(ARGV[2], 1, 1), tonumber(sub(ARGV[2], 2))
if kind == 's' then low = math.max(low, bound + 1) elseif kind == 't' then low = math.max(low, created_from(bound + 1)) end
kind, bound = sub(ARGV[3], 1, 1), tonumber(sub(ARGV[3], 2))
if kind == 's' then high = math.min(high, bound - 1) elseif kind == 't' then high = math.min(high, created_from(bound) - 1) end

local limit, offset, left = tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[7])
local chosen, messages, more, costs = {}, {}, 0, 0

-- Takes a message, or passes over it. Whether there is to be another one.
local function take(number)
  if offset > 0 then
    offset = offset - 1
    return true
  end
  if #chosen == limit then
    more = 1
    return false
  end
  if left then
    local message = call('HGET', KEY, written(number))
    local _, _, its = parts(message)
    costs = costs + its
    if costs > left and chosen[1] then
      more = 1
      return false
    end
    messages[#messages + 1] = message
  end
  chosen[#chosen + 1] = written(number)
  return true
end

local wanted = ARGV[6] == '' and '[^-]' or '[' .. ARGV[6] .. ']'
local number = ARGV[1] == 'asc' and low or high
while limit > 0 and number >= low and number <= high do
  local field, at = role_at(number)
  if ARGV[1] == 'asc' then
    local found = find(roles_at(field), wanted, at)
    number = number + (found or PER_FIELD + 1) - at
    if found and number <= high then
      if not take(number) then break end
      number = number + 1
    end
  else
    local found = find(string.reverse(sub(roles_at(field), 1, at)), wanted)
    number = number - (found and found - 1 or at)
    if found and number >= low then
      if not take(number) then break end
      number = number - 1
    end
  end
end
if chosen[1] and not left then messages = call('HMGET', KEY, unpack(chosen)) end
local reply = {more}
for at, number in ipairs(chosen) do reply[#reply + 1], reply[#reply + 2] = number, messages[at] end
return reply
