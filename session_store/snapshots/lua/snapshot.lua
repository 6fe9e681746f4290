-- What the scripts of a snapshot share. The primitive's prelude comes before, and once.lua where they write.
--
-- KEYS[2]   the snapshot, a hash:
--           rev     its revision, from the time in microseconds when it was made
--           tick    which turn it is of, the highest that was saved; none: no save told one
--           sv      the application's version of what is in it
--           ts tl   when it was saved, and for how long, in milliseconds
--           o       whose list it is in
--           lt      when that list was last told that it lives
--           b       what was saved, by the codec

local KEY = KEYS[2]

local function written(number) return string.format('%.0f', number) end

-- What is told of it: the time, how long it lives, and fields; false where there is none.
local function told()
  local fields = call('HMGET', KEY, 'rev', 'tick', 'sv', 'ts', 'tl', 'o')
  return fields[1] and {written(now_ms()), call('PTTL', KEY), call('HSTRLEN', KEY, 'b'), unpack(fields)}
end
