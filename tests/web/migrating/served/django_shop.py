"""A shop on Django whose sessions move from Django's; STEP says how far it is: old, A, B, C. ENGINE says from which."""

from __future__ import annotations

import os
from datetime import timedelta

import redis
from django.conf import settings
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

STEP, ENGINE = os.environ["STEP"], f"django.contrib.sessions.backends.{os.environ['ENGINE']}"
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    CACHES={"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": os.environ["REDIS_URL"]}},
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.environ.get("DATABASE", ":memory:"),
            "OPTIONS": {"timeout": 60, "transaction_mode": "IMMEDIATE", "init_command": "PRAGMA journal_mode=wal"},
        }
    },
    INSTALLED_APPS=["django.contrib.sessions"],
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of this test",
    SESSION_COOKIE_AGE=600,
    SESSION_ENGINE=ENGINE if STEP == "old" else "session_store.web.migrating.django",
    SESSION_MIGRATION={"engine": ENGINE, "share": 0.0 if STEP == "A" else 1.0, "pickle": True},
    SESSION_STORE={
        "client": redis.Redis.from_url(os.environ["REDIS_URL"]),
        "prefix": "shop",
        "lifetime": timedelta(hours=2),
    },
)


def page(request: HttpRequest) -> JsonResponse:
    return JsonResponse(dict(request.session.items()))


def mark(request: HttpRequest, key: str) -> JsonResponse:
    request.session[key] = 1
    return JsonResponse({"user": request.session.get("_auth_user_id")})


def login(request: HttpRequest, user: str) -> JsonResponse:
    request.session.cycle_key()
    request.session["_auth_user_id"] = user
    return JsonResponse({})


def logout(request: HttpRequest) -> JsonResponse:
    request.session.flush()
    return JsonResponse({})


urlpatterns = [
    path("", page),
    path("mark/<key>", mark),
    path("login/<user>", login),
    path("logout", logout),
]
application = get_wsgi_application()


def migration() -> object:
    """For the script."""
    from session_store.web.migrating import django

    return django.migration()
