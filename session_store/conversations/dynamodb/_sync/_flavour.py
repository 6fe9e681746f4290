"""What differs between async and sync by nature. The async file of this name is written by hand."""

from __future__ import annotations

import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")

IS_ASYNC = False
WANTED = 'a boto3 client: boto3.client("dynamodb")'


def at_once(first: Callable[[], A], second: Callable[[], B]) -> tuple[A, B]:
    """What two calls give that are under way together, the second in a thread; both have ended before an error is raised."""
    done: Future[B] = Future()

    def do() -> None:
        try:
            done.set_result(second())
        except BaseException as error:
            done.set_exception(error)

    thread = threading.Thread(target=contextvars.copy_context().run, args=(do,), daemon=True)
    thread.start()
    try:
        one = first()
    finally:
        thread.join()
    return one, done.result()
