"""Decisions without I/O: nothing here imports botocore or asyncio, and nothing awaits."""
