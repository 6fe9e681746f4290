"""Checkpointers for LangGraph: the threads of a graph on a store, in a namespace each. See docs/integrations.md."""

try:
    import langgraph.checkpoint.base  # noqa: F401  # whether it is there
except ImportError as error:
    raise ImportError(
        "session_store.integrations.langgraph needs langgraph-checkpoint: pip install 'session-store[langgraph]'"
    ) from error
else:
    from session_store.integrations._langgraph.async_checkpointer import AsyncCheckpointer
    from session_store.integrations._langgraph.sync_checkpointer import Checkpointer

__all__ = ["AsyncCheckpointer", "Checkpointer"]
