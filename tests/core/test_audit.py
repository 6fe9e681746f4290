"""Every kind of logger gets the events or is refused, and an event that cannot be logged breaks no call."""

from __future__ import annotations

import asyncio
import io
import logging
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import AsyncMock

import pytest
import structlog

from session_store import (
    AsyncInMemoryClient,
    AsyncSessionStore,
    CasContentionError,
    InMemoryClient,
    Namespace,
    SessionStore,
)

SECRET = "user-42-secret"


@pytest.fixture(autouse=True)
def structlog_as_it_comes() -> Iterator[None]:
    yield
    structlog.reset_defaults()


@pytest.fixture
def shop(caplog: pytest.LogCaptureFixture) -> logging.Logger:
    """A logger whose records are caught."""
    caplog.set_level(logging.INFO, "shop")
    return logging.getLogger("shop")


def namespace(logger: Any, **settings: Any) -> Namespace[str]:
    return SessionStore(InMemoryClient(), prefix="shop", default_ttl=60, logger=logger, **settings).namespace(SECRET)


def collide(ns: Namespace[str]) -> None:
    """A commit that meets another one, and a purge: a warning and an info."""

    def fn(snap: Any, ops: Any) -> None:
        if snap.get("a") is None:
            ns.set("a", "1")
        ops.set("b", "2")

    ns.with_cas("a", fn)
    assert ns.purge() == 2


def fields(record: logging.LogRecord, *names: str) -> dict[str, Any]:
    return {name: getattr(record, name) for name in names}


class Prefixing(logging.LoggerAdapter):  # type: ignore[type-arg]  # no generic class before Python 3.11
    """As the cookbook of logging has it."""

    def process(self, msg: Any, kwargs: Any) -> Any:
        return f"[{self.extra['app']}] {msg}", kwargs  # type: ignore[index]  # it is given one


class Silent(logging.LoggerAdapter):  # type: ignore[type-arg]
    """Wants nothing, and must not be asked to process what it does not want."""

    def isEnabledFor(self, level: int) -> bool:
        return False

    def process(self, msg: Any, kwargs: Any) -> Any:
        raise AssertionError


ADAPTERS: dict[str, tuple[Callable[[logging.Logger], Any], str, dict[str, str]]] = {
    "plain": (lambda logger: logging.LoggerAdapter(logger, {"app": "web"}), "", {"app": "web"}),
    "without extra": (lambda logger: logging.LoggerAdapter(logger, None), "", {}),  # type: ignore[arg-type]
    "nested": (
        lambda logger: logging.LoggerAdapter(
            logging.LoggerAdapter(logger, {"app": "inner", "zone": "eu"}),  # type: ignore[arg-type]
            {"app": "outer"},
        ),
        "",
        {"app": "outer", "zone": "eu"},
    ),
    "with its own text": (lambda logger: Prefixing(logger, {"app": "web"}), "[web] ", {}),
    "with a field of ours": (lambda logger: logging.LoggerAdapter(logger, {"key_count": "?", "app": "web"}), "", {}),
}


@pytest.mark.parametrize("kind", ADAPTERS)
def test_an_adapters_fields_and_ours_are_attributes_of_the_record(
    kind: str, shop: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    make, prefix, extra = ADAPTERS[kind]
    collide(namespace(make(shop)))
    warning, info = caplog.records
    assert (warning.levelname, warning.getMessage()) == ("WARNING", f"{prefix}session-store: cas-contention-retry")
    assert fields(warning, "key", "attempt", *extra) == {"key": f"shop:{SECRET}:a", "attempt": 1, **extra}
    assert (info.levelname, info.getMessage()) == ("INFO", f"{prefix}session-store: purge")
    assert fields(info, "namespace", "key_count", *extra) == {"namespace": SECRET, "key_count": 2, **extra}


def test_an_adapter_keeps_what_it_was_given(shop: logging.Logger) -> None:
    """Its dict is its own: other calls log with it."""
    adapter = logging.LoggerAdapter(shop, {"app": "web"})
    collide(namespace(adapter))
    assert adapter.extra == {"app": "web"}


def test_an_adapter_that_wants_nothing_gets_nothing(shop: logging.Logger, caplog: pytest.LogCaptureFixture) -> None:
    collide(namespace(Silent(shop, {})))
    assert caplog.records == []


@pytest.mark.parametrize("name", [None, "shop"], ids=["root", "named"])
def test_loggers_get_what_they_are_enabled_for(name: str | None, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING, name)
    collide(namespace(logging.getLogger(name)))
    assert [record.getMessage() for record in caplog.records] == ["session-store: cas-contention-retry"]


def configured(**settings: Any) -> Any:
    structlog.configure(
        logger_factory=structlog.stdlib.LoggerFactory(),
        processors=[structlog.stdlib.filter_by_level, structlog.stdlib.render_to_log_kwargs],
        **settings,
    )
    return structlog.get_logger("shop")


def lazy(**settings: Any) -> Any:
    """What a module makes at its top, before the application configures structlog."""
    logger = structlog.get_logger("shop")
    configured(**settings)
    return logger


STRUCTLOGS: dict[str, Callable[[], Any]] = {
    "lazy": lazy,
    "lazy and cached": lambda: lazy(cache_logger_on_first_use=True),
    "stdlib": lambda: configured(wrapper_class=structlog.stdlib.BoundLogger).bind(),
    "generic": lambda: configured(wrapper_class=structlog.BoundLogger).bind(),
    "filtering": lambda: configured(wrapper_class=structlog.make_filtering_bound_logger(logging.INFO)).bind(),
    "lazy and async": lambda: lazy(wrapper_class=structlog.stdlib.AsyncBoundLogger),
    "async": lambda: configured(wrapper_class=structlog.stdlib.AsyncBoundLogger).bind(),
}


@pytest.mark.parametrize("kind", STRUCTLOGS)
async def test_structlogs_loggers_get_the_events(
    kind: str, shop: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """Before the call returns: of an async logger it is the sync one that it holds."""
    store = AsyncSessionStore(AsyncInMemoryClient(), prefix="shop", default_ttl=60, logger=STRUCTLOGS[kind]())
    await store.namespace(SECRET).purge()
    (record,) = caplog.records
    assert (record.name, record.getMessage()) == ("shop", "session-store: purge")
    assert fields(record, "namespace", "key_count") == {"namespace": SECRET, "key_count": 0}


def test_a_lazy_logger_is_left_lazy() -> None:
    """A store that is made at the top of a module does not settle what structlog is configured for later."""
    logger = structlog.wrap_logger(None, cache_logger_on_first_use=True)
    ns = namespace(logger)
    structlog.configure(
        processors=[], wrapper_class=structlog.BoundLogger, logger_factory=structlog.testing.CapturingLogger
    )
    with structlog.testing.capture_logs() as found:
        ns.purge()
    assert [event["event"] for event in found] == ["session-store: purge"]


def test_an_async_logger_of_a_module_is_taken_where_no_loop_runs(
    shop: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    """structlog could not make it yet."""
    logger = configured(wrapper_class=structlog.stdlib.AsyncBoundLogger)
    store = AsyncSessionStore(AsyncInMemoryClient(), prefix="shop", default_ttl=60, logger=logger)
    asyncio.run(store.namespace(SECRET).purge())
    assert [record.getMessage() for record in caplog.records] == ["session-store: purge"]


def log(event: str, **fields: object) -> None:
    """A logger's method."""


async def log_later(event: str, **fields: object) -> None:
    """An async one."""


def no_fields(event: str) -> None:
    """One that knows of no fields."""


def made_of(info: Any, warning: Any) -> Any:
    return type("Custom", (), {"info": staticmethod(info), "warning": staticmethod(warning)})()


REFUSED: dict[str, Callable[[], Any]] = {
    "module": lambda: logging,
    "class": lambda: logging.Logger,
    "structlog's class": lambda: structlog.stdlib.BoundLogger,
    "output of structlog": lambda: structlog.PrintLogger(io.StringIO()),
    "adapter of another kind": lambda: logging.LoggerAdapter(structlog.get_logger(), {}),
    "adapter of nothing": lambda: logging.LoggerAdapter(None, {}),  # type: ignore[type-var]
    "mock of an async one": AsyncMock,
    "an async method": lambda: made_of(log, log_later),
    "a method without fields": lambda: made_of(log, no_fields),
    "a missing method": lambda: made_of(log, None),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_what_could_not_log_is_refused_when_the_store_is_made(kind: str) -> None:
    with pytest.raises(TypeError, match=r"logger must be a structlog logger, a logging\.Logger or"):
        namespace(REFUSED[kind]())


def test_a_logger_of_ones_own_gets_the_events() -> None:
    found: list[Any] = []
    method = lambda event, **fields: found.append((event, fields["ts"] > 0))  # noqa: E731
    collide(namespace(made_of(method, method)))
    assert found == [("session-store: cas-contention-retry", True), ("session-store: purge", True)]


def test_a_logger_that_does_not_tell_what_it_takes_is_taken() -> None:
    """Methods that are written in C may have no signature."""
    update: Any = {}.update
    assert namespace(made_of(update, update)).purge() == 0


class Broken(logging.Handler):
    """Raises what it is given, as a handler does whose disk is full."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def emit(self, record: logging.LogRecord) -> None:
        raise self.error


@pytest.fixture
def broken(shop: logging.Logger) -> Iterator[Callable[[BaseException], logging.Logger]]:
    """A function that makes a logger whose handler raises an error."""
    handlers = list(shop.handlers)

    def broken(error: BaseException) -> logging.Logger:
        shop.addHandler(Broken(error))
        return shop

    yield broken
    shop.handlers[:] = handlers


def told(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the library says of itself."""
    return [record.getMessage() for record in caplog.records if record.name == "session_store"]


def test_a_logger_that_raises_breaks_no_call(
    broken: Callable[[BaseException], logging.Logger], caplog: pytest.LogCaptureFixture
) -> None:
    """The commit is done, the purge counts, and the error that a call is about to raise is that error."""
    ns = namespace(broken(OSError(SECRET)))
    collide(ns)

    def fn(snap: Any, ops: Any) -> None:
        ns.set("a", str(int(snap.get("a") or 0) + 1))

    with pytest.raises(CasContentionError):
        ns.with_cas("a", fn, max_retries=0)
    (text,) = told(caplog)
    assert "logger raised OSError" in text
    assert "test_audit.py:" in text
    assert SECRET not in text


def test_a_processor_that_raises_breaks_no_call(caplog: pytest.LogCaptureFixture) -> None:
    def processor(*_: Any) -> Any:
        raise ValueError(SECRET)

    collide(namespace(structlog.wrap_logger(structlog.testing.CapturingLogger(), processors=[processor])))
    (text,) = told(caplog)
    assert "logger raised ValueError" in text


def test_a_logger_that_turns_out_to_be_async_is_told_of(caplog: pytest.LogCaptureFixture) -> None:
    """Its coroutine is closed, so that nobody warns of it."""
    logger = made_of(lambda event, **fields: log_later(event), lambda event, **fields: log_later(event))
    collide(namespace(logger))
    (text,) = told(caplog)
    assert "logger is async" in text


def test_what_is_said_of_it_breaks_no_call_either(broken: Callable[[BaseException], logging.Logger]) -> None:
    """Where the library's own words go to the same handler."""
    library = logging.getLogger("session_store")
    handler = Broken(OSError())
    library.addHandler(handler)
    try:
        collide(namespace(broken(OSError())))
    finally:
        library.removeHandler(handler)


def test_an_interrupt_passes(broken: Callable[[BaseException], logging.Logger]) -> None:
    with pytest.raises(KeyboardInterrupt):
        namespace(broken(KeyboardInterrupt())).purge()


def raising(name: str) -> str:
    raise LookupError(name)


@pytest.mark.parametrize(
    ("log_name", "what"),
    [
        (raising, "raised LookupError at"),
        (lambda name: None, "returned None instead of a str"),
        (lambda name: name.encode(), "returned bytes instead of a str"),
        (lambda name: log_later(name), "returned coroutine instead of a str"),
    ],
)
def test_a_log_name_that_fails_breaks_no_call_and_shows_no_name(
    log_name: Any, what: str, shop: logging.Logger, caplog: pytest.LogCaptureFixture
) -> None:
    ns = namespace(shop, log_name=log_name)
    collide(ns)
    assert repr(ns) == "Namespace(prefix='shop', name='(log_name failed)')"
    warning, info, *_ = (record for record in caplog.records if record.name == "shop")
    assert fields(warning, "key", "attempt") == {"key": "shop:(log_name failed):(log_name failed)", "attempt": 1}
    assert fields(info, "namespace", "key_count") == {"namespace": "(log_name failed)", "key_count": 2}
    (text,) = told(caplog)
    assert f"log_name {what}" in text
    assert SECRET not in caplog.text


def test_an_async_log_name_is_refused() -> None:
    with pytest.raises(TypeError, match="log_name must be a function from a name to what is shown"):
        namespace(None, log_name=log_later)
