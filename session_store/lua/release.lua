-- Gives the locks of a call back that ended without a commit.
--
-- Effects   writes
--
-- ARGV[1]   the field of the producer in the index
-- ARGV[2]   the sequence of the call
-- ARGV[3..] the fields of the locks

local names = {unpack(ARGV, 3)}
give_back(names, call('HMGET', INDEX, unpack(names)))
