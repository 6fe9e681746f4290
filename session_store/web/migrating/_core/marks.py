"""What is known of a session's move: the mark, the token that follows from it, and the cookies before and after."""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

from session_store.web._core.policy import SessionPolicy
from session_store.web._core.state import same
from session_store.web._core.tokens import WebToken, read_token

SLOT = "move"
IN_FLIGHT = (
    600  # seconds for which requests with the old cookie alone may still be on their way once the new one is known
)
_LONGEST = 16_384  # bytes of a header that is searched

# moved: just now. known: it was before. left: the old library's. gone: there is none. failed: it cannot be moved.
Outcome = Literal["moved", "known", "left", "gone", "failed"]


class Mark(NamedTuple):
    """What lies in Redis of a move. Fields: nonce, made (the session is there), until (ms: the old id counts no longer)."""

    fields: Mapping[str, bytes]

    @property
    def has_begun(self) -> bool:
        """Whether the old library's session is no longer what counts."""
        return bool(self.fields)

    @property
    def is_made(self) -> bool:
        """Whether ours is there, or was."""
        return "made" in self.fields

    def is_closed(self, now_ms: int) -> bool:
        """Whether the old id is worth nothing any more."""
        return "until" in self.fields and now_ms >= int(self.fields["until"])

    def token(self, old_id: str) -> WebToken:
        """The token of the session: the same for two tabs at once, and known only to who has both the nonce and the old id."""
        nonce = self.fields["nonce"]
        return WebToken(f"{_drawn(nonce, b'id', old_id, 16)}.{_drawn(nonce, b'secret', old_id, 32)}")


def _drawn(nonce: bytes, what: bytes, old_id: str, size: int) -> str:
    digest = hmac.new(nonce, what + b"\0" + old_id.encode(), hashlib.sha256).digest()[:size]
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def mark_name(old_id: str) -> str:
    """The namespace of a mark. The old id, a credential, is not to be read from it."""
    digest = hashlib.sha256(b"moved\0" + old_id.encode()).digest()
    return f"moved.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def portion(old_id: str) -> float:
    """From 0 to 1, the same for an id always: who has less than the share is moved."""
    return int.from_bytes(hashlib.sha256(b"share\0" + old_id.encode()).digest()[:4], "big") / 2**32


@cache
def _pattern(name: str) -> re.Pattern[bytes]:
    return re.compile(rb"(?:\A|;)[ \t]*" + re.escape(name.encode()) + rb'="?([^";\s]*)"?(?=[ \t]*(?:;|\Z))')


def cookie_values(name: str, headers: Iterable[bytes]) -> list[str]:
    """The values of a cookie in a request's Cookie headers; none that is a token of ours."""
    pattern = _pattern(name)
    found = [match for header in headers if len(header) <= _LONGEST for match in pattern.findall(header)]
    texts = [value.decode("latin-1") for value in found]
    return [text for text in texts if read_token(text) is None]


def sent_value(name: str, headers: Iterable[str]) -> str | None:
    """What a response's Set-Cookie headers make of a cookie: "" where they delete it, None where they say nothing of it."""
    found = None
    for header in headers:
        key, _, rest = header.partition("=")
        if key.strip() == name:
            found = rest.partition(";")[0].strip().strip("\"'")
    return found


def changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[dict[str, Any], set[str]]:
    """What a request has set, and what it has taken away."""
    changed = {key: value for key, value in after.items() if key not in before or not same(before[key], value)}
    return changed, before.keys() - after.keys()


def owner_by_key(policy: SessionPolicy) -> Callable[[dict[str, Any]], str | None]:
    """Who is logged in, by the policy's key."""

    def owner_of(data: dict[str, Any]) -> str | None:
        owner = None if policy.owner_key is None else data.get(policy.owner_key)
        return None if owner is None else str(owner)

    return owner_of
