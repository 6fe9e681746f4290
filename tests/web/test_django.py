"""Django over the engine. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import django
import httpx
import pytest
import redis
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.signals import user_logged_in
from django.contrib.sessions.backends.base import CreateError, UpdateError
from django.contrib.sessions.exceptions import SessionInterrupted
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, JsonResponse
from django.test import Client, RequestFactory, override_settings
from django.urls import path
from redis.exceptions import ConnectionError
from support.recorder import Recorder
from support.servers import Server

from session_store import InMemoryClient, JsonCodec, NamespacePurgedError
from session_store.web import Sessions
from session_store.web._django.settings import merge_messages
from session_store.web.django import SessionMiddleware, sessions
from session_store.web.django import SessionStore as Engine

SITE = "https://shop.test"
COOKIE = "__Host-session"
STORE = {"client": InMemoryClient, "prefix": "shop", "lifetime": timedelta(days=90)}
OURS = "session_store.web.django.SessionMiddleware"

settings.configure(
    ALLOWED_HOSTS=["*"],
    AUTHENTICATION_BACKENDS=[f"{__name__}.Backend"],
    INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.messages"],
    MESSAGE_STORAGE="django.contrib.messages.storage.session.SessionStorage",
    MIDDLEWARE=[
        "django.contrib.sessions.middleware.SessionMiddleware",
        "django.contrib.auth.middleware.AuthenticationMiddleware",
        "django.contrib.messages.middleware.MessageMiddleware",
    ],
    ROOT_URLCONF=__name__,
    SECRET_KEY="x" * 50,
    SESSION_COOKIE_NAME=COOKIE,
    SESSION_COOKIE_SECURE=True,
    SESSION_ENGINE="session_store.web.django",
    SESSION_STORE=STORE,
)
django.setup()

from django.contrib.auth.backends import BaseBackend  # noqa: E402  # wants the settings
from django.contrib.auth.models import User  # noqa: E402

user_logged_in.disconnect(dispatch_uid="update_last_login")  # there is no database


class Backend(BaseBackend):
    """Knows everybody by number."""

    def get_user(self, user_id: Any) -> User:
        return User(pk=int(user_id), username=f"user {user_id}", password="x")


during: list[Callable[[], Any]] = []  # what happens while a slow request is under way


def page(request: Any) -> Any:
    return JsonResponse({"user": request.user.pk, **request.session})


def plain(request: Any) -> Any:
    return HttpResponse("no session is asked for")


def cached(request: Any) -> Any:
    return HttpResponse(request.session.id, headers={"Cache-Control": "private"})


def put(request: Any) -> Any:
    request.session.update(json.loads(request.body))
    while during:
        during.pop()()
    return HttpResponse(request.session.id)


def nested(request: Any) -> Any:
    request.session["basket"]["lines"].append("cup")
    return HttpResponse()


def add(request: Any, article: str) -> Any:
    def more(data: dict[str, Any]) -> dict[str, int]:
        basket: dict[str, int] = data.setdefault("basket", {})
        basket[article] = basket.get(article, 0) + 1
        return basket

    return JsonResponse(request.session.transaction(more))


def count(request: Any) -> Any:
    return HttpResponse(request.session.namespace().incr("visits"))


def login(request: Any, pk: str) -> Any:
    request.session.label = "a device"
    auth.login(request, Backend().get_user(pk))
    while during:
        during.pop()()
    return HttpResponse()


def logout(request: Any) -> Any:
    auth.logout(request)
    return HttpResponse()


def fail(request: Any) -> Any:
    request.session["failed"] = True
    return HttpResponse(status=503)


def expire(request: Any) -> Any:
    request.session.set_expiry(json.loads(request.body))
    return HttpResponse()


def tell(request: Any, text: str) -> Any:
    assert request.session["a"] == 1
    messages.info(request, text)
    while during:
        during.pop()()
    return HttpResponse()


def told(request: Any) -> Any:
    return JsonResponse([str(each) for each in messages.get_messages(request)], safe=False)


async def aput(request: Any) -> Any:
    await request.session.aupdate(json.loads(request.body))
    return HttpResponse(await request.session.atransaction(lambda data: data.setdefault("async", True)))


async def alogin(request: Any, pk: str) -> Any:
    await auth.alogin(request, Backend().get_user(pk))
    return HttpResponse()


async def alogout(request: Any) -> Any:
    await auth.alogout(request)
    return HttpResponse()


urlpatterns = [
    path("", page),
    path("plain", plain),
    path("cached", cached),
    path("set", put),
    path("nested", nested),
    path("basket/<article>", add),
    path("count", count),
    path("login/<pk>", login),
    path("logout", logout),
    path("fail", fail),
    path("expire", expire),
    path("tell/<text>", tell),
    path("told", told),
    path("async/set", aput),
    path("async/login/<pk>", alogin),
    path("async/logout", alogout),
]


class Visitor:
    """A browser, with a cookie jar of its own, or one that it shares with another tab."""

    def __init__(self, kind: str, jar: httpx.Cookies | None = None) -> None:
        self.kind = kind
        self.jar = httpx.Cookies() if jar is None else jar

    @property
    def cookie(self) -> str | None:
        return self.jar.get(COOKIE)

    def twin(self) -> Visitor:
        """Another browser with the same cookie, which it keeps whatever happens."""
        return Visitor(self.kind, httpx.Cookies(self.jar))

    def get(self, url: str) -> httpx.Response:
        return self._send("GET", url)

    def post(self, url: str, body: Any = None) -> httpx.Response:
        return self._send("POST", url, json=body)

    def content(self) -> Any:
        return self.get("/").json()

    def _send(self, *args: Any, **options: Any) -> httpx.Response:
        if self.kind == "wsgi":
            with httpx.Client(transport=httpx.WSGITransport(WSGIHandler()), base_url=SITE, cookies=self.jar) as client:
                response = client.request(*args, **options)
        else:
            response = async_to_sync(self._send_async)(*args, **options)
        self.jar.extract_cookies(response)
        return response

    async def _send_async(self, *args: Any, **options: Any) -> httpx.Response:
        transport = httpx.ASGITransport(ASGIHandler())
        async with httpx.AsyncClient(transport=transport, base_url=SITE, cookies=self.jar) as client:
            return await client.request(*args, **options)


@pytest.fixture(params=["memory", "redis"])
def client(request: pytest.FixtureRequest, server: Server) -> Iterator[Any]:
    client = InMemoryClient() if request.param == "memory" else redis.Redis(port=server.port)
    yield client
    client.close()


@pytest.fixture
def site(client: Any, prefix: str) -> Iterator[dict[str, Any]]:
    """The settings of a site's sessions, which are in force."""
    store = {**STORE, "client": lambda: client, "prefix": prefix}
    with override_settings(SESSION_STORE=store):
        yield store


@pytest.fixture(params=["wsgi", "asgi"])
def visitor(request: pytest.FixtureRequest, site: Any) -> Visitor:
    return Visitor(request.param)


@pytest.fixture
def recorder(monkeypatch: pytest.MonkeyPatch) -> Recorder:
    return Recorder(monkeypatch)


def keys_of(client: Any, prefix: str) -> list[bytes]:
    return list(client.scan_iter(match=f"{prefix}:*"))


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


def test_a_login_gives_another_token(visitor: Visitor) -> None:
    """[18, 24] By Django's own login: what was there stays, and the old token is dead; its answers set no cookie."""
    visitor.post("/set", {"basket": 1})
    old = visitor.twin()
    visitor.post("/login/7")
    assert visitor.cookie not in (None, old.cookie)
    assert visitor.content()["user"] == 7 and visitor.content()["basket"] == 1
    assert [info.label for info in sessions().of("7")] == ["a device"]
    response = old.get("/")
    assert response.json() == {"user": None} and "set-cookie" not in response.headers
    response = old.post("/set", {"late": 1})
    assert response.status_code == 400 and "set-cookie" not in response.headers
    assert "late" not in visitor.content()


def test_a_login_as_somebody_else(visitor: Visitor) -> None:
    """[22] Nothing of the one before stays, however the application does it; and their session has ended."""
    visitor.post("/login/7")
    visitor.post("/set", {"theirs": 1})
    visitor.post("/login/8")
    assert (visitor.content()["user"], "theirs" in visitor.content(), sessions().of("7")) == (8, False, [])
    visitor.post("/set", {"theirs": 1})
    visitor.post("/set", {"_auth_user_id": "9"})
    assert visitor.content() == {"user": None, "_auth_user_id": "9"}  # Django wants to know the backend, too
    assert (len(sessions().of("9")), sessions().of("8")) == (1, [])


def test_a_login_while_another_tab_saves(visitor: Visitor) -> None:
    """[19] The slow request is told, by a 400, and its answer leaves the new cookie alone; nobody is logged out."""
    visitor.post("/set", {"a": 1})
    slow = visitor.twin()
    during.append(lambda: visitor.post("/login/7"))
    response = slow.post("/set", {"late": 1})
    assert response.status_code == 400 and "set-cookie" not in response.headers
    assert visitor.content()["user"] == 7 and "late" not in visitor.content()


def test_two_logins_with_one_token(site: Any) -> None:
    """[20] One wins; the other one is a 400, not a crash in the view."""
    key = stored(a=1)
    one, two = Engine(key), Engine(key)
    assert one["a"] == two["a"] == 1
    one.cycle_key()
    with pytest.raises(SessionInterrupted):
        two.cycle_key()
    assert Engine(one.session_key)["a"] == 1 and not Engine().exists(key)


def test_what_a_token_that_was_replaced_may_do(site: Any) -> None:
    """Log in: by a session of its own, with what this request wrote. Not end the other, nor see it."""
    key = stored(a=1)
    current, old, late = (Engine(key) for _ in range(3))
    current.cycle_key()
    old["b"] = 1
    old.cycle_key()
    assert dict(Engine(old.session_key).items()) == {"b": 1}
    late.delete()
    late.flush()
    assert Engine(current.session_key)["a"] == 1
    Engine().delete(current.session_key)
    assert not Engine().exists(current.session_key)
    assert Engine().exists(old.session_key) and Engine(old.session_key)._get_session(no_load=True) == {}


def test_a_logout_is_final(visitor: Visitor, client: Any, prefix: str) -> None:
    """[13] A slow request is told, by a 400: nothing is revived, and its answer sets no cookie. Then there is no key to have."""
    visitor.post("/login/7")
    slow = visitor.twin()
    during.append(lambda: visitor.post("/logout"))
    response = slow.post("/set", {"late": 1})
    assert response.status_code == 400 and "set-cookie" not in response.headers
    assert visitor.cookie is None and sessions().of("7") == []
    assert slow.content() == {"user": None}
    assert [key for key in keys_of(client, prefix) if key.endswith(b":session")] == []
    assert visitor.post("/set", {"a": 1}).status_code == 200
    assert visitor.content() == {"user": None, "a": 1}


def test_a_logout_everywhere(visitor: Visitor) -> None:
    phone = Visitor(visitor.kind)
    for each in (visitor, phone):
        each.post("/login/7")
    [kept] = [info for info in sessions().of("7") if info.id == (phone.cookie or "").partition(".")[0]]
    assert sessions().end_all("7", but=kept.id) == 1
    assert (visitor.content()["user"], phone.content()["user"]) == (None, 7)


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


def test_messages(visitor: Visitor) -> None:
    """[8] Those of two requests that meet are both shown, and once."""
    visitor.post("/set", {"a": 1})
    during.append(lambda: visitor.twin().post("/tell/two"))
    visitor.post("/tell/one")
    assert visitor.get("/told").json() == ["two", "one"]
    assert visitor.get("/told").json() == []
    assert visitor.content() == {"user": None, "a": 1}
    assert merge_messages('["a"]', '["a"]', None) is None


def test_the_test_client(site: Any) -> None:
    browser = Client()
    session = browser.session
    session["basket"] = 1
    session.save()
    assert browser.get("/", secure=True).json() == {"user": None, "basket": 1}
    browser.force_login(User(pk=7, username="ann", password="x"), f"{__name__}.Backend")
    assert browser.get("/", secure=True).json()["user"] == 7
    browser.logout()
    assert (sessions().of("7"), browser.get("/", secure=True).json()) == ([], {"user": None})


def stored(**values: Any) -> str:
    """The key of a session that holds them."""
    session = Engine()
    session.update(values)
    session.save()
    return str(session.session_key)


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


def test_a_new_key_beside_a_login(site: Any) -> None:
    """A key that is cycled after the user's was set, not before, as Django does it, is a login all the same."""
    session = Engine(stored(a=1))
    session["_auth_user_id"] = "7"
    session.cycle_key()
    assert len(sessions().of("7")) == 1 and Engine(session.session_key).owner == "7"


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
