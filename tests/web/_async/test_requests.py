"""A request, a session, a cookie. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from typing import Any

import pytest
from support.recorder import Recorder
from web._async.conftest import DAY, Browser

from session_store import EncryptedCodec, JsonCodec
from session_store.web import (
    AsyncSessions,
    AsyncWebSession,
    CookiePolicy,
    SessionPolicy,
    SessionSentError,
    SessionTooLargeError,
)
from session_store.web._core.policy import with_idle
from session_store.web._core.tokens import WebToken


async def keys_of(client: Any, prefix: str) -> list[bytes]:
    return [key async for key in client.scan_iter(match=f"{prefix}:*")]


async def test_a_visitor_who_only_looks_leaves_nothing(
    browser: Browser, client: Any, prefix: str, recorder: Any
) -> None:
    """[1, 5] No command, no cookie, no key, though the handler reads."""
    for _ in range(1_000):
        session = await browser.open()
        assert session.get("basket") is None and session.new and session.id is None
        await browser.close(session)
        assert browser.headers == [("Vary", "Cookie")]
    assert recorder.writes == []
    assert await keys_of(client, prefix) == []


async def test_who_touches_nothing_gets_no_header(browser: Browser) -> None:
    await browser.put(a=1)
    await browser.close(await browser.open())
    assert browser.headers == []


async def test_a_page_view_is_one_read(browser: Browser, recorder: Recorder) -> None:
    """[3]"""
    await browser.put(basket={"tea": [1, 2]})
    recorder.clear()
    session = await browser.open()
    assert session["basket"] == {"tea": [1, 2]} and not session.new
    await browser.close(session)
    assert recorder.writes == [("HGETALL",)] or recorder.writes == []  # in memory nothing travels
    assert browser.headers == [("Vary", "Cookie")]


async def test_the_first_write_makes_a_session_and_a_cookie(browser: Browser, recorder: Recorder) -> None:
    """[4] One script, and a cookie that browsers keep to this host."""
    await browser.sessions.load([])
    first = await browser.put(a=1)
    assert first.id is not None and browser.cookie is not None and browser.cookie.startswith(f"{first.id}.")
    (cookie,) = browser.header("Set-Cookie")
    name, _, rest = cookie.partition("=")
    assert name == "__Host-session"
    assert rest.split("; ")[1:] == ["Max-Age=7776000", "Path=/", "HttpOnly", "Secure", "SameSite=Lax"]
    assert browser.header("Cache-Control") == ["no-store"]
    other = Browser(browser.sessions)
    recorder.clear()
    await other.put(a=1)
    assert [each for write in recorder.writes for each in write] in ([], ["EVALSHA"])


async def test_what_is_nested_is_saved(browser: Browser) -> None:
    """[10]"""
    await browser.put(basket={"lines": ["tea"]})
    session = await browser.open()
    session["basket"]["lines"].append("cup")
    assert session.modified
    await browser.close(session)
    assert await browser.content() == {"basket": {"lines": ["tea", "cup"]}}


async def test_an_equal_value_is_not_written(browser: Browser, recorder: Recorder) -> None:
    """[12] But another type is another value."""
    await browser.put(a=1, b=[1, 2])
    session = await browser.open()
    session["a"], session["b"] = 1, [1, 2]
    assert not session.modified
    recorder.clear()
    await browser.close(session)
    assert recorder.writes == []
    await browser.put(a=True)
    assert (await browser.content())["a"] is True


async def test_every_way_to_change_a_dict_is_seen(browser: Browser) -> None:
    await browser.put(a=1, b=2, c=3, d=4)
    session = await browser.open()
    session.setdefault("e", []).append(5)
    assert session.pop("a") == 1
    del session["b"]
    session |= {"f": 6}
    session.update(g=7)
    assert sorted(session._changes()) == ["a", "b", "e", "f", "g"]
    await browser.close(session)
    assert await browser.content() == {"c": 3, "d": 4, "e": [5], "f": 6, "g": 7}


async def test_an_invented_id_is_not_adopted(browser: Browser) -> None:
    """[17] Nor does it cost more than a look, nor is the cookie deleted."""
    invented = "A" * 22 + "." + "B" * 43
    browser.cookie = invented
    session = await browser.open()
    assert session.new and session.id is None
    session.get("a")
    await browser.close(session)
    assert browser.cookie == invented and browser.headers == [("Vary", "Cookie")]
    session = await browser.put(a=1)
    assert session.id != "A" * 22 and browser.cookie != invented


async def test_an_id_that_somebody_has_is_not_given_again(browser: Browser, monkeypatch: pytest.MonkeyPatch) -> None:
    """Were one drawn twice: its session stays what it is."""
    await browser.put(a=1)
    drawn = [WebToken(browser.cookie or ""), WebToken(f"{'N' * 22}.{'B' * 43}")]
    other = Browser(browser.sessions)
    with monkeypatch.context() as patch:
        patch.setattr("session_store.web._async.stored.new_token", lambda: drawn.pop(0))
        session = await other.put(a=2)
    assert (session.id, await browser.content()) == ("N" * 22, {"a": 1})


async def test_an_id_with_another_secret_is_no_session(browser: Browser) -> None:
    await browser.put(a=1)
    assert browser.cookie is not None
    thief = Browser(browser.sessions, f"{browser.cookie[:22]}.{'B' * 43}")
    assert await thief.content() == {}
    await thief.put(a=2)
    assert await browser.content() == {"a": 1}
    assert thief.cookie is not None and thief.cookie[:22] != browser.cookie[:22]


async def test_nothing_that_a_browser_has_is_stored(browser: Browser, client: Any, prefix: str) -> None:
    """[16] Neither the token nor the secret, in any key, field or value; nor who the owner is, in the name of a key."""
    await browser.put(a=1)
    await browser.login("ann@example.com", label="at home")
    session = await browser.open()
    await session.rotate()
    await browser.close(session)
    assert browser.cookie is not None
    secret = browser.cookie.partition(".")[2].encode()
    found = await keys_of(client, prefix)
    for key in found:
        assert secret not in key and b"ann" not in key
        kind = (await client.type(key)).decode()
        content = await (client.hgetall(key) if kind == "hash" else client.zrange(key, 0, -1))
        assert secret not in repr(content).encode()
    assert len(found) >= 3


async def test_two_cookies_with_tokens(browser: Browser) -> None:
    """[46] In two headers too: the one that is somebody's counts; where both are, somebody may have put one there."""
    await browser.put(a=1)
    other = Browser(browser.sessions)
    await other.put(a=2)
    invented = f"__Host-session={'A' * 22}.{'B' * 43}".encode()
    mine, theirs = browser.sent(), other.sent()
    load = browser.sessions.load
    assert (await load([invented, *mine])) == {"a": 1}
    assert (await load([mine[0] + b"; " + invented])) == {"a": 1}
    assert (await load([mine[0] + b"; " + mine[0]])) == {"a": 1}
    assert (await load([*mine, *theirs])) == {}
    assert (await load([invented.replace(b"A", letter) for letter in (b"C", b"D", b"E")] + mine)) == {}


async def test_what_looks_like_a_cookie_within_another(browser: Browser) -> None:
    """[46] A value may be set by whoever could not set a cookie of this name: a neighbouring host, say."""
    await browser.put(a=1)
    mine = f"__Host-session={browser.cookie}".encode()
    for header in (b"x=1 " + mine, b"x=1," + mine, b"x=" + mine, b"x " + mine, mine + b" y", mine + b",y"):
        assert await browser.sessions.load([header]) == {}, header
    for header in (b"x=1;" + mine, b"x=1;  " + mine + b" ;y", mine + b";y=1", b" " + mine + b"\t"):
        assert await browser.sessions.load([header]) == {"a": 1}, header


async def test_what_the_codec_cannot_read_is_left_alone(site: Any, recorder: Recorder) -> None:
    """[47] A wrong key is no session, and destroys none."""
    right, wrong = (EncryptedCodec(JsonCodec(), keys=[bytes([number]) * 32]) for number in (1, 2))
    browser = Browser(site(right))
    await browser.put(a=1)
    other = Browser(site(wrong), browser.cookie)
    assert await other.content() == {}
    assert await browser.content() == {"a": 1}


async def test_what_is_too_large_is_refused_before_it_is_sent(site: Any, recorder: Recorder) -> None:
    """[48]"""
    browser = Browser(site(max_bytes=1_000))
    await browser.put(a="x" * 400)
    session = await browser.open()
    session["b"] = "x" * 600
    recorder.clear()
    with pytest.raises(SessionTooLargeError) as caught:
        await browser.close(session)
    assert recorder.writes == []
    assert (caught.value.size, caught.value.limit) == (1_008, 1_000)
    assert "would have 1008 bytes, and may have 1000" in str(caught.value)
    del session["a"]
    await browser.close(session)
    assert list(await browser.content()) == ["b"]


async def test_what_is_no_value_is_told_by_its_key(browser: Browser) -> None:
    session = await browser.open()
    session["when"] = (1, 2)
    with pytest.raises(TypeError, match="'when' of the session: value must be a JSON value"):
        await browser.close(session)
    with pytest.raises(TypeError, match="a key of a session must be a str, got int"):
        session[1] = 2  # type: ignore[index]


async def test_the_rest_of_a_dict(browser: Browser) -> None:
    """What is asked for all at once counts as asked for."""
    first = await browser.put(a=1, b=2)
    assert first.created is not None and first.time_left is not None and first.changed() == frozenset()
    session = await browser.open()
    session.mark_modified()
    assert (len(session), sorted(session), sorted(session.values())) == (2, ["a", "b"], [1, 2])
    assert session != {"a": 1} and "c" not in session
    session.setdefault("a", 5)
    key, value = session.popitem()
    session["c"] = value
    assert session.changed() == {key, "c"}
    assert (await browser.sessions.open(None)).time_left is None


async def test_what_makes_no_sense_is_refused(browser: Browser) -> None:
    session = await browser.open()
    await session.refresh()
    await session.rotate()
    assert session.id is None and not await session.alive()
    with pytest.raises(TypeError, match="owner must be a str"):
        await session.login(7)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="fn must be a plain function"):
        await session.transaction(None)  # type: ignore[arg-type]
    for options in ({"store": None}, {"policy": None}, {"cookie": None}):
        given = {"store": browser.sessions.store, "policy": browser.sessions.policy, **options}
        with pytest.raises(TypeError, match=f"{next(iter(options))} must be"):
            AsyncSessions(given.pop("store"), **given)
    await browser.close(session)
    with pytest.raises(SessionSentError, match="before the first byte"):
        await session.rotate()


async def test_a_request_that_failed_saves_nothing(browser: Browser) -> None:
    """[41] What was not found is not failed."""
    await browser.put(a=1)
    for status, saved in ((404, 2), (500, 2), (503, 2)):
        session = await browser.open()
        session["a"] += 1
        await browser.close(session, status)
        assert await browser.content() == {"a": saved}


async def test_emptying_ends_a_session(browser: Browser, client: Any, prefix: str) -> None:
    """Of a visitor, its last key; of an owner only `clear`."""
    await browser.put(a=1)
    session = await browser.open()
    del session["a"]
    await browser.close(session)
    assert browser.cookie is None
    (cookie,) = browser.header("Set-Cookie")
    assert cookie == "__Host-session=; Max-Age=0; Path=/; HttpOnly; Secure; SameSite=Lax"  # [52]
    await browser.login("ann")
    await browser.put(a=1)
    session = await browser.open()
    del session["a"]
    await browser.close(session)
    assert (await browser.open()).owner == "ann"
    session = await browser.open()
    session.clear()
    await browser.close(session)
    assert browser.cookie is None


async def test_messages(browser: Browser) -> None:
    session = await browser.open()
    session.flash("Saved")
    session.flash("Careful", "warning")
    await browser.close(session)
    session = await browser.open()
    assert session.take_flashes() == [["message", "Saved"], ["warning", "Careful"]]
    await browser.close(session)
    assert await browser.content() == {}


async def test_slots_of_the_application_live_and_end_with_the_session(browser: Browser, pass_time: Any) -> None:
    session = await browser.open()
    basket = await session.namespace()
    await basket.hset("basket", "tea", 2)
    await basket.set("code", 4711, ttl=7 * 86_400)
    await browser.close(session)
    assert browser.cookie is not None
    for days in (5, 3, 10, 10):
        await pass_time(days * 86_400)
        session = await browser.open()
        await browser.close(session)
    assert await (await session.namespace()).slots() == ["basket", "session"]  # the code has had a time of its own
    session = await browser.open()
    await session.logout()
    assert await basket.slots() == []


async def test_reprs_show_nothing(browser: Browser) -> None:
    """[49]"""
    session = await browser.login("secret-owner", label="secret-label")
    session["secret-key"] = "secret-value"
    for thing in (session, session._token, browser.sessions, session._changes):
        assert "secret" not in repr(thing) and (browser.cookie or "")[23:] not in repr(thing)


async def test_adapters_that_keep_the_cookie_themselves(site: Any, client: Any, pass_time: Any) -> None:
    """A session is begun though it is empty, opened by its token, and may live for a time of its own."""
    sessions = site(renew_after=3_600)
    session = await sessions.open(None)
    session.policy = with_idle(session.policy, 1_000)
    await session.begin()
    found = await sessions.open(session.token)
    assert (found.id, found.is_superseded, found.new) == (session.id, False, False)
    for wrong in ("x", f"{session.token}\n", "A" * 22 + "." + "B" * 43, str(session.id)):
        assert (await sessions.open(wrong)).id is None
    namespace = await session.namespace()
    assert 1_995 <= (await namespace.ttl("session") or 0) <= 2_000
    await pass_time(900)
    await found.renew()
    assert (await namespace.ttl("session") or 0) <= 1_100
    await found.renew(now=True)
    assert (await namespace.ttl("session") or 0) > DAY
    await session.rotate(0)
    assert (await sessions.open(found.token)).is_superseded
    longest = with_idle(sessions.policy, 400 * DAY)
    assert (longest.idle, longest.renew_after) == (90 * DAY, 3_600)
    assert with_idle(site().policy, 50).renew_after is None


async def test_an_adapter_has_a_class_of_its_own(browser: Browser) -> None:
    """For the sessions of a site, with another cookie."""

    class Own(AsyncWebSession):
        pass

    with pytest.raises(ValueError, match="default_ttl must be at least the policy's idle"):
        AsyncSessions(browser.sessions.store, policy=SessionPolicy(idle=15 * DAY, lifetime=90 * DAY))
    with pytest.raises(TypeError, match="cookie must be a CookiePolicy, got str"):
        browser.sessions.adapted(Own, "own")  # type: ignore[arg-type]
    adapted = Browser(browser.sessions.adapted(Own, CookiePolicy(name="own")))
    assert type(await adapted.put(a=1)) is Own
    assert [value.partition("=")[0] for value in adapted.header("Set-Cookie")] == ["own"]
    assert await browser.sessions.load([f"__Host-session={adapted.cookie}".encode()]) == {"a": 1}
