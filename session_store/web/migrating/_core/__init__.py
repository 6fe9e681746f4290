"""Decisions without I/O: nothing here imports redis or asyncio, and nothing awaits."""
