"""Requests of one session that meet. Numbers in brackets are those of the acceptance cases."""

from __future__ import annotations

from typing import Any

import pytest
from web._async.conftest import Browser

from session_store import CasContentionError, NamespacePurgedError
from session_store.web import SessionConflictError, SessionEndedError, SessionSupersededError
from session_store.web._core.records import Answer


async def both(browser: Browser, **first: Any) -> tuple[Any, Any]:
    """Two requests that have loaded the same session."""
    await browser.put(**first)
    return await browser.open(), await browser.open()


@pytest.mark.parametrize("order", [(0, 1), (1, 0)], ids=str)
async def test_different_keys(browser: Browser, order: tuple[int, ...]) -> None:
    """[6] Both are there."""
    tabs = await both(browser, old=0)
    tabs[0]["a"], tabs[1]["b"] = 1, 2
    for number in order:
        await browser.close(tabs[number])
    assert await browser.content() == {"old": 0, "a": 1, "b": 2}


async def test_one_goes_and_another_is_changed(browser: Browser) -> None:
    """[11]"""
    one, two = await both(browser, a=1, b=1)
    del one["a"]
    two["b"] = 2
    await browser.close(one)
    await browser.close(two)
    assert await browser.content() == {"b": 2}


async def test_the_same_key_the_last_one_wins(browser: Browser) -> None:
    one, two = await both(browser, a=1)
    one["a"] += 1
    two["a"] += 2
    await browser.close(one)
    await browser.close(two)
    assert await browser.content() == {"a": 3}


async def test_the_same_key_where_a_conflict_is_to_be_told(site: Any) -> None:
    """[7] Who had read it is refused, and nothing of the other is lost; who only wrote it has the last word."""
    browser = Browser(site(conflicts="raise"))
    one, two = await both(browser, a=1, b=1)
    blind = await browser.open()
    one["a"] += 1
    two["a"] += 2
    two["b"] = 2
    await browser.close(one)
    with pytest.raises(SessionConflictError) as caught:
        await browser.close(two)
    assert caught.value.keys == ("a",)
    assert "a" not in repr(caught.value).replace("another", "").split()
    assert await browser.content() == {"a": 2, "b": 1}
    blind["a"] = 9
    await browser.close(blind)
    assert await browser.content() == {"a": 9, "b": 1}


async def test_the_same_key_merged(site: Any) -> None:
    """[8] By a function of the application; of three requests as well, and where the key was new or goes."""

    def joined(loaded: Any, stored: Any, mine: Any) -> Any:
        return sorted({*(stored or ()), *(mine or ())} - {"gone"}) or None

    browser = Browser(site(conflicts={"seen": joined}))
    await browser.put(a=1)
    tabs = [await browser.open() for _ in range(3)]
    for number, tab in enumerate(tabs):
        tab["seen"] = [*tab.get("seen", []), f"page {number}"]
    for tab in tabs:
        await browser.close(tab)
    assert (await browser.content())["seen"] == ["page 0", "page 1", "page 2"]
    assert tabs[2]["seen"] == ["page 0", "page 1", "page 2"]
    one, two = await browser.open(), await browser.open()
    one.pop("seen")
    two["seen"] = [*two["seen"][:0], "gone"]
    await browser.close(one)
    await browser.close(two)
    assert "seen" not in await browser.content()


async def test_messages_of_two_tabs(browser: Browser) -> None:
    """[8] Added here and there, and taken here and added there."""
    one, two = await both(browser, a=1)
    one.flash("one")
    two.flash("two")
    await browser.close(one)
    await browser.close(two)
    one, two = await browser.open(), await browser.open()
    assert [text for _, text in one.take_flashes()] == ["one", "two"]
    two.flash("three")
    await browser.close(two)
    await browser.close(one)
    assert (await browser.open()).take_flashes() == [["message", "three"]]


async def test_a_transaction(browser: Browser) -> None:
    """It sees what others have saved since, commits at once, and takes along what the request had changed before."""
    one, two = await both(browser, n=1, gone=1)
    two["n"] = 5
    await browser.close(two)
    one["mine"] = 1
    del one["gone"]

    def add(data: dict[str, Any]) -> int:
        data["n"] += 1
        data.setdefault("lines", []).append("tea")
        return data["n"]

    assert await one.transaction(add) == 6
    assert one == {"n": 6, "mine": 1, "lines": ["tea"]} and not one.modified
    assert await browser.content() == {"n": 6, "mine": 1, "lines": ["tea"]}


async def test_a_transaction_makes_a_session(browser: Browser) -> None:
    session = await browser.open()
    assert await session.transaction(lambda data: data.update(a=1)) is None
    await browser.close(session)
    assert await browser.content() == {"a": 1} and browser.cookie


async def test_a_transaction_that_raises_writes_nothing(browser: Browser) -> None:
    await browser.put(a=1)
    session = await browser.open()

    def fail(data: dict[str, Any]) -> None:
        data["a"] = 2
        raise LookupError

    with pytest.raises(LookupError):
        await session.transaction(fail)
    await browser.close(session)
    assert await browser.content() == {"a": 1}


@pytest.mark.parametrize("later", [0, 4_000], ids=["within the fence", "after it"])
async def test_a_save_after_a_logout_is_dropped(
    site: Any, client: Any, prefix: str, pass_time: Any, later: int
) -> None:
    """[13] As if it had come before: nothing is there, no cookie is set or taken away, and nobody gets an error."""
    browser = Browser(site())
    one, slow = await both(browser, a=1)
    basket = await slow.namespace()
    await one.logout()
    await pass_time(later)
    slow["a"] = 2
    await browser.close(slow)
    assert browser.header("Set-Cookie") == []
    with pytest.raises(NamespacePurgedError):
        await basket.set("basket", 1)
    left = {key async for key in client.scan_iter(match=f"{prefix}:*")}
    assert all(key.endswith(b":~index") for key in left)
    assert await browser.content() == {}


async def test_a_save_after_a_logout_is_told_where_it_is_to_be(site: Any) -> None:
    browser = Browser(site(on_ended="raise"))
    one, slow = await both(browser, a=1)
    await one.logout()
    slow["a"] = 2
    with pytest.raises(SessionEndedError):
        await browser.close(slow)


async def test_within_the_grace_of_a_rotation_the_old_token_does_all(browser: Browser, pass_time: Any) -> None:
    one, slow = await both(browser, a=1)
    await one.rotate(grace=10)
    await slow.transaction(lambda data: data.update(b=2))
    await slow.refresh()
    assert slow == {"a": 1, "b": 2}
    await pass_time(11)
    with pytest.raises(SessionSupersededError):
        await slow.transaction(lambda data: data.update(b=3))


async def test_a_transaction_that_only_takes_out(browser: Browser) -> None:
    session = await browser.put(a=1, b=2)
    assert await session.transaction(lambda data: data.pop("a")) == 1
    assert await browser.content() == {"b": 2}


@pytest.mark.parametrize(
    ("struck", "told"),
    [(CasContentionError("key", 21), SessionConflictError), (NamespacePurgedError("name"), SessionEndedError)],
)
async def test_what_strikes_the_commit_of_a_transaction(
    browser: Browser, monkeypatch: pytest.MonkeyPatch, struck: Exception, told: type[Exception]
) -> None:
    """Others that are faster each time, and a logout, are told as they are by a save."""
    session = await browser.put(a=1)

    async def with_cas(*args: Any, **options: Any) -> Any:
        raise struck

    monkeypatch.setattr("session_store._async.namespace.AsyncNamespace.with_cas", with_cas)
    with pytest.raises(told):
        await session.transaction(lambda data: data.update(a=2))
    assert await session.alive() == (told is SessionConflictError)


async def test_a_transaction_after_a_logout(browser: Browser) -> None:
    one, slow = await both(browser, a=1)
    await one.logout()
    with pytest.raises(SessionEndedError):
        await slow.transaction(lambda data: data.update(a=2))
    assert await browser.content() == {}


async def test_merges_that_never_end_are_given_up(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where others change the same key faster, each time."""
    browser = Browser(site(conflicts={"a": lambda loaded, stored, mine: mine}))
    one, _ = await both(browser, a=1)

    async def changed(*args: Any) -> Answer:
        return Answer("changed", held={".a": b"7"})

    monkeypatch.setattr("session_store.web._async.records.AsyncRecords.save", changed)
    one["a"] += 1
    with pytest.raises(SessionConflictError):
        await one.save()


async def test_slots_that_are_added_faster_than_they_are_listed(
    browser: Browser, monkeypatch: pytest.MonkeyPatch
) -> None:
    await browser.put(a=1)
    session = await browser.open()

    async def listed(*args: Any, **options: Any) -> list[bytes]:
        return [b"listed", b"another"]

    monkeypatch.setattr("session_store._async.extension.AsyncExtension.once", listed)
    with pytest.raises(RuntimeError, match="faster than they can be listed"):
        await session.rotate()


async def test_a_write_by_hand_makes_no_session(browser: Browser) -> None:
    """[15] By another program, say, or by a handle that is for any namespace."""
    session = await browser.put(a=1)
    await browser.sessions.store.namespace(session.id or "").purge()
    await browser.sessions.store.namespace(session.id or "").hset("session", ".a", 2)
    assert await browser.content() == {}


async def test_what_began_before_a_login_is_refused(browser: Browser) -> None:
    """[19] With a transaction, too; and its answer takes no cookie from the browser."""
    one, slow = await both(browser, a=1)
    third = await browser.open()
    await one.login("ann")
    await browser.close(one)
    slow["a"] = 2
    with pytest.raises(SessionSupersededError):
        await browser.twin().close(slow)
    with pytest.raises(SessionSupersededError):
        await third.transaction(lambda data: data.update(a=2))
    assert await browser.content() == {"a": 1}


async def test_what_began_before_a_login_is_merged_within_the_grace(site: Any) -> None:
    """[19] But by the old token nothing is loaded."""
    browser = Browser(site(grace=5))
    old = browser.twin
    one, slow = await both(browser, a=1)
    other = old()
    await one.login("ann")
    await browser.close(one)
    slow["b"] = 2
    await other.close(slow)
    assert await browser.content() == {"a": 1, "b": 2}
    assert await other.content() == {}


async def test_the_grace_ends(site: Any, pass_time: Any) -> None:
    browser = Browser(site(grace=5))
    one, slow = await both(browser, a=1)
    await one.login("ann")
    await pass_time(6)
    slow["b"] = 2
    with pytest.raises(SessionSupersededError):
        await browser.close(slow)


async def test_a_login_does_not_overwrite_what_it_must_not(site: Any) -> None:
    browser = Browser(site(conflicts="raise"))
    one, two = await both(browser, a=1)
    one["a"] += 1
    two["a"] += 2
    await browser.close(one)
    with pytest.raises(SessionConflictError):
        await two.login("ann")
    assert (await browser.content(), (await browser.open()).owner) == ({"a": 2}, None)


async def test_a_request_that_comes_with_the_old_token_just_after_a_login(browser: Browser, pass_time: Any) -> None:
    """It was on its way: what it would write is refused, so that its answer does not take the new cookie away. A minute
    later it is a browser that never got the new one, and gets a session of its own."""
    await browser.put(a=1)
    old = browser.twin()
    await browser.login("ann")
    session = await old.open()
    assert session == {}
    session["b"] = 2
    with pytest.raises(SessionSupersededError):
        await old.close(session)
    await pass_time(61)
    before = old.cookie
    await old.put(b=2)
    assert old.cookie != before and await old.content() == {"b": 2}
    assert (await browser.open()).owner == "ann"
