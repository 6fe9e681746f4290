"""A shop on Django, and a visitor."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import django
import httpx
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib import auth, messages
from django.contrib.auth.signals import user_logged_in
from django.core.handlers.asgi import ASGIHandler
from django.core.handlers.wsgi import WSGIHandler
from django.http import HttpResponse, JsonResponse
from django.urls import path

from session_store import InMemoryClient
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


def stored(**values: Any) -> str:
    """The key of a session that holds them."""
    session = Engine()
    session.update(values)
    session.save()
    return str(session.session_key)
