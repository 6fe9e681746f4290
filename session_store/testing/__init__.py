"""What tests need. Its parts come with the extra `session-store[testing]`."""

try:
    from session_store.testing.memory import AsyncInMemoryClient, InMemoryClient
except ImportError as error:
    raise ImportError("session_store.testing needs fakeredis: pip install 'session-store[testing]'") from error

__all__ = ["AsyncInMemoryClient", "InMemoryClient"]
