"""Requests to Django over the engine. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from typing import Any

import django
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client, RequestFactory, override_settings
from redis.exceptions import ConnectionError
from support.recorder import Recorder
from web.on_django.conftest import keys_of
from web.on_django.shop import (
    COOKIE,
    OURS,
    Visitor,
    during,
)

from session_store.web import Sessions
from session_store.web.django import SessionMiddleware, sessions
from session_store.web.django import SessionStore as Engine


def test_who_only_looks_leaves_nothing(visitor: Visitor, client: Any, prefix: str, recorder: Recorder) -> None:
    """[1] No command, no cookie."""
    for url in ("/", "/plain"):
        response = visitor.get(url)
        assert "set-cookie" not in response.headers
    assert visitor.get("/").headers["vary"] == "Cookie"
    assert (recorder.writes, keys_of(client, prefix)) == ([], [])


def test_a_page_view_is_one_read(visitor: Visitor, recorder: Recorder) -> None:
    """[3] And the first write is one script [4], with a cookie as Django's settings say."""
    sessions()
    response = visitor.post("/set", {"a": 1})
    (cookie,) = response.headers.get_list("set-cookie")
    attributes = {part.partition("=")[0] for part in cookie.split("; ")[1:]}
    assert attributes == {"expires", "HttpOnly", "Max-Age", "Path", "SameSite", "Secure"}
    assert cookie.strip().startswith(f"{COOKIE}=") and "Path=/;" in cookie and "SameSite=Lax" in cookie
    for url, commands in (("/", [("HGETALL",)]), ("/plain", [])):
        recorder.clear()
        assert "set-cookie" not in visitor.get(url).headers
        assert recorder.writes in ([], commands)  # in memory nothing travels
    recorder.clear()
    Visitor(visitor.kind).post("/set", {"a": 1})
    assert [each for write in recorder.writes for each in write if each != "EVAL"] in ([], ["EVALSHA"])


def test_what_is_nested_is_saved(visitor: Visitor) -> None:
    """[10]"""
    visitor.post("/set", {"basket": {"lines": ["tea"]}})
    visitor.post("/nested")
    assert visitor.content()["basket"] == {"lines": ["tea", "cup"]}


def test_two_tabs_lose_nothing(visitor: Visitor) -> None:
    """[6] Different keys; a basket by a transaction, and slots beside the session."""
    visitor.post("/set", {"old": 0})
    during.append(lambda: visitor.twin().post("/set", {"a": 1}))
    during.append(lambda: visitor.twin().post("/basket/tea"))
    visitor.post("/set", {"b": 2})
    assert visitor.post("/basket/tea").json() == {"tea": 2}
    assert visitor.content() == {"user": None, "old": 0, "a": 1, "b": 2, "basket": {"tea": 2}}
    assert [visitor.post("/count").text for _ in range(2)] == ["1", "2"]


@pytest.mark.parametrize("url", ["/basket/tea", "/count"])
def test_what_begins_a_session_sets_its_cookie(visitor: Visitor, url: str) -> None:
    visitor.post(url)
    assert visitor.cookie is not None
    assert "set-cookie" not in visitor.post(url).headers  # so no answer takes another's place
    assert visitor.post(url).text in ('{"tea": 3}', "3")


@pytest.mark.parametrize("key", ["A" * 22 + "." + "B" * 43, "12345678", "x", "ä" * 40, '"\\000"', "a" * 9_000])
def test_an_invented_key_is_not_adopted(
    visitor: Visitor, recorder: Recorder, client: Any, prefix: str, key: str
) -> None:
    """[17] Nothing is sent for what cannot be one."""
    Engine(key).save()
    assert Engine(key).get("a") is None
    recorder.clear()
    session = Engine(key)
    session["a"] = 1
    assert recorder.writes in ([], [("HGETALL",)] if key.endswith("B") else [])
    session.save()
    assert session.session_key not in (None, key) and Engine(session.session_key)["a"] == 1
    assert not any(b"A" * 22 in each for each in keys_of(client, prefix))


@pytest.mark.skipif(django.VERSION < (5, 1), reason="sessions have async methods since Django 5.1")
def test_async_views_see_the_same_session(visitor: Visitor) -> None:
    """[53]"""
    visitor.post("/async/set", {"a": 1})
    visitor.post("/set", {"b": 2})
    assert visitor.content() == {"user": None, "a": 1, "b": 2, "async": True}
    old = visitor.twin()
    visitor.post("/async/login/7")
    assert (visitor.content()["user"], old.content()) == (7, {"user": None})
    visitor.post("/async/login/8")
    assert (visitor.content()["user"], sessions().of("7")) == (8, [])
    visitor.post("/async/logout")
    assert (visitor.cookie, sessions().of("8")) == (None, [])
    assert len(async_to_sync(Engine()._aget_new_session_key)()) == 66


def test_what_failed_saves_nothing(visitor: Visitor) -> None:
    """[41]"""
    visitor.post("/set", {"a": 1})
    visitor.post("/fail")
    assert visitor.content() == {"user": None, "a": 1}


def test_the_test_client(site: Any) -> None:
    browser = Client()
    session = browser.session
    session["basket"] = 1
    session.save()
    assert browser.get("/", secure=True).json() == {"user": None, "basket": 1}
    browser.force_login(User(pk=7, username="ann", password="x"), settings.AUTHENTICATION_BACKENDS[0])
    assert browser.get("/", secure=True).json()["user"] == 7
    browser.logout()
    assert (sessions().of("7"), browser.get("/", secure=True).json()) == ([], {"user": None})


def test_without_redis(visitor: Visitor, monkeypatch: pytest.MonkeyPatch) -> None:
    """Django's 500, and no cookie is lost."""

    def away(*args: Any) -> None:
        raise ConnectionError

    visitor.post("/set", {"a": 1})
    before = visitor.cookie
    with monkeypatch.context() as patch:
        patch.setattr(Sessions, "open", away)
        response = visitor.get("/")
        assert (response.status_code, "set-cookie" in response.headers) == (500, False)
    assert (visitor.cookie, visitor.content()) == (before, {"user": None, "a": 1})


def test_our_middleware(visitor: Visitor) -> None:
    """It sends the cookie with a new token only, for as long as the session may live, and deletes it at a logout only."""
    others = settings.MIDDLEWARE[1:]
    with override_settings(MIDDLEWARE=[OURS, *others]):
        response = visitor.post("/set", {"a": 1})
        assert "Max-Age=7776000;" in response.headers["set-cookie"].replace("7775999", "7776000")
        assert response.headers["cache-control"] == "no-store"
        for response in (visitor.get("/"), visitor.post("/set", {"a": 2}), visitor.get("/plain")):
            assert "set-cookie" not in response.headers and "cache-control" not in response.headers
        visitor.post("/login/7")
        old = visitor.twin()
        visitor.post("/login/7")
        assert visitor.get("/").headers["cache-control"] == "no-store"
        assert visitor.get("/cached").headers["cache-control"] == "private"
        assert "cache-control" not in visitor.get("/plain").headers
        assert visitor.content()["a"] == 2
        response = visitor.post("/expire", 100)
        assert "Max-Age=100;" in response.headers["set-cookie"]
        old.jar.set(COOKIE, "A" * 22 + "." + "B" * 43)
        assert "set-cookie" not in old.get("/").headers
        assert "Max-Age=0" in visitor.post("/logout").headers["set-cookie"] and visitor.cookie is None


def test_our_middleware_lets_other_sessions_be(site: Any) -> None:
    middleware = SessionMiddleware(lambda request: HttpResponse(setattr(request, "session", {}) or "ok"))
    assert middleware(RequestFactory().get("/")).content == b"ok"
