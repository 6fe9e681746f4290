"""What is decided without I/O: cookies, policies, what becomes of a session. Numbers are those of the acceptance cases."""

from __future__ import annotations

import logging
from typing import Any

import pytest

from session_store import InMemoryClient, JsonCodec, SessionStore
from session_store.web import CookiePolicy, SessionPolicy, Sessions, SessionSupersededError
from session_store.web._core.cookies import delete_cookie, find_tokens, set_cookie
from session_store.web._core.outcome import Facts, Step, decide
from session_store.web._core.state import same
from session_store.web._core.tokens import new_token

TOKEN = "A" * 22 + "." + "B" * 43
NAME = "__Host-session"

GARBAGE = [
    b"",
    b"=",
    f"={TOKEN}".encode(),
    TOKEN.encode(),
    f"{NAME}=".encode(),
    f"{NAME}={TOKEN[:-1]}".encode(),
    f"{NAME}={TOKEN}C".encode(),
    f'{NAME}="{TOKEN}"'.encode(),
    f"{NAME}={TOKEN.replace('.', '%2E')}".encode(),
    f"{NAME}={TOKEN[:-1]}".encode() + b"\xff",
    f"{NAME}={TOKEN[:-1]}\0".encode(),
    f"x{NAME}={TOKEN}".encode(),
    f"{NAME.lower()}={TOKEN}".encode(),
    f"a={NAME}={TOKEN}".encode(),
    b"x=" + b"y" * 1_000_000 + f"; {NAME}={TOKEN}".encode(),
    "é=ü".encode(),
]


@pytest.mark.parametrize("header", GARBAGE, ids=range(len(GARBAGE)))
def test_what_is_no_token_is_no_cookie(header: bytes) -> None:
    """[45] So nothing is sent for it."""
    assert find_tokens(CookiePolicy(), [header]) == ()


@pytest.mark.parametrize("header", ["{}", "a=1; {}", "{}; a=1", "a=1;{};b=2", "  {}  ", "a=1; {}; {}"])
def test_a_token_is_found_wherever_it_stands(header: str) -> None:
    (token,) = find_tokens(CookiePolicy(), [header.replace("{}", f"{NAME}={TOKEN}").encode()])
    assert (token.text, token.id) == (TOKEN, "A" * 22)


def test_tokens_are_drawn_and_show_nothing() -> None:
    one, two = new_token(), new_token()
    assert len({one.text, two.text, one.id, two.id}) == 4
    assert find_tokens(CookiePolicy(), [f"{NAME}={one.text}".encode()])[0].has(one.digest)
    assert not two.has(one.digest) and not two.has(None)
    assert one.text[:22] not in repr(one)


@pytest.mark.parametrize(
    ("options", "cookie"),
    [
        ({}, f"__Host-session={TOKEN}; Max-Age=60; Path=/; HttpOnly; Secure; SameSite=Lax"),
        ({"secure": False}, f"session={TOKEN}; Max-Age=60; Path=/; HttpOnly; SameSite=Lax"),
        ({"path": "/a", "persistent": False}, f"session={TOKEN}; Path=/a; HttpOnly; Secure; SameSite=Lax"),
        (
            {"domain": "shop.test", "same_site": "none", "partitioned": True, "name": "sid"},
            f"sid={TOKEN}; Max-Age=60; Domain=shop.test; Path=/; HttpOnly; Secure; SameSite=None; Partitioned",
        ),
    ],
)
def test_cookies(options: dict[str, Any], cookie: str) -> None:
    """[4, 52] A cookie is deleted by the attributes that it was set with; it has room for no more than browsers keep."""
    policy = CookiePolicy(**options)
    token = find_tokens(CookiePolicy(name="t"), [f"t={TOKEN}".encode()])[0]
    assert set_cookie(policy, token, 60.9) == cookie
    name, _, attributes = cookie.partition(f"={TOKEN}")
    assert delete_cookie(policy) == f"{name}=; Max-Age=0{attributes.replace('; Max-Age=60', '')}"
    assert "Max-Age=34560000;" in set_cookie(CookiePolicy(), token, 10**9)


@pytest.mark.parametrize(
    "options",
    [
        {"name": "a b"},
        {"name": ""},
        {"name": "__Host-x", "path": "/a"},
        {"name": "__host-x", "domain": "shop.test"},
        {"name": "__Secure-x", "secure": False},
        {"same_site": "none", "secure": False},
        {"partitioned": True, "secure": False},
        {"same_site": "Lax"},
        {"path": "a"},
        {"path": "/; HttpOnly=no"},
        {"domain": "a\r\nb"},
    ],
    ids=str,
)
def test_cookies_that_browsers_would_not_take(options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"must|only if"):
        CookiePolicy(**options)


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"idle": 0}, ValueError),
        ({"idle": 61}, ValueError),
        ({"anonymous_idle": 31}, ValueError),
        ({"renew_after": 31}, ValueError),
        ({"grace": -1}, ValueError),
        ({"fence": "1"}, TypeError),
        ({"max_per_owner": 0}, ValueError),
        ({"at_limit": "end"}, ValueError),
        ({"on_ended": "?"}, ValueError),
        ({"conflicts": "first"}, ValueError),
        ({"conflicts": {"a": 1}}, ValueError),
        ({"owner_key": 7}, TypeError),
        ({"max_bytes": 1.5}, TypeError),
    ],
    ids=str,
)
def test_policies_that_make_no_sense(options: dict[str, Any], error: type[Exception]) -> None:
    with pytest.raises(error):
        SessionPolicy(**{"idle": 30, "lifetime": 60, **options})


def test_a_store_has_to_keep_sessions_for_as_long() -> None:
    store = SessionStore(InMemoryClient(), prefix="p", default_ttl=29, codec=JsonCodec())
    with pytest.raises(ValueError, match="default_ttl must be at least"):
        Sessions(store, policy=SessionPolicy(idle=30, lifetime=60))
    with pytest.raises(TypeError, match="store must be of the class SessionStore"):
        Sessions(None, policy=SessionPolicy(idle=30, lifetime=60))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("facts", "step"),
    [
        ({}, Step.SAVE),
        ({"is_changed": False}, Step.NOTHING),
        ({"status": 404}, Step.SAVE),
        ({"status": 500}, Step.NOTHING),
        ({"exists": False}, Step.CREATE),
        ({"exists": False, "is_empty": True}, Step.CREATE),
        ({"is_empty": True}, Step.LOGOUT),
        ({"is_empty": True, "owner": "a", "wanted_owner": "a"}, Step.SAVE),
        ({"is_empty": True, "was_cleared": True, "is_changed": False, "owner": "a", "wanted_owner": "a"}, Step.LOGOUT),
        ({"was_cleared": True, "is_changed": False, "owner": "a"}, Step.LOGOUT),
        ({"wanted_owner": "a"}, Step.LOGIN),
        ({"wanted_owner": "a", "exists": False}, Step.LOGIN),
        ({"wanted_owner": "a", "status": 401}, Step.NOTHING),
        ({"wanted_owner": "b", "owner": "a"}, Step.LOGIN),
        ({"owner": "a"}, Step.LOGOUT),
        ({"owner": "a", "status": 422}, Step.NOTHING),
    ],
    ids=str,
)
def test_what_becomes_of_a_session(facts: dict[str, Any], step: Step) -> None:
    """[24, 25, 41]"""
    usual = Facts(
        status=200, exists=True, is_empty=False, was_cleared=False, is_changed=True, owner=None, wanted_owner=None
    )
    assert decide(usual._replace(**facts)) is step


def test_values_are_compared_with_their_types() -> None:
    assert same({"a": [1, (2,)]}, {"a": [1, (2,)]})
    for one, other in (
        (1, True),
        (1, 1.0),
        ([1], (1,)),
        ({"a": 1}, {"a": 1, "b": 2}),
        ([1], [1, 2]),
        ({"a": 1}, {"b": 1}),
    ):
        assert not same(one, other)


def test_a_transaction_that_loses_runs_again() -> None:
    """Nothing of the attempt that was lost stays, in what the request had set before either."""
    client = InMemoryClient()
    sessions = Sessions(
        SessionStore(client, prefix="p", default_ttl=60, codec=JsonCodec()), policy=SessionPolicy(idle=30, lifetime=60)
    )
    session = sessions.load([])
    session["n"] = 1
    session.save()
    session["lines"] = []
    attempts = []

    def add(data: dict[str, Any]) -> None:
        attempts.append(dict(data))
        data["lines"].append("tea")
        data["n"] += 1

    client.simulate_concurrent_change(sessions.store.namespace(session.id or "").key("session"))
    session.transaction(add)
    assert len(attempts) == 2 and session == {"n": 2, "lines": ["tea"]}


def test_events_show_no_session(caplog: pytest.LogCaptureFixture) -> None:
    """[49] What happened to which session, by a fingerprint of its id."""
    caplog.set_level(logging.INFO)
    store = SessionStore(
        InMemoryClient(), prefix="p", default_ttl=60, codec=JsonCodec(), logger=logging.getLogger("shop")
    )
    sessions = Sessions(store, policy=SessionPolicy(idle=30, lifetime=60, max_per_owner=1))

    def visit(cookie: str, owner: str = "") -> str:
        session = sessions.load([cookie.encode()])
        session["secret-key"] = "secret-value"
        if owner:
            session.login(owner, label="secret-label")
        headers = dict(session.finish(200))
        return headers.get("Set-Cookie", cookie).partition(";")[0]

    first = visit("")
    second = visit(first, "secret-owner")
    with pytest.raises(SessionSupersededError):
        visit(first)
    visit("", "secret-owner")
    visit(second)
    events = [record.message for record in caplog.records if record.message.startswith("session-store: session-")]
    assert [event.removeprefix("session-store: session-") for event in events] == [
        *("created", "rotated", "refused", "created", "rotated", "ended", "limit", "refused", "created")
    ]
    texts = " ".join(str(record.__dict__) for record in caplog.records if "session-store: session" in record.message)
    for secret in ("secret", *(cookie.partition("=")[2][:22] for cookie in (first, second))):
        assert secret not in texts
