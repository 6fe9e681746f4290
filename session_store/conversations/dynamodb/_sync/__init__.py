"""The sync flavour, generated from `_async` by `make generate`."""
