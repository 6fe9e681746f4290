"""Logins, logouts and messages on Django. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.sessions.exceptions import SessionInterrupted
from web.on_django.conftest import keys_of
from web.on_django.shop import Visitor, during, stored

from session_store.web._django.settings import merge_messages
from session_store.web.django import SessionStore as Engine
from session_store.web.django import sessions


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


def test_messages(visitor: Visitor) -> None:
    """[8] Those of two requests that meet are both shown, and once."""
    visitor.post("/set", {"a": 1})
    during.append(lambda: visitor.twin().post("/tell/two"))
    visitor.post("/tell/one")
    assert visitor.get("/told").json() == ["two", "one"]
    assert visitor.get("/told").json() == []
    assert visitor.content() == {"user": None, "a": 1}
    assert merge_messages('["a"]', '["a"]', None) is None


def test_a_new_key_beside_a_login(site: Any) -> None:
    """A key that is cycled after the user's was set, not before, as Django does it, is a login all the same."""
    session = Engine(stored(a=1))
    session["_auth_user_id"] = "7"
    session.cycle_key()
    assert len(sessions().of("7")) == 1 and Engine(session.session_key).owner == "7"
