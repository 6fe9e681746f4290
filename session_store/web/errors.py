"""What can go wrong with a browser's session, beyond the errors of the store, which pass through unchanged.

As there: the text and the repr of an error show no id, key or value; keys are in the attributes.
"""

from __future__ import annotations

from session_store.errors import SessionStoreError


class SessionEndedError(SessionStoreError):
    """The session has ended since the request began: a logout, an end of its life. Nothing was written: answer 401.

    Raised by what a handler calls, and by a save where the policy has `on_ended="raise"`.
    """

    def __str__(self) -> str:
        return "the session has ended since the request began, and nothing was written"


class SessionSupersededError(SessionStoreError):
    """The token of this request was replaced meanwhile, by a login or a rotation. Nothing was written: answer 409.

    The browser has the new token by now, or gets it soon: the request can be sent again.
    """

    def __str__(self) -> str:
        return "another request has logged in, or rotated the session's token, and nothing of this one was written"


class SessionConflictError(SessionStoreError):
    """Others changed the same keys, and the policy has `conflicts="raise"`; or were faster at each attempt of a transaction.

    Nothing was written: answer 409. Attribute: `keys`, those that were changed; empty where it was a transaction.
    """

    def __init__(self, keys: tuple[str, ...]) -> None:
        super().__init__(keys)
        self.keys = keys

    def __str__(self) -> str:
        if not self.keys:
            return (
                "other requests have changed the session during each attempt of this transaction: let it be tried again"
            )
        return f"another request has changed the same {len(self.keys)} keys meanwhile (attribute keys tells which)"


class SessionSentError(SessionStoreError):
    """The session needs a cookie, and the response has begun without one. Write to it before, or log in before."""

    def __str__(self) -> str:
        return "the session needs a cookie, and the response has begun: write to it before the first byte is sent"


class TooManySessionsError(SessionStoreError):
    """The owner has as many sessions as the policy allows, and `at_limit` is "refuse". Nobody was logged in.

    Attribute: `limit`.
    """

    def __init__(self, limit: int) -> None:
        super().__init__(limit)
        self.limit = limit

    def __str__(self) -> str:
        return f"the owner has {self.limit} sessions already, which is the limit"


class SessionTooLargeError(SessionStoreError):
    """The session would be larger than the policy's `max_bytes`; nothing was written. Keep less in it.

    A file, a list of results, a basket of thousands of lines belong in slots of `namespace()`, or elsewhere. Attributes:
    `size` (bytes), `limit`.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(size, limit)
        self.size = size
        self.limit = limit

    def __str__(self) -> str:
        return f"the session would have {self.size} bytes, and may have {self.limit}: keep large data in slots of namespace()"
