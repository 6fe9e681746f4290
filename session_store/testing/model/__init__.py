"""The model of a store, and the state machine that holds a client to it."""

from session_store.testing.model._check import check_against_model

__all__ = ["check_against_model"]
