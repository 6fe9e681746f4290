"""Calls to one channel in every order of their commands, with lost replies [T7, T37, T48]."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from session_store import NamespacePurgedError, SessionStore
from session_store.channels import ChannelEndedError, Channels, HeldError, LeaseLostError
from session_store.testing import explore

pytestmark = pytest.mark.long

FAULTS = {"lost_reply", "cut_before"}


@pytest.fixture(autouse=True)
def known_epochs(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is drawn at random is the same in each run."""
    for module in ("lease", "log"):
        monkeypatch.setattr(f"session_store.channels._sync.{module}.new_epoch", lambda: "0" * 8)


def channels(client: Any) -> Channels[str]:
    return Channels(SessionStore(client, prefix="p", default_ttl=600))


def call(work: Callable[[Any], object]) -> Callable[[Channels[str]], str]:
    """What becomes of a call to the channel."""

    def run(channels: Channels[str]) -> str:
        try:
            work(channels.channel("s", "c"))
        except (ChannelEndedError, HeldError, LeaseLostError, NamespacePurgedError) as error:
            return type(error).__name__
        return "done"

    return run


def data(channels: Channels[str]) -> list[str]:
    """After the numbers were found to agree with what there is."""
    channel = channels.channel("s", "c")
    events, state = channel.read().items, channel.state()
    assert [event.id for event in events] == [f"00000000.{number}" for number in range(1, state.kept + 1)]
    return [event.data for event in events]


def explored(tasks: dict[str, Any], check: Any, setup: Any = None) -> None:
    assert explore(tasks, setup=setup, check=check, handle=channels, faults=FAULTS).complete


def test_two_who_begin_it() -> None:
    """Each event is there once, though the client sends it again."""

    def check(channels: Channels[str], results: dict[str, Any]) -> None:
        assert sorted(data(channels)) == ["one", "two"]
        assert set(results.values()) == {"done"}

    explored({name: call(lambda channel, name=name: channel.publish(name)) for name in ("one", "two")}, check)  # type: ignore[misc]


def test_an_event_beside_the_end() -> None:
    """It is before the end, or refused."""

    def check(channels: Channels[str], results: dict[str, Any]) -> None:
        assert results["end"] == "done"
        assert data(channels) == (["x", "stop"] if results["publish"] == "done" else ["stop"])
        assert channels.channel("s", "c").state().status == "ended"

    tasks = {"publish": call(lambda channel: channel.publish("x")), "end": call(lambda channel: channel.end("stop"))}
    explored(tasks, check)


def test_two_who_produce(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of the answer, there is one."""
    monkeypatch.setattr("session_store.channels._sync.lease.secrets.token_urlsafe", lambda _: next(tokens))
    tokens = iter(str(number) for number in range(10**9))

    def produce(channel: Any) -> None:
        with channel.produce() as out:
            out.publish("x")
            out.end("stop")

    def check(channels: Channels[str], results: dict[str, Any]) -> None:
        assert data(channels) == ["x", "stop"]
        assert list(results.values()).count("done") == 1

    explored({"one": call(produce), "two": call(produce)}, check)


def test_an_event_beside_a_purge() -> None:
    """Nothing is left of it."""

    def check(channels: Channels[str], results: dict[str, Any]) -> None:
        assert data(channels) == []
        assert channels.channel("s", "c").state().status == "none"

    tasks: dict[str, Any] = {
        "publish": call(lambda channel: channel.publish("x")),
        "end": lambda channels: channels.store.namespace("s").purge(fence=60),
    }
    explored(tasks, check, setup=lambda channels: channels.channel("s", "c").publish("first"))
