"""Snapshots: the state of an agent, saved after each turn."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic

from session_store._async.extension import AsyncExtension, min_replicas_of, page_of, read_each
from session_store._async.store import AsyncSessionStore
from session_store._core.directories import Entry, Page
from session_store._core.extension import Duration, check_int, kind_of, to_milliseconds
from session_store.codecs import V
from session_store.errors import NamespacePurgedError
from session_store.snapshots._async._flavour import Flights, settled
from session_store.snapshots._async.writer import AsyncSnapshotWriter
from session_store.snapshots._core.records import (
    APART,
    BODY,
    DROP,
    LOAD,
    SAVE,
    SLOT,
    TOLD,
    Found,
    Save,
    Told,
    checked_owner,
    read_found,
    read_saved,
)
from session_store.snapshots._core.values import FailedSave, Saved, Snapshot, SnapshotInfo
from session_store.snapshots.errors import SnapshotVersionError

_TOLD_MS = 60_000
_TOGETHER = 200  # snapshots that are looked at together


class AsyncSnapshots(Generic[V]):
    """Snapshots in a store: each a namespace, with what was saved in one hash.

    - `store`: an `AsyncSessionStore`; its codec takes what is saved.
    - `ttl`: seconds or timedelta that a snapshot lives after the last save; None: the store's `default_ttl`.
    - `version`: of what this program saves. `migrate`: a function of a value and its older version, for what was saved by an
      older program; it gives the value as this program has it, which is stored by the next save only.
    - `max_bytes`: of one snapshot, as the codec writes it.

    Making one does no I/O.
    """

    def __init__(
        self,
        store: AsyncSessionStore[V],
        *,
        ttl: Duration | None = None,
        version: int = 1,
        migrate: Callable[[V, int], Any] | None = None,
        max_bytes: int = 16 * 2**20,
    ) -> None:
        if not isinstance(store, AsyncSessionStore):
            raise TypeError(f"store must be of the class AsyncSessionStore, got {kind_of(store)}")
        if migrate is not None and not callable(migrate):
            raise TypeError(f"migrate must be a function, got {kind_of(migrate)}")
        self.store = store
        self._ttl_ms = int(store.default_ttl * 1000) if ttl is None else to_milliseconds(ttl, "ttl")
        self._version = check_int(version, "version")
        self._migrate = migrate
        self._max_bytes = check_int(max_bytes, "max_bytes", 1)
        self._owners = store.directory("snapshot-owner")
        self._told_ms = min(_TOLD_MS, self._ttl_ms // 4)
        self._told = Told(self._told_ms / 1000)
        self._flights = Flights()

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.store!r})"

    def _extension(self, name: str, size: int = 0) -> AsyncExtension[V]:
        return AsyncExtension(self.store.namespace(name), apart=size > APART)

    async def save(
        self,
        id: str,  # noqa: A002  # the field's word
        value: V,
        *,
        tick: int | None = None,
        expected: int | None = None,
        owner: str | None = None,
        ttl: Duration | None = None,
        after_delete: bool = False,
    ) -> Saved:
        """Save a value in place of what is there.

        `id`: a namespace's name. `tick`: which turn the value is of: it is refused where that of a later one is there
        (`StaleSnapshotError`), and replaces one of the same turn. `expected`: the revision that is to be there, 0 for none
        (`RevisionConflictError`). With neither, the last one wins. `owner`: whose list it is in; None: as before. `ttl`: how
        long this one lives, also when it is touched. `after_delete`: also where a fence stands, which it takes away.

        Raises `NamespacePurgedError` while a fence stands, `ValueError` for what is larger than `max_bytes`, before anything is
        sent. One script call, 1 round trip, O(size); 1 more for the owner's list, once in a minute; 2 more for each fence that
        is taken away. What is larger than 256 KiB takes a connection of its own, and delays nobody.
        """
        save = self._encoded(id, value, tick=tick, expected=expected, owner=owner, ttl=ttl)
        return await self._send(save, after_delete=after_delete)

    def _encoded(
        self,
        name: str,
        value: V,
        *,
        tick: int | None,
        expected: int | None = None,
        owner: str | None,
        ttl: Duration | None,
    ) -> Save:
        """A save that can be sent; whatever is wrong with it is raised."""
        for number, argument in ((tick, "tick"), (expected, "expected")):
            if number is not None:
                check_int(number, argument)
        if owner is not None:
            checked_owner(owner)
        body = self._extension(name).encode(SLOT, value, BODY)
        if len(body) > self._max_bytes:
            raise ValueError(f"a snapshot may have {self._max_bytes} bytes, and this one has {len(body)}")
        ttl_ms = self._ttl_ms if ttl is None else to_milliseconds(ttl, "ttl")
        return Save(name, body, tick, expected, owner, ttl_ms)

    async def _send(self, save: Save, *, after_delete: bool = False) -> Saved:
        name, owner, is_listed = save.id, save.owner, False
        if owner is not None and not self._told.knows(name, owner, time.monotonic()):
            await self._list(name, owner, save.ttl_ms)  # before: no snapshot is there that its owner cannot find
            is_listed = True
        extension, lifted = self._extension(name, len(save.body)), b""
        while True:
            args = save.args(self._version, self._told_ms, is_listed=is_listed, lifted=lifted)
            try:
                reply = await extension.once(SAVE, [SLOT], *args, min_replicas=min_replicas_of(self.store))
                break
            except NamespacePurgedError:
                if not after_delete:
                    raise
            lifted = await extension.fence()  # this one: were the call to arrive again later, another one may stand
        answer, listed = reply if isinstance(reply, list) else (reply, None)
        saved = read_saved(answer, save)
        if listed is not None:
            await self._list(name, listed.decode(), save.ttl_ms)
        return saved

    async def _list(self, name: str, owner: str, ttl_ms: int) -> None:
        await self._owners.add(owner, name, ttl=ttl_ms / 1000)
        self._told.note(name, owner, time.monotonic())

    async def load(self, id: str, *, touch: bool = False) -> Snapshot[V] | None:  # noqa: A002  # the field's word
        """What was saved, None where there is none. `touch`: it lives on as if it had been saved.

        Raises `CodecError` for what the codec cannot read, and `SnapshotVersionError`. One script call, 1 round trip, O(size);
        1 more with `touch`, and 1 more for what is larger than 256 KiB, which comes by a connection of its own.
        """
        extension = self._extension(id)
        found = await self._found(extension, APART)
        if found is not None and found.body is None:
            found = await self._found(self._extension(id, found.size), "")
        if found is None or found.body is None:
            return None
        value = extension.decode(SLOT, found.body, BODY)
        if found.version != self._version:
            if found.version > self._version or self._migrate is None:
                raise SnapshotVersionError(found.version, self._version)
            value = await settled(self._migrate(value, found.version))
        if touch:
            await self.store.namespace(id).touch(SLOT, ttl=found.ttl_ms / 1000)
        return found.snapshot(value, found.ttl_ms if touch else found.left_ms)

    async def _found(self, extension: AsyncExtension[V], most: object) -> Found | None:
        reply = await extension.read(LOAD, [SLOT], most)
        return None if reply is None else read_found(reply)

    async def exists(self, id: str) -> bool:  # noqa: A002  # the field's word
        """Whether there is one. EXISTS, 1 round trip, O(1)."""
        return await self.store.namespace(id).exists(SLOT)

    async def delete(self, id: str, *, fence: Duration | None = 60) -> bool:  # noqa: A002  # the field's word
        """Delete a snapshot, with all slots of its namespace. Whether there was anything.

        `fence`: seconds or timedelta for which saves are refused, so that one that is on its way does not bring it back. As
        `purge`: HKEYS and a script call, 2 round trips. A list forgets it when it comes across it.
        """
        return bool(await self.store.namespace(id).purge(fence=fence))

    async def list(self, *, owner: str, limit: int = 50, cursor: str | None = None) -> Page[SnapshotInfo]:
        """A page of somebody's snapshots, the latest made first.

        `cursor`: that of the page before, for which see `Directory`. A script call, and one for each in a pipeline: 2 round
        trips, on a cluster one more to each primary; 2 more for each 64 that have ended, and 1 to forget them.
        """
        page = await self._page(owner, limit, cursor)
        return Page(tuple(found.info(entry.name) for entry, found in page), page.cursor)

    async def _page(self, owner: str, limit: int, cursor: str | None) -> Page[tuple[Entry, Found]]:
        wanted = checked_owner(owner).encode()

        async def look(names: Sequence[str]) -> list[Found | None]:
            replies = await read_each(self.store, TOLD, names, SLOT)
            found = [None if reply is None else read_found(reply) for reply in replies]
            return [each if each is not None and each.owner == wanted else None for each in found]

        return await page_of(self._owners, owner, look, limit=limit, cursor=cursor)

    async def prune(self, *, owner: str, keep: int | None = None, older_than: Duration | None = None) -> int:
        """Delete somebody's snapshots beyond the `keep` that were saved last, and those saved longer ago than `older_than`.

        Returns how many there were. One that is saved meanwhile stays. 2 round trips for each 200 of the list, and 1 for each that goes.
        """
        if keep is None and older_than is None:
            raise ValueError("prune needs keep or older_than, or both")
        most = None if keep is None else check_int(keep, "keep")
        oldest_ms = None if older_than is None else to_milliseconds(older_than, "older_than")
        all_found: list[tuple[Entry, Found]] = []
        cursor = None
        while True:
            page = await self._page(owner, _TOGETHER, cursor)
            all_found += page.items
            cursor = page.cursor
            if cursor is None:
                break
        all_found.sort(key=lambda each: each[1].saved_ms, reverse=True)
        count = 0
        for rank, (entry, found) in enumerate(all_found):
            is_old = oldest_ms is not None and found.now_ms - found.saved_ms > oldest_ms
            if is_old or (most is not None and rank >= most):
                answer = await self._extension(entry.name).once(DROP, [SLOT], found.revision)
                count += answer == b"done"
        return count

    async def restore(self, id: str, build: Callable[[Snapshot[V] | None], Any]) -> Any:  # noqa: A002  # the field's word
        """What `build` makes of the snapshot, or of None. Callers of one process that want the same at once get one object.

        `build`: a function of a `Snapshot` or None. It goes on where a caller is cancelled. What it raises is raised to all who
        wait. Nothing is kept: the object is the callers'. Round trips are those of `load`.
        """

        async def work() -> Any:
            return await settled(build(await self.load(id)))

        return await self._flights.share(id, work)

    def writer(self, *, on_error: Callable[[FailedSave], object] | None = None) -> AsyncSnapshotWriter[V]:
        """What saves in the background; see `AsyncSnapshotWriter`. No I/O."""
        return AsyncSnapshotWriter(self, on_error=on_error)
