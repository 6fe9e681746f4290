"""The shop on Django: with our engine, and with its cached sessions over django-redis.

A login is what `django.contrib.auth` makes of one: `cycle_key`, and the user's id in the session; a logout is `flush`.
"""

from __future__ import annotations

import logging
from datetime import timedelta
from functools import partial
from typing import Any

import redis
from django.conf import settings
from django.core.cache import caches
from django.http import HttpRequest, JsonResponse
from django.urls import path

from benchmarks.shops.face import PREFIX, TTL, Slow, WsgiShop, change
from benchmarks.shops.ours import READ_TO_BE_WRITTEN


class _Django(WsgiShop):
    """`engine`, `middleware`: which sessions. Django has one configuration per process; what is made reads it once."""

    engine: str
    middleware: str

    def __init__(self, port: int) -> None:
        client = redis.Redis(port=port)
        self.clients = (client,)
        if not settings.configured:
            settings.configure(SESSION_COOKIE_AGE=TTL, USE_TZ=True, CACHES={"default": {}})
        settings.ALLOWED_HOSTS, settings.ROOT_URLCONF = ["shop.test"], __name__
        settings.MIDDLEWARE, settings.SESSION_ENGINE = [self.middleware], self.engine
        settings.SESSION_STORE = {"client": client, "prefix": PREFIX, "lifetime": timedelta(seconds=10 * TTL)}
        settings.SESSION_CACHE_ALIAS = f"shop-{port}"
        caches.settings[settings.SESSION_CACHE_ALIAS] = {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": f"redis://127.0.0.1:{port}/0",
            "KEY_PREFIX": PREFIX,
        }
        import django
        from django.core.handlers.wsgi import WSGIHandler

        django.setup(set_prefix=False)
        logging.getLogger("django.request").setLevel(logging.CRITICAL)  # refusals are counted, not told
        self.app = WSGIHandler()


class Ours(_Django):
    """Our engine and our middleware."""

    engine = "session_store.web.django"
    middleware = "session_store.web.django.SessionMiddleware"


class Cached(_Django):
    """`django.contrib.sessions.backends.cache`."""

    engine = "django.contrib.sessions.backends.cache"
    middleware = "django.contrib.sessions.middleware.SessionMiddleware"


def act(request: HttpRequest, action: str, value: str = "") -> JsonResponse:
    """The one view; what is read to be written is written in a transaction where there are any."""
    session: Any = request.session
    session.get("user_id")  # loaded, as the others are
    Slow.here_sync(request.META["QUERY_STRING"])
    if action == "login":
        session.cycle_key()
        session["_auth_user_id"] = session["user_id"] = value
    elif action == "logout":
        session.flush()
    elif action in READ_TO_BE_WRITTEN and hasattr(session, "transaction"):
        session.transaction(partial(change, action=action, value=value))
    else:
        change(session, action, value)
    return JsonResponse(dict(session.items()))


urlpatterns = [path("<action>", act), path("<action>/<value>", act)]
