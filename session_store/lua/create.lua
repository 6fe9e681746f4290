-- Begins a namespace that ends for certain.
--
-- Effects   writes
--
-- ARGV[3]   how long it lives at most, in milliseconds
-- ARGV[4]   how long it lives if nothing is written, in milliseconds
--
-- Reply     1, or 0 where it lives already

local reply = enter()
if reply then return reply end
if lives() then return leave(0, {}) end
ends_in(tonumber(ARGV[3]))
return leave(1, {}, tonumber(ARGV[4]))
