-- What is read out of a message. conversation.lua comes before.

-- created, edited, tokens, role, place, key and body of a message.
local function parts(message)
  local created, edited, costs, role, place, length, rest =
    string.match(message, '^(%d+)|(%d*)|(%d+)|(.)|([^|]*)|(%d+)|()')
  length = tonumber(length)
  return created, edited, tonumber(costs), role, place, sub(message, rest, rest + length - 1), sub(message, rest + length)
end
