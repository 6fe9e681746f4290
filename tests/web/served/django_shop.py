"""The shop of test_workers.py on Django: `application` for WSGI, with sync views, and `asgi`, with async ones."""

from __future__ import annotations

import os
from datetime import timedelta
from typing import Any

import redis
from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

IS_ASYNC = "DJANGO_ASYNC" in os.environ
settings.configure(
    ALLOWED_HOSTS=["127.0.0.1"],
    MIDDLEWARE=["session_store.web.django.SessionMiddleware"],
    ROOT_URLCONF=__name__,
    SECRET_KEY="of this test",
    SESSION_COOKIE_AGE=600,
    SESSION_ENGINE="session_store.web.django",
    SESSION_STORE={
        "client": redis.Redis.from_url(os.environ["REDIS_URL"]),
        "prefix": "served",
        "lifetime": timedelta(hours=2),
    },
)
USER = "_auth_user_id"  # as django.contrib.auth has it


def more(data: dict[str, Any]) -> None:
    data["count"] = data.get("count", 0) + 1


def page(request: HttpRequest) -> JsonResponse:
    return JsonResponse({**dict(request.session.items()), "owner": request.session.get(USER)})


def add(request: HttpRequest) -> JsonResponse:
    session: Any = request.session
    session.transaction(more)
    return JsonResponse({"worker": os.getpid()})


def mark(request: HttpRequest, key: str) -> JsonResponse:
    request.session[key] = 1
    return JsonResponse({"worker": os.getpid()})


def login(request: HttpRequest) -> JsonResponse:
    request.session.cycle_key()
    request.session[USER] = "ann"
    return JsonResponse({})


def logout(request: HttpRequest) -> JsonResponse:
    request.session.flush()
    return JsonResponse({})


async def async_add(request: HttpRequest) -> JsonResponse:
    session: Any = request.session
    await session.atransaction(more)
    return JsonResponse({"worker": os.getpid()})


async def async_mark(request: HttpRequest, key: str) -> JsonResponse:
    session: Any = request.session
    await session.aset(key, 1)
    return JsonResponse({"worker": os.getpid()})


async def async_logout(request: HttpRequest) -> JsonResponse:
    session: Any = request.session
    await session.aflush()
    return JsonResponse({})


urlpatterns = [
    path("", page),
    path("add", async_add if IS_ASYNC else add),
    path("mark/<key>", async_mark if IS_ASYNC else mark),
    path("login", sync_to_async(login) if IS_ASYNC else login),
    path("logout", async_logout if IS_ASYNC else logout),
]
application = get_asgi_application() if IS_ASYNC else get_wsgi_application()
