"""The async flavour, and the source of the sync one: `make generate` writes `_sync` from these files."""
