-- What the scripts of a channel share. The primitive's prelude comes before, and once.lua where they write.
--
-- KEYS[2]   the channel, a hash. Its events are numbered from 1 on:
--           1, 2, ..   <length of the kind>|<kind><data, by the codec>
--           e          its epoch, drawn when it began: numbers of another one are not its own
--           n f        the last number, and the first one that is kept
--           x          there once it has ended
--           p pu       who produces it, and until when
--           c cu       who consumes it, and until when
--           lt         when the list of those that are consumed was last told of it
--           All times are milliseconds since the epoch, by the server's clock

local KEY = KEYS[2]
local epoch, last, first, ended, producer, produced_until

local function written(number) return string.format('%.0f', number) end

-- Takes note of the channel; `epoch` is false where there is none.
local function opened()
  local has = call('HMGET', KEY, 'e', 'n', 'f', 'x', 'p', 'pu')
  epoch, last, first, ended, producer = has[1], tonumber(has[2]), tonumber(has[3]), has[4], has[5]
  produced_until = tonumber(has[6] or 0)
end

-- Milliseconds that the producer has left: -1 where there is none, 0 where it is lost.
local function left(now) return producer and math.max(produced_until - now, 0) or -1 end
