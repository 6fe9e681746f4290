"""A shop on Flask whose sessions move from Flask-Session; STEP says how far it is: old, A, B, C."""

from __future__ import annotations

import os
from typing import Any

import flask
import redis
from flask_session.redis import RedisSessionInterface

from session_store import JsonCodec, SessionStore
from session_store.web import CookiePolicy, SessionPolicy, Sessions
from session_store.web.migrating import Migration, RedisBlobs, flask_session
from session_store.web.migrating.flask import MigratingInterface

STEP = os.environ["STEP"]
client = redis.Redis.from_url(os.environ["REDIS_URL"])
application = flask.Flask("served")
theirs = None if STEP == "C" else RedisSessionInterface(application, client=client)
migration = Migration(
    Sessions(
        SessionStore(client, prefix="shop", default_ttl=600, codec=JsonCodec()),
        policy=SessionPolicy(idle=600, lifetime=6_000, owner_key="_user_id"),
    ),
    RedisBlobs(client, "session:", flask_session()),
    cookie=CookiePolicy(name="session", secure=False),
    share=0.0 if STEP == "A" else 1.0,
)
application.session_interface = theirs if STEP == "old" else MigratingInterface(migration, old=theirs)
session: Any = flask.session


@application.get("/")
def page() -> Any:
    return dict(session)


@application.post("/mark/<key>")
def mark(key: str) -> Any:
    session[key] = 1
    return {"user": session.get("_user_id")}


@application.post("/login/<user>")
def login(user: str) -> Any:
    session["_user_id"] = user
    return {}


@application.post("/logout")
def logout() -> Any:
    session.clear()
    return {}
