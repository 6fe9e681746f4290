"""The token of a session: `<id>.<secret>`. The id names it and is no secret; Redis holds a digest of the secret."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets

PATTERN = rb"[A-Za-z0-9_-]{22}\.[A-Za-z0-9_-]{43}"  # 16 and 32 random bytes
_FORM = re.compile(PATTERN.decode())


class WebToken:
    """A token that a browser has, or is to have. Its repr shows nothing of it."""

    __slots__ = ("digest", "id", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        self.id, _, secret = text.partition(".")
        # Of the text, not of the bytes that it stands for: these have other texts as well.
        self.digest = hashlib.sha256(secret.encode()).hexdigest().encode()

    def __repr__(self) -> str:
        return "WebToken(...)"

    def has(self, digest: bytes | None) -> bool:
        """Whether its secret has this digest."""
        return digest is not None and hmac.compare_digest(digest, self.digest)


def read_token(text: str | None) -> WebToken | None:
    """A token that a framework found in its cookie; None where it has not the form of one."""
    return WebToken(text) if text is not None and _FORM.fullmatch(text) else None


def new_token(session_id: str | None = None) -> WebToken:
    """A token that nobody has seen: of a new session, or a new one of this id."""
    return WebToken(f"{session_id or secrets.token_urlsafe(16)}.{secrets.token_urlsafe(32)}")
