-- The items of a trail.
--
-- Effects   reads
--
-- KEYS[2]   the trail
return redis.call('LRANGE', KEYS[2], 0, -1)
