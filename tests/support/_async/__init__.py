"""What tests of both flavours share: `make generate` writes `_sync` from these files."""
