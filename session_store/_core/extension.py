"""What the decisions of a layer need of the primitive's; its way to Redis is `_async/extension.py`. Nothing else is for layers."""

from session_store._core.arguments import (
    Duration,
    check_count,
    check_int,
    check_wait,
    has_methods,
    kind_of,
    moment,
    to_milliseconds,
)
from session_store._core.names import KeySpace, encode_field
from session_store._core.queue import QueueEntry, Queues
from session_store._core.scripts import Script
from session_store._core.values import decoded, values_of

__all__ = [
    "Duration",
    "KeySpace",
    "QueueEntry",
    "Queues",
    "Script",
    "check_count",
    "check_int",
    "check_wait",
    "decoded",
    "encode_field",
    "has_methods",
    "kind_of",
    "moment",
    "to_milliseconds",
    "values_of",
]
