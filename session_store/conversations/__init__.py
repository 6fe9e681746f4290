"""Conversations: ordered messages beside what is told of them, in one hash each, changed by one script at a time."""

from typing import TYPE_CHECKING

from session_store._core.lazy import lazily
from session_store.errors import RevisionConflictError

if TYPE_CHECKING:
    from session_store.conversations._async.conversation import AsyncRedisConversation
    from session_store.conversations._async.conversations import AsyncRedisConversations
    from session_store.conversations._async.protocols import AsyncConversation, AsyncConversations
    from session_store.conversations._core.values import (
        UNSET,
        ConversationInfo,
        Message,
        NewMessage,
        Page,
        Summary,
    )
    from session_store.conversations._sync.conversation import RedisConversation
    from session_store.conversations._sync.conversations import RedisConversations
    from session_store.conversations._sync.protocols import Conversation, Conversations
    from session_store.conversations.dynamodb._async.conversation import AsyncDynamoDBConversation
    from session_store.conversations.dynamodb._async.conversations import AsyncDynamoDBConversations
    from session_store.conversations.dynamodb._sync.conversation import DynamoDBConversation
    from session_store.conversations.dynamodb._sync.conversations import DynamoDBConversations
    from session_store.conversations.errors import (
        ConversationExistsError,
        ConversationNotFoundError,
        MessageNotFoundError,
        MessageTooLargeError,
        TokenBudgetError,
    )

# Each name is loaded when it is first used, as in the package.
_HOMES = {
    "_async.conversation": ("AsyncRedisConversation",),
    "_async.conversations": ("AsyncRedisConversations",),
    "_async.protocols": ("AsyncConversation", "AsyncConversations"),
    "_core.values": ("ConversationInfo", "Message", "NewMessage", "Page", "Summary", "UNSET"),
    "_sync.conversation": ("RedisConversation",),
    "_sync.conversations": ("RedisConversations",),
    "_sync.protocols": ("Conversation", "Conversations"),
    "dynamodb._async.conversation": ("AsyncDynamoDBConversation",),
    "dynamodb._async.conversations": ("AsyncDynamoDBConversations",),
    "dynamodb._sync.conversation": ("DynamoDBConversation",),
    "dynamodb._sync.conversations": ("DynamoDBConversations",),
    "errors": (
        *("ConversationExistsError", "ConversationNotFoundError", "MessageNotFoundError"),
        *("MessageTooLargeError", "TokenBudgetError"),
    ),
}

__all__ = [
    "UNSET",
    "AsyncConversation",
    "AsyncConversations",
    "AsyncDynamoDBConversation",
    "AsyncDynamoDBConversations",
    "AsyncRedisConversation",
    "AsyncRedisConversations",
    "Conversation",
    "ConversationExistsError",
    "ConversationInfo",
    "ConversationNotFoundError",
    "Conversations",
    "DynamoDBConversation",
    "DynamoDBConversations",
    "Message",
    "MessageNotFoundError",
    "MessageTooLargeError",
    "NewMessage",
    "Page",
    "RedisConversation",
    "RedisConversations",
    "RevisionConflictError",
    "Summary",
    "TokenBudgetError",
]

__getattr__, __dir__ = lazily(globals(), _HOMES)
