"""Conversations on DynamoDB; their names are those of `session_store.conversations`."""

try:
    import botocore.exceptions  # noqa: F401  # for a message that says what to install
except ModuleNotFoundError as error:
    raise ImportError(
        "conversations on DynamoDB need botocore: pip install 'session-store[dynamodb]', for async 'session-store[dynamodb-async]'"
    ) from error
