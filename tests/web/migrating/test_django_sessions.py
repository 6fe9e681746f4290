"""Django's sessions in a cache on Redis, in an application that moves them; SESSION_MIGRATION says at which step it is."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import httpx
import pytest

pytest.importorskip("django", reason="Django is not installed")
from asgiref.sync import sync_to_async
from django.contrib import auth  # where it is
from django.contrib.sessions.backends.cache import SessionStore as CacheStore
from django.core.exceptions import ImproperlyConfigured
from django.http import JsonResponse
from django.test import override_settings
from django.urls import path
from docs.pages import DOCS
from support.servers import Server
from web.on_django.shop import COOKIE, Backend, Visitor

from session_store import InMemoryClient
from session_store.web.django import SessionStore as Ours
from session_store.web.django import sessions
from session_store.web.migrating._sync import moves
from session_store.web.migrating.django import OldEngine, SessionStore, migration

CACHE = "django.contrib.sessions.backends.cache"
NEW = "session_store.web.migrating.django"
during: list[Callable[[], Any]] = []  # what happens while a slow request is under way


def view(request: Any) -> Any:
    """Does what its body says."""
    wanted = json.loads(request.body or "{}")
    if wanted.pop("slow", None):
        assert "x" not in request.session
        during.pop()()
    if user := wanted.pop("login", None):
        auth.login(request, Backend().get_user(user))
    if wanted.pop("logout", None):
        auth.logout(request)
    if (expiry := wanted.pop("expiry", None)) is not None:
        request.session.set_expiry(timedelta(seconds=expiry))
    if wanted:
        request.session.update(wanted)
    return JsonResponse({**request.session, "user": request.user.pk})


class Site:
    """The settings of each step, on one cache and one store."""

    def __init__(self, server: Server, prefix: str) -> None:
        self.client = InMemoryClient()
        cache = {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": server.url, "KEY_PREFIX": prefix}
        self._settings = {
            "CACHES": {"default": cache},
            "ROOT_URLCONF": (path("", view),),
            "SESSION_COOKIE_AGE": 600,
            "SESSION_STORE": {"client": lambda: self.client, "prefix": "p", "lifetime": timedelta(days=90)},
        }

    @contextmanager
    def at(self, step: str, **migrating: Any) -> Iterator[None]:
        settings = {"engine": CACHE, "pickle": True, "share": 0.0 if step == "A" else 1.0, **migrating}
        engine = CACHE if step == "old" else NEW
        with override_settings(SESSION_ENGINE=engine, SESSION_MIGRATION=settings, **self._settings):
            yield

    def send(self, step: str, visitor: Visitor, **body: Any) -> Any:
        with self.at(step):
            answer = visitor.post("/", body)
            assert answer.status_code == 200, answer.text
            return answer.json()


@pytest.fixture
def site(server: Server, prefix: str) -> Site:
    return Site(server, prefix)


@pytest.fixture(params=["wsgi", "asgi"])
def visitor(request: pytest.FixtureRequest) -> Visitor:
    return Visitor(request.param)


def test_from_step_to_step(site: Site, visitor: Visitor) -> None:
    """One browser: who is logged in stays so, and has what it had; its cookie changes once."""
    site.send("old", visitor, login="7", a=1)
    old = visitor.cookie
    site.send("A", visitor, b=1)
    assert visitor.cookie == old
    site.send("B", visitor, c=1)
    token = visitor.cookie
    assert token != old
    site.send("A", visitor, d=1)
    page = site.send("C", visitor)
    assert page.items() >= {"user": 7, "a": 1, "b": 1, "c": 1, "d": 1}.items()
    assert visitor.cookie == token
    with site.at("B"):
        assert [info.id for info in sessions().of("7")] == [str(token).partition(".")[0]]
        assert list(migration().old.ids()) == []


def test_a_page_view_is_enough(site: Site, visitor: Visitor) -> None:
    """And two that come at once have one session."""
    site.send("old", visitor, a=1)
    other = visitor.twin()
    assert site.send("B", visitor)["a"] == site.send("B", other)["a"] == 1
    assert visitor.cookie == other.cookie
    assert len(str(visitor.cookie)) == 66


def test_the_old_key_is_worth_nothing_then(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the browser has shown the new one, and what was on its way has had its time: none, here."""
    monkeypatch.setattr(moves, "IN_FLIGHT", 0)
    visitor = Visitor("wsgi")
    site.send("old", visitor, a=1)
    thief = visitor.twin()
    for _ in range(2):
        assert site.send("B", visitor)["a"] == 1
    assert site.send("B", thief) == {"user": None}


def test_a_visitor_who_is_new(site: Site) -> None:
    for step, length in (("A", 32), ("B", 66)):
        visitor = Visitor("wsgi")
        site.send(step, visitor, a=1)
        assert len(str(visitor.cookie)) == length
        assert site.send(step, visitor)["a"] == 1


@pytest.mark.parametrize("key", ["short", "x" * 32, "a b" * 10])
def test_a_key_that_is_none(site: Site, key: str) -> None:
    visitor = Visitor("wsgi", httpx.Cookies({COOKIE: key}))
    assert site.send("B", visitor) == {"user": None}
    assert site.client.keys("*") == []


def test_what_step_a_signs_old_workers_can_read(site: Site) -> None:
    """Django takes the name of the class for it, in a database and in files."""
    with site.at("A"):
        assert SessionStore().key_salt == CacheStore().key_salt


def test_a_slow_request_of_the_old_engine(site: Site, visitor: Visitor) -> None:
    """Which has loaded before the move, and saves after it: Django's UpdateError is not seen, and nothing is lost."""
    site.send("old", visitor, login="7", a=1)
    other = visitor.twin()
    during.append(lambda: site.send("B", other, fast=1))
    site.send("A", visitor, slow=1, late=1)
    assert visitor.cookie == other.cookie
    assert site.send("C", visitor).items() >= {"user": 7, "a": 1, "fast": 1, "late": 1}.items()


def test_a_slow_login_of_the_old_engine(site: Site, visitor: Visitor) -> None:
    site.send("old", visitor, a=1)
    other = visitor.twin()
    during.append(lambda: site.send("B", other))
    site.send("A", visitor, slow=1, login="7")
    assert site.send("C", visitor)["user"] == 7
    assert site.send("C", other) == {"user": None}


def test_a_slow_logout_of_the_old_engine(site: Site, visitor: Visitor) -> None:
    site.send("old", visitor, login="7", a=1)
    other, thief = visitor.twin(), visitor.twin()
    during.append(lambda: site.send("B", other))
    site.send("A", visitor, slow=1, logout=1)
    for each in (other, thief):
        assert site.send("C", each) == {"user": None}


def test_a_request_to_a_session_that_the_old_engine_has_ended(site: Site) -> None:
    """Is Django's 400, as ever."""
    visitor = Visitor("wsgi")
    site.send("old", visitor, a=1)
    key = str(visitor.cookie)
    with site.at("A"):
        during.append(lambda: CacheStore(key).delete(key))
        assert visitor.post("/", {"slow": 1, "b": 1}).status_code == 400


def test_how_long_it_lives(site: Site) -> None:
    """As long as the cache would have kept it; a date that the application has set stays."""
    with site.at("old"):
        store = CacheStore()
        store["a"] = 1
        store.save()
        plain = store.session_key
        store._cache._cache.get_client(write=True).pexpire(store._cache.make_and_validate_key(store.cache_key), 50_000)
        store = CacheStore()
        store.set_expiry(timedelta(seconds=100))
        store.save()
        dated = store.session_key
    with site.at("B"):
        old = OldEngine(CacheStore)
        assert old.read(plain).left == pytest.approx(50, abs=2)
        assert old.read(dated).at_most == pytest.approx(100, abs=2)
        assert sorted(old.ids()) == sorted([plain, dated])
        assert sorted(migration().move_all()) == ["moved", "moved"]
        site.client.advance(55)
        assert "a" not in SessionStore(plain)
        assert "_session_expiry" in SessionStore(dated)
        site.client.advance(60)
        assert "_session_expiry" not in SessionStore(dated)


def test_the_settings_that_the_page_shows(site: Site) -> None:
    """They are those of step A."""
    [block] = [each for each in DOCS["migrating"].blocks if each.file == "settings.py"]
    shown: dict[str, Any] = {"timedelta": timedelta}
    exec(block.code, shown)
    assert shown["SESSION_ENGINE"] == NEW
    with site.at("A", **shown["SESSION_MIGRATION"]):
        assert type(SessionStore()).__mro__[2] is CacheStore


def test_pickles_are_not_read_unasked(site: Site) -> None:
    with site.at("B", pickle=False), pytest.raises(ImproperlyConfigured, match="holds pickles"):
        migration()


def test_a_cache_that_does_not_list_its_keys(site: Site) -> None:
    class Mute(CacheStore):
        def __init__(self, session_key: str | None = None) -> None:
            super().__init__(session_key)
            self._cache = object()

    with site.at("B"), pytest.raises(ImproperlyConfigured, match="does not list its keys"):
        list(OldEngine(Mute).ids())


class OfDjangoRedis:
    """What django-redis' cache has, as far as it is asked."""

    def __init__(self, seconds: int | None) -> None:
        self.seconds = seconds

    def get(self, key: str) -> Any:
        return {"a": 1}

    def ttl(self, key: str) -> int | None:
        return self.seconds

    def iter_keys(self, pattern: str) -> Iterator[str]:
        yield pattern.replace("*", "x" * 32)


@pytest.mark.parametrize(("seconds", "left"), [(50, 50), (None, 600)])
def test_a_cache_of_django_redis(site: Site, seconds: int | None, left: float) -> None:
    class Store(CacheStore):
        def __init__(self, session_key: str | None = None) -> None:
            super().__init__(session_key)
            self._cache = OfDjangoRedis(seconds)

    with site.at("B"):
        old = OldEngine(Store)
        assert list(old.ids()) == ["x" * 32]
        assert old.read("x" * 32).left == left


def test_a_cache_that_does_not_tell_how_long(site: Site) -> None:
    class Plain(CacheStore):
        def __init__(self, session_key: str | None = None) -> None:
            super().__init__(session_key)
            self._cache = SimpleNamespace(get=lambda key: {"a": 1})

    with site.at("B"):
        assert OldEngine(Plain).read("x" * 32).left == 600


async def test_an_async_view_in_step_a(site: Site) -> None:
    """What it has loaded is followed as well."""
    visitor = Visitor("wsgi")
    await sync_to_async(site.send)("old", visitor, a=1)

    def others() -> None:
        migration().take(str(visitor.cookie), always=True)

    with site.at("A"):
        session = await sync_to_async(SessionStore)(visitor.cookie)
        assert await session.aget("a") == 1
        await session.aset("late", 1)
        await sync_to_async(others)()
        await sync_to_async(session.save)()
        assert len(session.session_key) == 66
        assert dict(await sync_to_async(lambda: Ours(session.session_key).items())()) == {"a": 1, "late": 1}


def test_its_own_sessions_are_as_ever(site: Site) -> None:
    """Made by a test client, say."""
    with site.at("B"):
        store = SessionStore()
        store["a"] = 1
        store.save()
        assert isinstance(store, Ours)
        assert SessionStore(store.session_key)["a"] == 1
