"""The shop of test_workers.py on Flask."""

from __future__ import annotations

import os
from typing import Any

import flask
import redis

from session_store import JsonCodec, SessionStore
from session_store.web import SessionPolicy, Sessions
from session_store.web.flask import SessionInterface

store = SessionStore(redis.Redis.from_url(os.environ["REDIS_URL"]), prefix="served", default_ttl=600, codec=JsonCodec())
application = flask.Flask("served")
application.session_interface = SessionInterface(Sessions(store, policy=SessionPolicy(idle=600, lifetime=6_000)))
session: Any = flask.session


def more(data: dict[str, Any]) -> None:
    data["count"] = data.get("count", 0) + 1


@application.get("/")
def page() -> Any:
    return {**session, "owner": session.owner}


@application.post("/add")
def add() -> Any:
    session.transaction(more)
    return {"worker": os.getpid()}


@application.post("/mark/<key>")
def mark(key: str) -> Any:
    session[key] = 1
    return {"worker": os.getpid()}


@application.post("/login")
def login() -> Any:
    session.login("ann")
    return {}


@application.post("/logout")
def logout() -> Any:
    session.logout()
    return {}
