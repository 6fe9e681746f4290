"""Which namespaces belong to whom, as hints that follow what lives."""

from __future__ import annotations

from typing import Any

import pytest

from session_store import AsyncDirectory, AsyncSessionStore, InvalidNameError


@pytest.fixture
def users(store: AsyncSessionStore) -> AsyncDirectory:
    return store.directory("user")


async def enter(store: AsyncSessionStore, users: AsyncDirectory, *names: str, ttl: float = 600) -> None:
    """Sessions of u-42, as an application begins them: named first, then written."""
    for name in names:
        await users.add("u-42", name, ttl=ttl)
        await store.namespace(name).set("step", "1", ttl=ttl)


async def names(users: AsyncDirectory, value: str = "u-42", **options: Any) -> list[str]:
    return [entry.name for entry in await users.list(value, slot="step", **options)]


async def test_the_latest_come_first_each_under_its_value(store: AsyncSessionStore, users: AsyncDirectory) -> None:
    await enter(store, users, "a", "b", "c")
    await users.add("another", "x")
    await store.namespace("x").set("step", "1")
    await store.directory("agent").add("u-42", "y")
    assert sorted(await names(users)) == ["a", "b", "c"]
    assert await names(users, "another") == ["x"]
    assert await names(users, "nobody") == []


async def test_many_that_have_ended_hide_nobody(store: AsyncSessionStore, users: AsyncDirectory) -> None:
    """More than are looked at together."""
    await enter(store, users, "stays")
    for number in range(70):
        await users.add("u-42", f"gone-{number}")
    assert await names(users, limit=1) == ["stays"]


async def test_any_text_is_a_value_and_none_is_stored(
    store: AsyncSessionStore, users: AsyncDirectory, raw: Any
) -> None:
    for value in ("", "a:b {c}", "\ud800", "ann@example.org"):
        assert await users.add(value, "n") is True
        assert await users.add(value, "n") is False
        assert await users.remove(value, "n") is True
        assert await users.remove(value, "n") is False
    await users.add("ann@example.org", "n")
    assert [key async for key in raw.scan_iter(match="*ann*")] == []


async def test_what_has_ended_is_left_out_and_forgotten(
    store: AsyncSessionStore, users: AsyncDirectory, pass_time: Any, raw: Any, prefix: str
) -> None:
    await enter(store, users, "stays")
    await enter(store, users, "goes", ttl=10)
    await store.namespace("purged").set("step", "1")
    await enter(store, users, "purged")
    await store.namespace("purged").purge()
    assert sorted(await names(users)) == ["goes", "stays"]
    (created,) = [key async for key in raw.scan_iter(match=f"{prefix}:*:created")]
    assert await raw.zcard(created) == 3


@pytest.mark.parametrize("order", ["created", "active"])
async def test_pages_hold_every_member_once(store: AsyncSessionStore, users: AsyncDirectory, order: str) -> None:
    """Also those that came in the same millisecond."""
    sessions = [f"s{number:03}" for number in range(150)]
    await enter(store, users, *sessions)
    found: list[str] = []
    cursor, sizes = None, []
    while True:
        page = await users.list("u-42", slot="step", limit=40, cursor=cursor, order=order)
        found += [entry.name for entry in page]
        sizes.append(len(page))
        cursor = page.cursor
        if cursor is None:
            break
    assert sizes == [40, 40, 40, 30]
    assert sorted(found) == sessions


async def test_a_pager_sees_who_stays_once_while_others_come_and_go(
    store: AsyncSessionStore, users: AsyncDirectory
) -> None:
    """Whoever is the cursor, too; and nobody who came later."""
    stays = [f"stays{number:02}" for number in range(20)]
    goes = [f"goes{number:02}" for number in range(20)]
    for pair in zip(stays, goes, strict=True):
        await enter(store, users, *pair)
    found: list[str] = []
    cursor, number = None, 0
    while True:
        page = await users.list("u-42", slot="step", limit=3, cursor=cursor)
        found += [entry.name for entry in page]
        cursor = page.cursor
        if cursor is None:
            break
        for name in {page.items[-1].name, goes[number % 20]} & set(goes):
            await store.namespace(name).purge()
            await users.remove("u-42", name)
        await enter(store, users, f"late{number:02}")
        number += 1
    assert sorted(name for name in found if name.startswith("stays")) == stays
    assert len(found) == len(set(found))
    assert not [name for name in found if name.startswith("late")]


async def test_when_it_came_and_when_it_was_active(
    store: AsyncSessionStore, users: AsyncDirectory, raw: Any, prefix: str
) -> None:
    """The first stays what it was; the second is told anew after a minute, or a quarter of a shorter TTL."""
    await enter(store, users, "a", ttl=600)
    keys = sorted([key async for key in raw.scan_iter(match=f"{prefix}:*:*")])
    active, created = (next(key for key in keys if key.endswith(end)) for end in (b":active", b":created"))
    for age, ttl, refreshed in [(59, 600, False), (61, 600, True), (4, 20, False), (6, 20, True)]:
        now = float((await raw.time())[0])
        await raw.zadd(active, {"a": (now - age) * 1000})
        await raw.zadd(created, {"a": (now - 100) * 1000})
        await users.add("u-42", "a", ttl=ttl)
        (entry,) = await users.list("u-42", slot="step")
        assert abs(entry.created_at - (now - 100)) < 5
        assert (abs(entry.active_at - now) < 3) == refreshed


async def test_a_member_whose_time_is_long_past_is_pruned_and_one_about_to_be_written_is_not(
    store: AsyncSessionStore, users: AsyncDirectory, raw: Any, prefix: str
) -> None:
    await users.add("u-42", "about-to-be")
    await users.add("u-42", "over")
    for key in [key async for key in raw.scan_iter(match=f"{prefix}:*:*")]:
        await raw.zadd(key, {"over": 1_000_000})
    assert await names(users) == []
    assert await users.remove("u-42", "over") is False
    assert await users.remove("u-42", "about-to-be") is True


async def test_it_outlives_its_members_by_a_minute(users: AsyncDirectory, raw: Any, prefix: str) -> None:
    await users.add("u-42", "short", ttl=10)
    await users.add("u-42", "long", ttl=3600)
    await users.add("u-42", "short", ttl=10)
    keys = [key async for key in raw.scan_iter(match=f"{prefix}:*:*")]
    assert len(keys) == 2
    for key in keys:
        assert 3_600_000 < await raw.pttl(key) <= 3_660_000


async def test_what_it_costs(store: AsyncSessionStore, users: AsyncDirectory, recorder: Any) -> None:
    await enter(store, users, "a", "b")
    await users.remove("u-42", "b")
    await names(users)
    recorder.clear()
    await users.add("u-42", "a")
    await names(users)
    await users.remove("u-42", "b")
    assert recorder.writes == [("EVALSHA",), ("EVALSHA",), ("EXISTS",), ("EVALSHA",)]


async def test_bad_input_is_refused_before_anything_is_sent(
    store: AsyncSessionStore, users: AsyncDirectory, recorder: Any
) -> None:
    for name in ("", "a.b", "ü", "x" * 65, None):
        with pytest.raises(ValueError, match="name must be"):
            store.directory(name)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="value must be a str"):
        await users.add(1, "n")  # type: ignore[arg-type]
    for name in ("a:b", "~x", ""):
        with pytest.raises(InvalidNameError):
            await users.add("u-42", name)
        with pytest.raises(InvalidNameError):
            await users.remove("u-42", name)
    with pytest.raises(ValueError, match="ttl"):
        await users.add("u-42", "n", ttl=0)
    for options in ({"limit": 0}, {"limit": -1}, {"order": "size"}, {"cursor": "x"}, {"cursor": "ü"}):
        with pytest.raises(ValueError, match="must"):
            await names(users, **options)
    assert recorder.commands == []


async def test_a_cursor_of_another_list_is_refused(store: AsyncSessionStore, users: AsyncDirectory) -> None:
    await enter(store, users, "a", "b")
    cursor = (await users.list("u-42", slot="step", limit=1)).cursor
    for value, order in (("u-43", "created"), ("u-42", "active")):
        with pytest.raises(ValueError, match="cursor must be one"):
            await users.list(value, slot="step", cursor=cursor, order=order)  # type: ignore[arg-type]


async def test_its_texts_show_no_name(store: AsyncSessionStore, users: AsyncDirectory) -> None:
    """It may be a credential."""
    await enter(store, users, "secret-session")
    assert "secret" not in repr(await users.list("u-42", slot="step"))
    assert "user" in repr(users)
