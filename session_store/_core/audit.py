"""The audit events. They name namespaces, keys and counts; no value, field or result ever gets here.

An event tells of what was done. Whatever happens to it on its way, the call that it tells of stands.
"""

from __future__ import annotations

import inspect
import logging
import time
import traceback
from collections.abc import Callable
from types import ModuleType
from typing import Any

from session_store._core.arguments import kind_of
from session_store._core.names import KeySpace

_NO_NAME = "(log_name failed)"  # stands for a name, which may be a secret
_FIELDS: dict[str, dict[str, Any]] = {
    "info": {"namespace": "", "key_count": 0, "ts": 0.0},
    "warning": {"key": "", "attempt": 0, "ts": 0.0},
}


class _Unusable(Exception):  # noqa: N818  # never raised to a caller
    """What a logger or a log_name did instead of what it is for; its text shows no name."""


def _is_lazy(logger: object) -> bool:
    """Whether it is one of structlog's that has its methods only when it is bound, as structlog is configured by then."""
    kind = type(logger)
    return kind.__module__.partition(".")[0] == "structlog" and not hasattr(kind, "info")


def _takes_events(logger: object) -> bool:
    while isinstance(logger, logging.LoggerAdapter):
        logger = logger.logger
        if not isinstance(logger, (logging.Logger, logging.LoggerAdapter)):
            return False
    if isinstance(logger, logging.Logger) or _is_lazy(logger):
        return True
    if isinstance(logger, (type, ModuleType)):  # `logging` has the methods, and takes no fields
        return False
    return all(_takes(logger, level, fields) for level, fields in _FIELDS.items())


def _takes(logger: object, level: str, fields: dict[str, Any]) -> bool:
    method = getattr(logger, level, None)
    if not callable(method) or (inspect.iscoroutinefunction(method) and not hasattr(type(logger), "sync_bl")):
        return False
    try:
        inspect.signature(method).bind("", **fields)
    except TypeError:
        return False
    except ValueError:  # it does not tell
        pass
    return True


def _log(logger: Any, level: str, event: str, fields: dict[str, Any]) -> None:
    method = getattr(logger, level)
    if inspect.iscoroutinefunction(method):  # structlog's AsyncBoundLogger holds a sync one
        method = getattr(method.__self__.sync_bl, level)
    result = method(event, **fields)
    if inspect.iscoroutine(result):
        result.close()
        raise _Unusable("is async")


def _log_as_extra(logger: Any, level: str, event: str, fields: dict[str, Any]) -> None:
    """To one of logging's: the fields become attributes of the record.

    Before Python 3.13, `LoggerAdapter.process` puts its own fields in the place of others: here both are kept.
    """
    if not logger.isEnabledFor(getattr(logging, level.upper())):
        return
    options: Any = {"extra": fields}
    while isinstance(logger, logging.LoggerAdapter):
        given = options["extra"]
        event, options = logger.process(event, options)
        options["extra"] = {**(options.get("extra") or {}), **given}
        logger = logger.logger
    getattr(logger, level)(event, **options)


class Audit:
    """Writes the events of a store to its logger, if it has one."""

    __slots__ = ("_keyspace", "_log", "_log_name", "_logger", "_told")

    def __init__(self, logger: Any, log_name: Callable[[str], str] | None, keyspace: KeySpace) -> None:
        if logger is not None and not _takes_events(logger):
            raise TypeError(
                "logger must be a structlog logger, a logging.Logger or LoggerAdapter, or have info and warning that take "
                f"an event and keyword arguments and are not async, got {kind_of(logger)}"
            )
        if log_name is not None and (not callable(log_name) or inspect.iscoroutinefunction(log_name)):
            raise TypeError(f"log_name must be a function from a name to what is shown, got {kind_of(log_name)}")
        self._logger = logger
        self._log = _log_as_extra if isinstance(logger, (logging.Logger, logging.LoggerAdapter)) else _log
        self._log_name = log_name
        self._keyspace = keyspace
        self._told = False

    def shown(self, name: str) -> str:
        """What is shown instead of a namespace's or a slot's name. Raises nothing: reprs ask, too."""
        if self._log_name is None:
            return name
        try:
            shown: Any = self._log_name(name)
            if isinstance(shown, str):
                return shown
            if inspect.iscoroutine(shown):
                shown.close()
            raise _Unusable(f"returned {kind_of(shown)} instead of a str")  # noqa: TRY301  # told below, as all else
        except Exception as error:
            self._tell("log_name", error)
            return _NO_NAME

    def namespace_event(self, event: str, namespace: str, key_count: int) -> None:
        """A purge or a touch: info."""
        if self._logger is not None:
            self._write("info", event, {"namespace": self.shown(namespace), "key_count": key_count})

    def cas_event(self, event: str, namespace: str, slot: str, **count: int) -> None:
        """Something that a commit met: warning. `count` is attempt= or attempts=."""
        if self._logger is not None:
            key = self._keyspace.written(self.shown(namespace)) + self.shown(slot)
            self._write("warning", event, {"key": key, **count})

    def layer_event(self, level: str, event: str, fields: Callable[[], dict[str, Any]]) -> None:
        """An event of a layer. `fields`: makes its fields; called only where there is a logger."""
        if self._logger is not None:
            self._write(level, event, fields())

    def _write(self, level: str, event: str, fields: dict[str, Any]) -> None:
        try:
            self._log(self._logger, level, event, {**fields, "ts": time.time()})
        except Exception as error:
            self._tell("logger", error)

    def _tell(self, what: str, error: Exception) -> None:
        """Says so once, without the error's text, which may hold a name. That this fails, too, breaks nothing either."""
        if self._told:
            return
        self._told = True
        try:
            logging.getLogger("session_store").error(
                "session-store: %s %s; the call was done all the same, and this is told once for each store",
                *(what, str(error) if isinstance(error, _Unusable) else _raised(error)),
            )
        except Exception:  # noqa: S110  # there is nobody left to tell
            pass


def _raised(error: Exception) -> str:
    where = traceback.extract_tb(error.__traceback__)[-1]
    return f"raised {type(error).__name__} at {where.filename}:{where.lineno}"
