-- The lifetime of a namespace: a time after which nothing of it lives, whatever is done. `once.lua` comes before.

-- Whether something of the namespace lives, as far as the index tells.
local function lives()
  if is_created then return true end
  local fields = call('HGETALL', INDEX)
  for at = 1, #fields, 2 do
    if sub(fields[at], 1, 1) ~= '~' and not is_over(fields[at + 1]) then return true end
  end
  return false
end

-- From now on the namespace ends after so many milliseconds. Slots that live keep their TTLs until they are written or
-- touched.
local function ends_in(ms)
  lifetime = string.format('%.0f', NOW_MS + ms)
  is_created, LEFT = true, ms
  call('HSET', INDEX, '~until', lifetime)
  if call('PTTL', INDEX) > ms then call('PEXPIRE', INDEX, ms + INDEX_SLACK) end
end
