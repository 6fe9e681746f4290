"""What tests of both flavours share, generated from `_async` by `make generate`."""
