"""The engine itself: how long a session lives, what is refused, and its settings."""

from __future__ import annotations

import json
from datetime import timedelta
from typing import Any

import pytest
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import ImproperlyConfigured
from django.test import override_settings
from web.on_django.conftest import keys_of
from web.on_django.shop import STORE, Visitor, stored

from session_store import InMemoryClient, JsonCodec, NamespacePurgedError
from session_store.web.django import SessionStore as Engine
from session_store.web.django import sessions


def ttl(client: Any, prefix: str) -> int:
    """Seconds that the one session has."""
    [key] = [key for key in keys_of(client, prefix) if key.endswith(b":session")]
    return int(client.ttl(key))


def test_how_long_a_session_lives(visitor: Visitor, client: Any, prefix: str) -> None:
    """By SESSION_COOKIE_AGE, and an hour later at most; by `set_expiry`, up to the lifetime; not at all."""
    day = 86_400
    visitor.post("/set", {"a": 1})
    assert 14 * day - 5 <= ttl(client, prefix) <= 14 * day + 3_600
    visitor.post("/expire", 30 * day)
    assert 30 * day - 5 <= ttl(client, prefix) <= 30 * day + 3_600
    visitor.post("/login/7")
    assert 30 * day - 5 <= ttl(client, prefix) <= 30 * day + 3_600
    visitor.post("/expire", 400 * day)
    assert 90 * day - 5 <= ttl(client, prefix) <= 90 * day
    visitor.post("/expire", 0)
    assert 14 * day - 5 <= ttl(client, prefix) <= 14 * day + 3_600
    visitor.post("/expire", 100)
    assert 95 <= ttl(client, prefix) <= 110
    visitor.post("/expire", -1)
    assert (visitor.cookie, keys_of(client, prefix)[:0]) == (None, [])
    assert sessions().of("7") == []


def test_one_that_is_over_before_it_began(site: Any, client: Any, prefix: str) -> None:
    """The cookie that Django sends then has a value that is nobody's."""
    session = Engine()
    session.set_expiry(-1)
    session.save()
    assert len(session.session_key or "") == 66 and keys_of(client, prefix) == []


def test_an_end_by_date(site: Any, client: Any, prefix: str) -> None:
    """Which reading does not put off."""
    session = Engine()
    session.set_expiry(timedelta(seconds=100))
    session.save()
    assert 95 <= ttl(client, prefix) <= 110
    key = session.session_key
    [stored_key] = [each for each in keys_of(client, prefix) if each.endswith(b":session")]
    client.hincrby(stored_key, "~renewed", -60_000)
    client.expire(stored_key, 50)
    assert Engine(key).get_expiry_age() in (99, 100) and ttl(client, prefix) <= 50
    for zone in ("", "+00:00"):  # of before USE_TZ was changed, perhaps
        client.hset(stored_key, "._session_expiry", json.dumps(f"2999-01-01T00:00:00{zone}"))
        assert Engine(key).owner is None and Engine(key).id is not None
        client.hset(stored_key, "._session_expiry", json.dumps(f"2001-01-01T00:00:00{zone}"))
        session = Engine(key)
        assert (session.get("_session_expiry"), session.session_key) == (None, None)


def test_a_session_that_is_read_lives_on(site: Any, client: Any, prefix: str) -> None:
    key = stored(a=1)
    [stored_key] = [each for each in keys_of(client, prefix) if each.endswith(b":session")]
    client.expire(stored_key, 50)
    assert Engine(key)["a"] == 1 and ttl(client, prefix) <= 50
    client.hincrby(stored_key, "~renewed", -3_600_000)
    assert Engine(key)["a"] == 1 and ttl(client, prefix) > 50


def test_an_emptied_session_stays_one(site: Any) -> None:
    """And takes its owner along: whoever removes the user's key logs them out, by another token."""
    session = Engine(stored(a=1))
    key = session.session_key
    session.clear()
    session.save()
    assert session.session_key == key and Engine().exists(key) and dict(Engine(key).items()) == {}
    session.update({"_auth_user_id": "7", "a": 1})
    session.save()
    key = session.session_key
    session.clear()
    session["b"] = 1
    session.save()
    assert not Engine().exists(key) and sessions().of("7") == []
    assert dict(Engine(session.session_key).items()) == {"b": 1}


def test_saves_that_are_refused(site: Any) -> None:
    session = Engine(stored(a=1))
    key = session.session_key
    with pytest.raises(CreateError):
        session.save(must_create=True)
    twin = Engine(key)
    assert twin["a"] == 1
    namespace = session.namespace()
    session.flush()
    for change in (lambda: None, lambda: twin.update({"a": 2})):
        change()
        with pytest.raises(UpdateError):
            twin.save()
    with pytest.raises(SessionInterrupted):
        twin.transaction(lambda data: data.clear())
    with pytest.raises(SessionInterrupted):
        twin.namespace()
    with pytest.raises(NamespacePurgedError):
        namespace.set("late", "1")
    assert not twin.exists(key)
    invented = Engine("A" * 22 + "." + "B" * 43)
    invented.save(must_create=True)
    assert invented.session_key and not invented.session_key.startswith("A" * 22)


def test_a_save_that_is_taken_back(site: Any) -> None:
    """As Django has it: `modified = False`. A `pop` of nothing is not one."""
    session = Engine(stored(a=[1]))
    assert session.pop("no such key", None) is None and not session.modified
    session["a"].append(2)
    assert session.modified
    session.modified = False
    session["a"].append(3)
    assert not session.modified
    session["b"] = 1
    assert session.modified
    session.modified = False
    session.clear()
    assert session.modified


def test_conflicts(site: Any) -> None:
    """[7] As the policy has it: a 400 by Django, and nothing is written."""
    with override_settings(SESSION_STORE={**site, "conflicts": "raise", "max_per_owner": 1, "at_limit": "refuse"}):
        key = stored(a=1)
        one, two = Engine(key), Engine(key)
        one["a"], two["a"] = one["a"] + 1, two["a"] + 2
        one.save()
        with pytest.raises(SessionInterrupted):
            two.save()
        assert Engine(key)["a"] == 2
        stored(_auth_user_id="7")
        with pytest.raises(SessionInterrupted):
            stored(_auth_user_id="7")


def test_values_are_those_of_the_serializer(site: Any) -> None:
    """Django's, which takes tuples for lists; what it does not take is told by the key, and stores nothing."""
    assert Engine(stored(a=(1, 2)))["a"] == [1, 2]
    with pytest.raises(TypeError, match=r"'a' of the session: .* got set"):
        stored(a={1})
    key = stored(a=1)
    with override_settings(SESSION_STORE={**site, "codec": JsonCodec()}):
        assert Engine(key)["a"] == 1
        with pytest.raises(TypeError, match="tuple"):
            stored(a=(1, 2))
    with override_settings(SESSION_SERIALIZER=f"{__name__}.Upside"):
        assert Engine(key).get("a") is None  # and is kept
    assert Engine(key)["a"] == 1


class Upside:
    """Another serializer."""

    def dumps(self, value: Any) -> bytes:
        return json.dumps(value).encode()[::-1]

    def loads(self, data: bytes) -> Any:
        return {b"2": 2}[data[::-1]]


@pytest.mark.parametrize(
    "change", [{"client": None}, {"idle": 1}, {"grace": 5}, {"on_ended": "drop"}, {"prefix": None}, {"lifetime": None}]
)
def test_settings_that_are_refused(change: dict[str, Any]) -> None:
    wanted = {key: value for key, value in {**STORE, **change}.items() if value is not None}
    with override_settings(SESSION_STORE=wanted), pytest.raises(ImproperlyConfigured, match=next(iter(change))):
        sessions()


CLIENT = InMemoryClient()


def test_clients(site: Any) -> None:
    """A client or what makes one, or the path of either. Made once, and anew with other settings."""
    for given in (CLIENT, f"{__name__}.CLIENT", InMemoryClient, "session_store.InMemoryClient", lambda: CLIENT):
        with override_settings(SESSION_STORE={**STORE, "client": given}):
            made = sessions()
            assert made is sessions() and Engine(stored(a=1))["a"] == 1
    assert sessions() is not made
