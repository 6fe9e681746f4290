"""What the fixtures give, in memory."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import AsyncInMemoryClient, CasContentionError, InMemoryClient, JsonCodec

pytestmark = pytest.mark.long

pytest_plugins = ["pytester"]


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_every_test_begins_with_nothing(turn: str, namespace: Any, async_namespace: Any) -> None:
    """What the other turn wrote is not there, whichever comes first."""
    assert namespace.slots() == await async_namespace.slots() == []
    namespace.set(turn, "1")
    await async_namespace.set(f"{turn}-async", "1")


async def test_both_flavours_share_their_data(namespace: Any, async_namespace: Any) -> None:
    """A test looks with the sync fixture into what async code has written, and the reverse."""
    await async_namespace.hset("basket", "tea", "1")
    assert namespace.hgetall("basket") == {"tea": "1"}
    namespace.hset("basket", "tea", "2")
    assert await async_namespace.hget("basket", "tea") == "2"


def test_the_names_and_the_ttl_are_readable(session_store: Any, async_session_store: Any, namespace: Any) -> None:
    """A failure message shows short names that are the same in every run; slots live for an hour."""
    assert repr(session_store) == "SessionStore(prefix='test', default_ttl=3600)"
    assert repr(async_session_store) == "AsyncSessionStore(prefix='test', default_ttl=3600)"
    assert namespace.key("basket") == "test:visitor-1:basket"


def test_the_namespace_is_one_of_the_store(session_store: Any, namespace: Any, async_namespace: Any) -> None:
    """Handlers get the store, tests look into the namespace of the name that they hand out."""
    session_store.namespace(namespace.name).set("step", "1")
    assert namespace.get("step") == "1"
    assert async_namespace.name == namespace.name


def test_the_clients_simulate(session_store_client: Any, async_session_store_client: Any, namespace: Any) -> None:
    """Contention and the passing of time are a matter of the clients, which have fixtures too."""
    assert isinstance(session_store_client, InMemoryClient)
    assert isinstance(async_session_store_client, AsyncInMemoryClient)
    session_store_client.simulate_concurrent_change(namespace.key("step"))
    with pytest.raises(CasContentionError):
        namespace.with_cas("step", lambda snap, ops: ops.set("step", "1"), max_retries=0)
    namespace.set("step", "1")
    async_session_store_client.advance(3601)
    assert not namespace.exists("step")


class TestOptions:
    """A class, a module or a folder overrides `session_store_options`."""

    @pytest.fixture
    def session_store_options(self) -> dict[str, Any]:
        return {"codec": JsonCodec(), "default_ttl": 60}

    async def test_both_stores_have_them(self, session_store: Any, namespace: Any, async_namespace: Any) -> None:
        """Settings of the user's go to both flavours; what they leave out stays."""
        assert repr(session_store) == "SessionStore(prefix='test', default_ttl=60)"
        namespace.set("form", {"seats": [4, 5]})
        assert await async_namespace.get("form") == {"seats": [4, 5]}


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ("{'prefix': 'shop'}", "ValueError: session_store_options must not hold 'prefix': every test has one of its"),
        ("{'client': None}", "ValueError: session_store_options must not hold 'client': every test has one of its"),
        ("None", "TypeError: session_store_options must return a dict of settings, got NoneType"),
        ("{'codex': 1}", "unexpected keyword argument 'codex'"),
    ],
)
def test_options_that_cannot_be_used(run: Any, options: str, message: str) -> None:
    """The error names the fixture to correct, in both flavours."""
    result = run(
        f"""
        import pytest

        @pytest.fixture
        def session_store_options():
            return {options}

        def test_sync(namespace):
            pass

        def test_async(async_namespace):
            pass
        """
    )
    result.assert_outcomes(errors=2)
    assert sum(line.startswith("E ") and message in line for line in result.outlines) == 2
