"""What differs between async and sync by nature. The sync file of this name is written by hand."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from functools import cache
from typing import Any

from support.dynamodb import settings


@cache  # it keeps what it has read of botocore's descriptions, which takes most of the time
def _session() -> Any:
    from aiobotocore.session import get_session

    return get_session()


def connect(url: str, **options: Any) -> AbstractAsyncContextManager[Any]:
    """A client of aiobotocore, until the end of the block. `options`: see `settings`."""
    return _session().create_client("dynamodb", **settings(url, **options))
