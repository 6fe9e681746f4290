"""What differs between async and sync by nature. The async file of this name is written by hand."""

from __future__ import annotations

from contextlib import AbstractContextManager, closing
from functools import cache
from typing import Any

from support.dynamodb import settings


@cache  # it keeps what it has read of botocore's descriptions, which takes most of the time
def _session() -> Any:
    from boto3.session import Session

    return Session()


def connect(url: str, **options: Any) -> AbstractContextManager[Any]:
    """A client of boto3, until the end of the block. `options`: see `settings`."""
    return closing(_session().client("dynamodb", **settings(url, **options)))
