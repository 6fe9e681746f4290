"""What the engine for Django is made of; `session_store.web.django` is the whole."""
