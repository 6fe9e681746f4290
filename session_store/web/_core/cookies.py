"""The cookie: how it is found in what a browser sent, and how it is set."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Literal

from session_store._core.extension import kind_of
from session_store.web._core.tokens import PATTERN, WebToken

_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,64}")  # a token of RFC 9110
_ATTRIBUTE = re.compile(r"[\x21-\x3a\x3c-\x7e]{1,1024}")  # visible ASCII, but a semicolon
_LONGEST = 16_384  # bytes of a header that is searched: a larger one takes milliseconds
MOST_TOKENS = 3  # of a request: whoever sends more has cookies from somebody else
_MOST_SECONDS = 400 * 86_400  # RFC 6265bis: browsers keep a cookie for so long at most

SameSite = Literal["lax", "strict", "none"]


@dataclass(frozen=True)
class CookiePolicy:
    """What the cookie is like. Its value is not encoded, and needs no signature: a secret of 256 bits cannot be guessed.

    - `name`: None is `__Host-session`, which a browser takes from this host alone, or `session` where that cannot be.
    - `secure`: over HTTPS only (and http://localhost). False is for development.
    - `same_site`: "lax", "strict" or "none", which needs `secure`.
    - `domain`, `path`: for which hosts and paths; with a domain all its subdomains get it.
    - `partitioned`: a jar of its own under each top-level site; needs `secure`.
    - `persistent`: kept until the session's lifetime is over; False: until the browser ends.

    Raises `TypeError` and `ValueError` for what browsers would not take (RFC 6265bis).
    """

    name: str | None = None
    secure: bool = True
    same_site: SameSite = "lax"
    domain: str | None = None
    path: str = "/"
    partitioned: bool = False
    persistent: bool = True

    def __post_init__(self) -> None:
        if self.name is None:
            at_home = self.secure and self.path == "/" and self.domain is None
            object.__setattr__(self, "name", "__Host-session" if at_home else "session")
        self._check()

    def _check(self) -> None:
        if not isinstance(self.name, str) or not _NAME.fullmatch(self.name):
            raise ValueError("name must be 1 to 64 characters that a cookie's name may have")
        for argument, value in (("domain", self.domain or "x"), ("path", self.path)):
            if not isinstance(value, str) or not _ATTRIBUTE.fullmatch(value):
                raise ValueError(f"{argument} must be visible ASCII characters without semicolons")
        if not self.path.startswith("/"):
            raise ValueError("path must begin with a slash")
        if self.same_site not in ("lax", "strict", "none"):
            raise ValueError(f"same_site must be 'lax', 'strict' or 'none', got {kind_of(self.same_site)}")
        prefix = self.name.lower()
        if not self.secure and (
            self.same_site == "none" or self.partitioned or prefix.startswith(("__host-", "__secure-"))
        ):
            raise ValueError(
                "browsers take a cookie with same_site='none', partitioned, or a name in __Host- or __Secure- only if "
                "secure=True"
            )
        if prefix.startswith("__host-") and (self.domain is not None or self.path != "/"):
            raise ValueError("a cookie whose name begins with __Host- must have path='/' and no domain")


@cache
def _pattern(name: str) -> re.Pattern[bytes]:
    """What finds tokens behind a cookie's name, where a cookie begins.

    What looks like one inside the value of another may be of somebody who could not have set a cookie of this name.
    """
    return re.compile(rb"(?:\A|;)[ \t]*" + re.escape(name.encode()) + rb"=(" + PATTERN + rb")(?=[ \t]*(?:;|\Z))")


def find_tokens(policy: CookiePolicy, headers: Iterable[bytes]) -> tuple[WebToken, ...]:
    """The tokens in the values of a request's Cookie headers, each once. Nothing is decoded."""
    pattern = _pattern(policy.name or "")
    found = dict.fromkeys(match for header in headers if len(header) <= _LONGEST for match in pattern.findall(header))
    return tuple(WebToken(text.decode("ascii")) for text in found)


def set_cookie(policy: CookiePolicy, token: WebToken, seconds: float) -> str:
    """The value of Set-Cookie that gives a browser a token, for so many seconds."""
    age = f"; Max-Age={min(int(seconds), _MOST_SECONDS)}" if policy.persistent else ""
    return f"{policy.name}={token.text}{age}{_attributes(policy)}"


def delete_cookie(policy: CookiePolicy) -> str:
    """The value of Set-Cookie that takes the token away; with the same attributes, or a browser may ignore it."""
    return f"{policy.name}=; Max-Age=0{_attributes(policy)}"


def _attributes(policy: CookiePolicy) -> str:
    parts = [f"; Domain={policy.domain}" if policy.domain else "", f"; Path={policy.path}", "; HttpOnly"]
    parts += ["; Secure" if policy.secure else "", f"; SameSite={policy.same_site.capitalize()}"]
    return "".join([*parts, "; Partitioned" if policy.partitioned else ""])
