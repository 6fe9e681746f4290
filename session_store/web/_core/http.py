"""Headers and refusals, for the adapters."""

from __future__ import annotations

from collections.abc import Iterable

from session_store.web.errors import SessionConflictError, SessionEndedError, SessionSupersededError

Headers = list[tuple[bytes, bytes]]


def merged(given: Iterable[tuple[bytes, bytes]], ours: Iterable[tuple[str, str]]) -> Headers:
    """A response's headers with ours: Vary once, and Cache-Control only where the application has none of its own."""
    headers = [(bytes(name), bytes(value)) for name, value in given]
    for name, value in ours:
        lower, data = name.lower().encode(), value.encode("ascii")
        there = [old for key, old in headers if key.lower() == lower]
        if lower == b"cache-control" and there:
            continue
        if lower == b"vary" and there:
            listed = b", ".join(there)
            if any(part.strip().lower() in (b"*", data.lower()) for part in listed.split(b",")):
                continue
            headers = [each for each in headers if each[0].lower() != lower]
            data = listed + b", " + data
        headers.append((lower, data))
    return headers


def refusal_of(error: Exception) -> tuple[int, bytes, Headers]:
    """Status, text and headers of the response to a request whose session could not be used or saved."""
    if isinstance(error, (SessionConflictError, SessionSupersededError)):
        status, text = 409, b"The session was changed by another request. Load the page again."
    elif isinstance(error, SessionEndedError):
        status, text = 401, b"The session has ended. Log in again."
    else:
        status, text = 503, b"The session is not available. Try again."
    headers = [
        (b"content-type", b"text/plain; charset=utf-8"),
        (b"content-length", b"%d" % len(text)),
        (b"cache-control", b"no-store"),
        (b"vary", b"Cookie"),
    ]
    return status, text, headers + ([(b"retry-after", b"1")] if status == 503 else [])
