"""Saves that nobody waits for."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import TYPE_CHECKING, Generic

from session_store._async.extension import audit_of
from session_store._core.extension import Duration, check_wait
from session_store.codecs import V
from session_store.snapshots._async._flavour import Background, settled
from session_store.snapshots._core.pending import Pending
from session_store.snapshots._core.records import Save
from session_store.snapshots._core.values import FailedSave

if TYPE_CHECKING:
    from session_store.snapshots._async.snapshots import AsyncSnapshots


class AsyncSnapshotWriter(Generic[V]):
    """Saves in the background: a turn does not wait for its snapshot. Made by `AsyncSnapshots.writer`, for `async with`.

    Of each snapshot one save is on its way at a time. Of those that come meanwhile the newest is sent next, and the others
    never are. A save that fails is told to `on_error`, to the store's logger, and by `drain`; it is not repeated, since the
    next one has more. Leaving waits for what is to be saved.
    """

    def __init__(self, snapshots: AsyncSnapshots[V], *, on_error: Callable[[FailedSave], object] | None = None) -> None:
        self._snapshots = snapshots
        self._on_error = on_error
        self._pending = Pending()
        self._background: Background | None = None

    async def __aenter__(self) -> AsyncSnapshotWriter[V]:
        self._background = Background()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        background, self._background = self._background, None
        assert background is not None  # since it was entered
        await background.close()

    def save(
        self,
        id: str,  # noqa: A002  # the field's word
        value: V,
        *,
        tick: int | None = None,
        owner: str | None = None,
        ttl: Duration | None = None,
    ) -> None:
        """Have a value saved. Returns at once.

        The arguments are those of `AsyncSnapshots.save`, and what is wrong with them is raised here. The value is encoded before this
        returns: what is changed afterwards does not show.
        """
        if self._background is None:
            raise RuntimeError("a writer takes saves within its `with` only")
        save = self._snapshots._encoded(id, value, tick=tick, owner=owner, ttl=ttl)  # noqa: SLF001  # of the same layer
        if self._pending.offer(save):
            self._background.start(self._run, id)

    async def drain(self, timeout: float | None = None) -> list[FailedSave]:  # the field's word
        """Wait until everything is saved, `timeout` seconds at most. What failed since it was asked last, and what is not done yet."""
        seconds = None if timeout is None else check_wait(timeout, "timeout")
        if self._background is not None:
            await self._background.wait(seconds)
        return self._pending.drained()

    async def _run(self, name: str) -> None:
        """Sends the saves of one snapshot for as long as there are any."""
        while (save := self._pending.next(name)) is not None:
            try:
                await self._snapshots._send(save)  # noqa: SLF001  # of the same layer
            except Exception as error:  # noqa: PERF203  # the error is this save's alone
                await self._tell(save, error)

    async def _tell(self, save: Save, error: Exception) -> None:
        failed = self._pending.fail(save, error)
        audit = audit_of(self._snapshots.store)
        audit.layer_event(
            "warning",
            "session-store: snapshot-save-failed",
            lambda: {"namespace": audit.shown(save.id), "error": type(error).__name__},
        )
        if self._on_error is not None:
            with suppress(Exception):  # nobody waits to whom it could be raised, and the next save must go on
                await settled(self._on_error(failed))
