"""Sessions of other libraries that are one blob each, under a key of Redis."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from session_store.web.migrating._core.formats import Decode, OldSession

_GLOB = re.compile(r"[*?\[\]\\^]")


class AsyncRedisBlobs:
    """The sessions that another library, or you, keep as one blob under `<prefix><id>`.

    - `client`: a redis-py client of that server, with `decode_responses=False`; it may be another one than the store's.
    - `prefix`: what keys begin with: "session:" of Flask-Session, "starsessions." of starsessions, unless you set another.
    - `decode`: makes a dict of a blob, and raises `ValueError` where it cannot: `starsessions`, `flask_session()`,
      `json_object`, or a function of yours.
    - `fixed`: whether a key's TTL is the end of the session in any case, as starsessions' is without `rolling`; else it is
      what is left to a session that nobody uses.
    - `form`: what an id looks like, as a regular expression; what does not is never looked up.
    """

    def __init__(
        self, client: Any, prefix: str, decode: Decode, *, fixed: bool = False, form: str = r"[A-Za-z0-9_-]{16,256}"
    ) -> None:
        self._client = client
        self._prefix = prefix
        self._decode = decode
        self._fixed = fixed
        self.form = re.compile(form)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(prefix={self._prefix!r})"

    async def read(self, old_id: str) -> OldSession | None:
        """The session of an id; None where there is none. GET and PTTL, 1 round trip. Raises what `decode` raises."""
        key = self._prefix + old_id
        pipeline = self._client.pipeline(transaction=False)
        data, ttl_ms = await pipeline.get(key).pttl(key).execute()
        if data is None or ttl_ms == 0:
            return None
        left = None if ttl_ms < 0 else ttl_ms / 1000
        return OldSession(dict(self._decode(data)), left, left if self._fixed else None)

    async def remove(self, old_id: str) -> None:
        """Deletes it. DEL, 1 round trip."""
        await self._client.delete(self._prefix + old_id)

    async def ids(self) -> AsyncIterator[str]:
        """All of them: a SCAN of the database."""
        pattern = _GLOB.sub(r"\\\g<0>", self._prefix) + "*"
        async for key in self._client.scan_iter(match=pattern, count=500):
            old_id = key.decode("utf-8", "replace")[len(self._prefix) :]
            if self.form.fullmatch(old_id):
                yield old_id
