"""What `session_store.integrations.langgraph` is made of."""
