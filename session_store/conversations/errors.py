"""What can go wrong with a conversation, beyond the errors of the store, which pass through unchanged.

As there: the text and the repr of an error show no id and no content.
"""

from __future__ import annotations

from session_store.errors import SessionStoreError


class ConversationNotFoundError(SessionStoreError):
    """There is no such conversation: it was never created, was deleted, or has ended. Nothing was written."""

    def __str__(self) -> str:
        return "there is no such conversation: it was never created, was deleted, or has ended"


class ConversationExistsError(SessionStoreError):
    """There is a conversation of this id already, and it was not touched."""

    def __str__(self) -> str:
        return "there is a conversation of this id already"


class MessageNotFoundError(SessionStoreError):
    """The conversation has no message of this number. Nothing was written. Attribute: `seq`."""

    def __init__(self, seq: int) -> None:
        super().__init__(seq)
        self.seq = seq

    def __str__(self) -> str:
        return f"the conversation has no message {self.seq}"


class TokenBudgetError(SessionStoreError):
    """The conversation would have more tokens than `max_tokens`. Nothing was written.

    Attributes: `limit`, `tokens` (what it has), `asked` (what was to be added).
    """

    def __init__(self, limit: int, tokens: int, asked: int) -> None:
        super().__init__(limit, tokens, asked)
        self.limit = limit
        self.tokens = tokens
        self.asked = asked

    def __str__(self) -> str:
        return f"the conversation has {self.tokens} tokens, and {self.asked} more would be beyond {self.limit}"


class MessageTooLargeError(SessionStoreError, ValueError):
    """A message, or what one call is to write, is larger than the back end takes; nothing was written.

    Attributes: `size`, `limit`, `unit` ("bytes"; "items", where it is too much for one transaction of DynamoDB).
    """

    def __init__(self, size: int, limit: int, unit: str = "bytes") -> None:
        super().__init__(size, limit, unit)
        self.size = size
        self.limit = limit
        self.unit = unit

    def __str__(self) -> str:
        return f"a message, or what one call is to write, has {self.size} {self.unit}, and may have {self.limit}"
