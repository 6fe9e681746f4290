"""The audit events. They name namespaces, keys and counts; no value, field or result ever gets here."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from typing import Any

from session_store._core.arguments import has_methods, kind_of
from session_store._core.names import KeySpace


def _with_fields_as_extra(logger: logging.Logger) -> Any:
    """A stdlib logger that takes an event and its fields: the fields become attributes of the record."""
    import structlog  # here, because it loads its console renderer along

    return structlog.wrap_logger(
        logger,
        wrapper_class=structlog.stdlib.BoundLogger,
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
    )


class Audit:
    """Writes the events of a store to its logger, if it has one."""

    __slots__ = ("_keyspace", "_log_name", "_logger")

    def __init__(self, logger: Any, log_name: Callable[[str], str] | None, keyspace: KeySpace) -> None:
        if logger is not None and not has_methods(logger, "info", "warning"):
            raise TypeError(f"logger must be a structlog logger or a logging.Logger, got {kind_of(logger)}")
        if log_name is not None and not callable(log_name):
            raise TypeError(f"log_name must be a function from a name to what is shown, got {kind_of(log_name)}")
        self._logger = _with_fields_as_extra(logger) if isinstance(logger, logging.Logger) else logger
        self._log_name = log_name
        self._keyspace = keyspace

    def shown(self, name: str) -> str:
        """What is shown instead of a namespace's or a slot's name."""
        return name if self._log_name is None else self._log_name(name)

    def namespace_event(self, event: str, namespace: str, key_count: int) -> None:
        """A purge or a touch: info."""
        if self._logger is not None:
            self._logger.info(event, namespace=self.shown(namespace), key_count=key_count, ts=time.time())

    def cas_event(self, event: str, namespace: str, slot: str, **count: int) -> None:
        """Something that a commit met: warning. `count` is attempt= or attempts=."""
        if self._logger is not None:
            key = self._keyspace.written(self.shown(namespace)) + self.shown(slot)
            self._logger.warning(event, key=key, **count, ts=time.time())
