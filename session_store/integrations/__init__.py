"""Adapters: what other frameworks ask of a store, on this one. Each module needs its framework, by an extra of its own."""
