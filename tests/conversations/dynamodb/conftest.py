"""A table for tests that have one flavour only."""

from support._sync.tables import table, watched
