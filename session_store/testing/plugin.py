"""The fixtures, the option and the marker that pytest has where this package is installed.

pytest imports this module at the start of every run, also of those that have nothing to do with sessions: whatever is
heavy or optional is imported by the fixture that needs it, and nothing is named here that pytest 6.2 does not have.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from session_store import AsyncNamespace, AsyncSessionStore, Namespace, SessionStore
    from session_store.testing.places import Clients

_OPTION = "--session-store-url"
_TTL = 3600  # seconds
_NAMESPACE = "visitor-1"
_MARKER = (
    "interleavings(tasks, *, setup=None, check='serializable', faults=(), ...): explore these tasks with "
    "session_store.testing.explore when the test begins; fail where an order of their commands breaks the check."
)
_RESULT = "_session_store_interleavings"  # an attribute of the test's item: pytest 6 has no stash


def pytest_addoption(parser: pytest.Parser) -> None:
    """Adds the option."""
    parser.getgroup("session_store", "session-store").addoption(
        _OPTION,
        metavar="URL",
        help="run the fixtures of session-store on this Redis server, such as redis://localhost:6379, instead of in "
        "memory; every test has a prefix of its own, and its keys are removed afterwards",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Registers the marker."""
    config.addinivalue_line("markers", _MARKER)


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session: pytest.Session) -> None:
    """Looks for the server before any test runs, once: a worker of pytest-xdist relies on its controller."""
    url = session.config.getoption(_OPTION)
    if url is None or session.config.option.collectonly or hasattr(session.config, "workerinput"):
        return
    from session_store.testing.places import refusal

    why = refusal(url)
    if why is not None:
        raise pytest.UsageError(f"{_OPTION}: {why}")


def pytest_report_header(config: pytest.Config) -> str | None:
    """Says on which server the tests run, if on any."""
    url = config.getoption(_OPTION)
    if url is None:
        return None
    from session_store.testing.places import shown

    return f"session-store: fixtures on {shown(url)}"


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_call(item: pytest.Item) -> None:
    """Explores what the markers ask for, before the test function is called; outer markers first."""
    __tracebackhide__ = True
    markers = list(item.iter_markers("interleavings"))
    if not markers:
        return
    from session_store.testing import InterleavingError, NotDeterministicError, StuckTaskError, UnseenTaskError, explore

    try:
        for marker in reversed(markers):
            setattr(item, _RESULT, explore(*marker.args, **marker.kwargs))
    except (InterleavingError, NotDeterministicError, StuckTaskError, UnseenTaskError) as error:
        raise pytest.fail.Exception(str(error), pytrace=False) from None  # its text is all there is to know, shown once
    arguments = getattr(item, "funcargs", {})  # a doctest has none
    if "interleavings" in arguments:
        arguments["interleavings"] = getattr(item, _RESULT)


@pytest.fixture
def _session_store_place(request: pytest.FixtureRequest) -> Iterator[Clients]:
    """The clients of one test: in memory, or on the server of the option."""
    from session_store.testing.places import in_memory, on_server

    url = request.config.getoption(_OPTION)
    with in_memory() if url is None else on_server(url) as place:
        yield place


@pytest.fixture
def session_store_options() -> dict[str, Any]:
    """Settings of the stores, by name (codec, default_ttl, logger, ...): override this fixture to return yours."""
    return {}


def _settings(options: Any, place: Clients) -> dict[str, Any]:
    """What a store is made with."""
    if not isinstance(options, dict):
        raise TypeError(f"session_store_options must return a dict of settings, got {type(options).__name__}")
    for name in ("client", "prefix"):
        if name in options:
            raise ValueError(f"session_store_options must not hold {name!r}: every test has one of its own")
    return {"default_ttl": _TTL, **options, "prefix": place.prefix}


@pytest.fixture
def session_store_client(_session_store_place: Clients) -> Any:
    """The client of `session_store`: an `InMemoryClient`, fresh for every test, or a `redis.Redis`."""
    return _session_store_place.client


@pytest.fixture
def async_session_store_client(_session_store_place: Clients) -> Any:
    """The client of `async_session_store`, on the same server as `session_store_client`."""
    return _session_store_place.async_client


@pytest.fixture
def session_store(_session_store_place: Clients, session_store_options: dict[str, Any]) -> SessionStore[Any]:
    """A `SessionStore` in memory, fresh for every test, or on the server of --session-store-url."""
    from session_store import SessionStore

    return SessionStore(_session_store_place.client, **_settings(session_store_options, _session_store_place))


@pytest.fixture
def async_session_store(_session_store_place: Clients, session_store_options: dict[str, Any]) -> AsyncSessionStore[Any]:
    """An `AsyncSessionStore` that shares its data with `session_store`; any event loop may use it."""
    from session_store import AsyncSessionStore

    return AsyncSessionStore(
        _session_store_place.async_client, **_settings(session_store_options, _session_store_place)
    )


@pytest.fixture
def namespace(session_store: SessionStore[Any]) -> Namespace[Any]:
    """One session of `session_store`, without any data yet."""
    return session_store.namespace(_NAMESPACE)


@pytest.fixture
def async_namespace(async_session_store: AsyncSessionStore[Any]) -> AsyncNamespace[Any]:
    """The session of `namespace`, for async code."""
    return async_session_store.namespace(_NAMESPACE)


class _NotYet:
    """Stands for the result until the test function is called."""

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"interleavings has no {name} yet: tasks are explored after all fixtures, for the test")


@pytest.fixture
def interleavings(request: pytest.FixtureRequest) -> Any:
    """What the marker `interleavings` explored: the result of its `session_store.testing.explore`."""
    if request.node.get_closest_marker("interleavings") is None:
        pytest.fail("the fixture interleavings needs the marker: @pytest.mark.interleavings(tasks, ...)", pytrace=False)
    return getattr(request.node, _RESULT, _NotYet())
