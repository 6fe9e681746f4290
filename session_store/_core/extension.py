"""What the decisions of a layer need of the primitive's; its way to Redis is `_async/extension.py`. Nothing else is for layers."""

from session_store._core.arguments import Duration, check_count, check_int, check_wait, kind_of, to_milliseconds
from session_store._core.names import encode_field
from session_store._core.scripts import Script

__all__ = ["Duration", "Script", "check_count", "check_int", "check_wait", "encode_field", "kind_of", "to_milliseconds"]
