"""An owner's sessions: lists, limits, a logout everywhere. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from typing import Any

import pytest
from web._async.conftest import DAY, Browser

from session_store.web import SessionEndedError, TooManySessionsError


async def test_an_owner_sees_and_ends_sessions(browser: Browser) -> None:
    """[32, 33, 34] Those that live, told apart by id, without a token; only their own; all but one."""
    sessions = browser.sessions
    browsers = [Browser(sessions) for _ in range(4)]
    for number, each in enumerate(browsers):
        await each.login("ann" if number < 3 else "bob", label=f"device {number}")
    await (await browsers[0].open()).logout()
    infos = await sessions.of("ann")
    assert [info.label for info in infos] == ["device 2", "device 1"]
    assert [info.id for info in infos] == [(await each.open()).id for each in (browsers[2], browsers[1])]
    assert all((each.cookie or "")[23:] not in repr(infos) for each in browsers)
    theirs = (await browsers[3].open()).id or ""
    assert await sessions.end("ann", theirs) is False
    assert await browsers[3].alive_owner() == "bob"
    assert await sessions.end("ann", infos[1].id) is True
    assert await sessions.end("ann", infos[1].id) is False
    await browsers[1].login("ann")
    assert await sessions.count("ann") == 2
    assert await sessions.end_all("ann", but=(await browsers[2].open()).id) == 1
    assert [await each.alive_owner() for each in browsers] == [None, None, "ann", "bob"]
    assert await sessions.end_all("ann") == 1
    assert await sessions.of("ann") == []


async def test_an_owner_with_more_sessions_than_a_page_has(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("session_store.web._async.site._PAGE", 2)
    browsers = [Browser(site()) for _ in range(5)]
    ids = [(await each.login("ann")).id for each in browsers]
    assert {info.id for info in await site().of("ann")} == set(ids)
    assert await site().end_all("ann") == 5


async def test_too_many_sessions(site: Any) -> None:
    """[35] The oldest end, or the newest is refused."""
    sessions = site(max_per_owner=2)
    browsers = [Browser(sessions) for _ in range(4)]
    for each in browsers:
        await each.login("ann")
    assert [await each.alive_owner() for each in browsers] == [None, None, "ann", "ann"]
    strict = Browser(site(max_per_owner=2, at_limit="refuse"))
    with pytest.raises(TooManySessionsError, match="has 2 sessions already") as caught:
        await strict.login("ann")
    assert caught.value.limit == 2 and strict.cookie is None
    await strict.login("bob")
    unreadable = (await strict.open()).id or ""
    await strict.sessions.store.namespace(unreadable).hdel("session", "~label")
    await (strict.sessions._site.records.raw(unreadable)).hset("session", "~label", b"{")
    assert await strict.sessions.of("bob") == []


async def test_ended_sessions_leave_the_list_of_their_owner(
    browser: Browser, client: Any, prefix: str, pass_time: Any
) -> None:
    """[36] What has expired is not shown, and forgotten when somebody looks."""
    for _ in range(100):
        await Browser(browser.sessions).login("ann")
    await pass_time(16 * DAY)
    await browser.login("ann")
    assert len(await browser.sessions.of("ann")) == 1
    members = [await client.zcard(key) async for key in client.scan_iter(match=f"{prefix}:*:created", count=1000)]
    assert members == [1]


async def test_a_logout_everywhere_during_a_login(browser: Browser) -> None:
    """The login fails, since its session has ended."""
    await browser.put(a=1)
    session = await browser.open()
    await browser.sessions._site.owners.add("ann", session.id or "")
    await browser.sessions.store.purge_many([session.id or ""], fence=60)
    with pytest.raises(SessionEndedError):
        await session.login("ann")
    assert await browser.content() == {}


async def test_a_logout_everywhere_ends_what_is_being_logged_in_to(browser: Browser) -> None:
    """Its password was checked before, and might be another by now."""
    await browser.put(a=1)
    session = await browser.open()
    await browser.sessions._site.owners.add("ann", session.id or "")
    other = Browser(browser.sessions)
    await other.login("bob")
    await browser.sessions._site.owners.add("ann", (await other.open()).id or "")
    assert await browser.sessions.end_all("ann") == 0
    assert (await browser.content(), await other.alive_owner()) == ({}, "bob")
