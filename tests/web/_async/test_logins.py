"""Logins, logouts, and how long a session lives. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

import time
from contextlib import nullcontext
from typing import Any

import pytest
from web._async.conftest import DAY, Browser

from session_store import AsyncInMemoryClient, ReplicationError
from session_store.web import SessionEndedError, SessionSentError, SessionSupersededError


async def test_a_login_gives_another_token(browser: Browser) -> None:
    """[18] The session stays, and what is in it; the old token is dead, and its answer sets no cookie."""
    await browser.put(basket=1)
    old, before = browser.twin(), await browser.open()
    session = await browser.login("ann", label={"device": "Firefox"})
    assert session.id == before.id and browser.cookie != old.cookie
    assert (await browser.content(), (await browser.open()).owner) == ({"basket": 1}, "ann")
    stale = await old.open()
    assert stale.get("basket") is None and stale.owner is None
    await old.close(stale)
    assert old.header("Set-Cookie") == []


async def test_a_login_of_somebody_new(browser: Browser) -> None:
    session = await browser.open()
    await session.login("ann")
    session["theme"] = "dark"
    await browser.close(session)
    found = await browser.open()
    assert (found.owner, dict(found.items())) == ("ann", {"theme": "dark"})
    assert found.authenticated is not None and found.login_age is not None and found.login_age < 60


async def test_one_of_two_logins_with_one_token_wins(browser: Browser) -> None:
    """[20]"""
    await browser.put(a=1)
    one, two = await browser.open(), await browser.open()
    await one.login("ann")
    with pytest.raises(SessionSupersededError):
        await two.login("ann")
    assert len(await browser.sessions.of("ann")) == 1


async def test_a_rotated_token_goes_on_for_its_grace(browser: Browser, pass_time: Any) -> None:
    """[21]"""
    await browser.put(a=1)
    old = browser.twin()
    session = await browser.open()
    await session.rotate(grace=10)
    await browser.close(session)
    assert browser.cookie != old.cookie
    await old.put(b=2)
    assert old.header("Set-Cookie") == []
    assert await browser.content() == await old.content() == {"a": 1, "b": 2}
    await pass_time(11)
    assert await old.content() == {}
    assert await browser.content() == {"a": 1, "b": 2}


async def test_a_rotation_that_no_replica_has(site: Any, client: Any) -> None:
    """It was done, and the browser gets the new token with whatever the application makes of the error."""
    in_memory = isinstance(client, AsyncInMemoryClient)  # where there are as many replicas as asked for
    browser = Browser(site(min_replicas=1))
    await browser.put(basket=1)
    for rotation in (lambda session: session.login("ann"), lambda session: session.rotate(grace=0)):
        old, session = browser.cookie, await browser.open()
        with nullcontext() if in_memory else pytest.raises(ReplicationError):
            await rotation(session)
        assert session.owner == "ann"
        await browser.close(session, 503)
        assert browser.cookie not in (None, old)
        assert await browser.content() == {"basket": 1}
    assert [info.id for info in await browser.sessions.of("ann")] == [session.id]


async def test_a_rotation_that_is_refused_waits_for_no_replica(site: Any) -> None:
    """Its error tells that nothing was done."""
    browser = Browser(site(min_replicas=1))
    await browser.put(basket=1)
    one, two = await browser.open(), await browser.open()
    await Browser(site(), browser.cookie).login("ann")
    assert one.id == two.id
    with pytest.raises(SessionSupersededError):
        await one.rotate()
    await site().end_all("ann")
    with pytest.raises(SessionEndedError):
        await two.login("ann")


async def test_a_login_as_somebody_else(browser: Browser) -> None:
    """[22] Nothing of the one before stays, and their session has ended."""
    await browser.login("ann")
    await browser.put(a=1)
    await browser.login("bob")
    found = await browser.open()
    assert (found.owner, dict(found.items())) == ("bob", {})
    assert (await browser.sessions.of("ann"), len(await browser.sessions.of("bob"))) == ([], 1)


async def test_what_a_login_keeps(browser: Browser) -> None:
    """[23]"""
    await browser.put(basket=1, draft=2)
    await browser.login("ann", keep=("basket",))
    assert await browser.content() == {"basket": 1}
    await browser.login("ann", keep=False)
    assert await browser.content() == {}


async def test_logins_that_the_application_does_by_itself(site: Any) -> None:
    """[24, 25] By a key that says who is logged in; not where the answer is an error, and then nothing is saved."""
    browser = Browser(site(owner_key="_user_id"))
    await browser.put(basket=1)
    before = browser.cookie
    session = await browser.open()
    session.update(_user_id="7", tries=1)
    await browser.close(session, 401)
    assert (browser.cookie, await browser.content()) == (before, {"basket": 1})
    await browser.put(_user_id="7")
    assert browser.cookie != before
    found = await browser.open()
    assert (found.owner, found.copy()) == ("7", {"basket": 1, "_user_id": "7"})
    await browser.put(_user_id="8", welcome="back")
    found = await browser.open()
    assert (found.owner, found.copy()) == ("8", {"_user_id": "8", "welcome": "back"})
    assert await browser.sessions.of("7") == []
    del found["_user_id"]
    await browser.close(found)
    assert browser.cookie is None and await browser.sessions.of("8") == []
    await browser.login("9")
    assert (await browser.content()) == {"_user_id": "9"}


async def test_a_login_as_somebody_else_by_the_application(site: Any) -> None:
    """[22, 24] What it sets for them stays, also where it is what was there; nothing else does."""
    browser = Browser(site(owner_key="_user_id"))
    await browser.put(_user_id="7", _fresh=True, basket=1)
    await browser.put(_user_id="8", _fresh=True)
    found = await browser.open()
    assert (found.owner, found.copy()) == ("8", {"_user_id": "8", "_fresh": True})
    assert await browser.sessions.count("7") == 0


async def test_messages_of_a_logout(site: Any) -> None:
    """What is set after `clear`, and messages of a logout by the application, are for whoever comes next."""
    browser = Browser(site())
    await browser.login("ann")
    session = await browser.open()
    session["basket"] = 1
    session.clear()
    session["theme"] = "dark"
    await browser.close(session)
    found = await browser.open()
    assert (found.owner, found.copy()) == (None, {"theme": "dark"})
    assert await browser.sessions.count("ann") == 0
    browser = Browser(site(owner_key="_user_id"))
    await browser.put(_user_id="7", basket=1)
    session = await browser.open()
    del session["_user_id"]
    session.update(basket=2)
    session.flash("Goodbye")
    await browser.close(session)
    assert await browser.content() == {"_flashes": [["message", "Goodbye"]]}


async def test_clear_is_of_what_was_before(browser: Browser) -> None:
    """Not of a login, nor of a session that has begun since."""
    await browser.put(a=1)
    for _ in range(2):
        session = await browser.open()
        session.clear()
        await session.login("ann")
        await browser.close(session)
        assert await browser.alive_owner() == "ann"
    session = await browser.open()
    session.clear()
    await session.logout()
    await (await session.namespace()).set("basket", 1)
    await browser.close(session)
    assert await (await browser.open()).alive()


async def test_who_asks_for_the_owner_has_asked_for_the_session(browser: Browser) -> None:
    """[50] And nothing else has: a page that does not depend on them may be kept."""
    await browser.login("ann")
    session = await browser.open()
    await browser.close(session)
    assert browser.headers == []
    session = await browser.open()
    assert session.owner == "ann"
    await browser.close(session)
    assert browser.headers == [("Vary", "Cookie"), ("Cache-Control", "no-store")]


async def test_a_login_begins_the_lifetime_anew(site: Any, pass_time: Any, client: Any) -> None:
    """[28, 29] Which ends whatever is read or written; no key is left then that lives longer."""
    browser = Browser(site(idle=14 * DAY, lifetime=20 * DAY))
    session = await browser.put(a=1)
    await (await session.namespace()).set("basket", 1)
    await pass_time(10 * DAY)
    await browser.login("ann")
    await pass_time(12 * DAY)
    session = await browser.put(a=2)
    assert (await session.namespace()).key("basket")
    for slot in ("session", "basket"):
        assert (await (await session.namespace()).ttl(slot) or 99 * DAY) <= 8 * DAY
    assert session.deadline is not None
    await pass_time(8 * DAY)
    assert await browser.content() == {}


async def test_idle_sessions_end(site: Any, pass_time: Any) -> None:
    """[26, 30] Before a login sooner. One that is looked at lives on, [27] by few writes."""
    policy = {"idle": 10 * DAY, "anonymous_idle": DAY, "lifetime": 90 * DAY, "renew_after": 3_600}
    browser = Browser(site(**policy))
    await browser.put(a=1)
    await pass_time(DAY - 1)
    assert await browser.content() == {"a": 1}
    await pass_time(3_602)
    assert await browser.content() == {}
    await browser.put(a=1)
    await browser.login("ann")
    await pass_time(9 * DAY)
    assert (await browser.open()).owner == "ann"
    for _ in range(4):
        await browser.close(await browser.open())
        await pass_time(9 * DAY)
    assert (await browser.open()).owner == "ann"


async def test_a_page_view_renews_now_and_then(site: Any, pass_time: Any, recorder: Any) -> None:
    """[27] TTLs only, and no cookie; the commands are those that are documented."""
    browser = Browser(site(renew_after=3_600))
    await browser.put(a=1)
    await pass_time(3_000)
    recorder.clear()
    await browser.close(await browser.open())
    assert recorder.writes in ([], [("HGETALL",)])
    await pass_time(700)
    recorder.clear()
    for _ in range(3):
        await browser.close(await browser.open())
        assert browser.header("Set-Cookie") == []
    commands = [each for write in recorder.writes for each in write if each != "EVAL"]
    if commands:
        assert commands.count("HKEYS") == 1 and commands.count("HGETALL") == 3 and len(commands) <= 5


@pytest.mark.parametrize("hours", [-5, 5])
async def test_a_clock_that_is_wrong_is_noticed(
    site: Any, pass_time: Any, monkeypatch: pytest.MonkeyPatch, hours: int
) -> None:
    """Renewing goes by the server's clock: by the first answer of it this process knows how far its own is off."""
    browser = Browser(site(renew_after=3_600))
    await browser.put(a=1)
    await pass_time(3_700)
    right = time.time
    monkeypatch.setattr("session_store.web._async.site.time.time", lambda: right() + hours * 3_600)
    other = Browser(site(renew_after=3_600), browser.cookie)
    renewals = []
    for _ in range(3):
        session = await other.open()
        renewals.append(session._site.is_due(session._record, session.policy))
        await other.close(session)
    assert renewals == [True, False, False]


async def test_a_slot_that_is_made_during_a_login_lives_on(
    site: Any, pass_time: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was not there when the slots were listed."""
    browser = Browser(site(anonymous_idle=DAY))
    session = await browser.put(a=1)
    await (await session.namespace()).set("basket", 1)
    with monkeypatch.context() as patch:

        async def listed(self: Any) -> list[str]:
            return ["session"]

        patch.setattr("session_store._async.extension.AsyncExtension.listed", listed)
        await browser.login("ann")
    await pass_time(5 * DAY)
    assert await (await (await browser.open()).namespace()).slots() == ["basket", "session"]


async def test_a_renewal_of_what_has_ended(browser: Browser) -> None:
    """It is no error, and nothing comes back."""
    await browser.put(a=1)
    slow, leaver = await browser.open(), await browser.open()
    await leaver.logout()
    assert await slow.renew(now=True) is None
    assert await browser.content() == {}


async def test_what_needs_a_cookie_comes_before_the_response(browser: Browser) -> None:
    """[42] What a stream changes later is saved when it has ended, if there is a session."""
    session = await browser.open()
    await browser.close(session)
    for late in (lambda: session.update(a=1), lambda: session.setdefault("a", 1)):
        with pytest.raises(SessionSentError):
            late()
    with pytest.raises(SessionSentError):
        await session.login("ann")
    session = await browser.put(a=1)
    session["late"] = 1
    await session.finish_late()
    assert await browser.content() == {"a": 1, "late": 1}


async def test_a_socket_learns_of_a_logout(browser: Browser) -> None:
    """[44]"""
    await browser.login("ann")
    socket = await browser.open()
    assert await socket.alive()
    await (await browser.open()).logout()
    assert not await socket.alive()
    with pytest.raises(SessionEndedError):
        await socket.refresh()
