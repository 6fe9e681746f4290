"""The example, in a real browser: two tabs, double clicks, logins, a logout, the Back button [51].

Needs the dependency group "browser" and a Chromium.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

import pytest
from support.browsers import running, tabs_of

pytestmark = pytest.mark.long


@pytest.fixture
def shop() -> Iterator[str]:
    """The example's address; it runs as `make example` has it."""
    with running("examples.basket") as address:
        yield address


@pytest.fixture
async def tabs(browser: Any, shop: str) -> Any:
    """Two tabs of one browser, both on the page."""
    return await tabs_of(browser, shop)


async def add(tab: Any, article: str) -> None:
    """Until the page is there that comes of it: one that is on its way can not be loaded anew."""
    async with tab.expect_navigation():
        await tab.locator("li", has_text=article).get_by_role("button", name="Add").click()


async def basket(tab: Any) -> str:
    await tab.reload()
    return await tab.locator("#basket").inner_text()


async def test_a_visitor_who_only_looks_has_no_cookie(tabs: Any) -> None:
    """And what scripts of the page see is empty with one, too."""
    tab = tabs[0]
    assert await tab.context.cookies() == []
    await add(tab, "Cup")
    (cookie,) = await tab.context.cookies()
    assert (cookie["name"], cookie["httpOnly"], cookie["secure"]) == ("__Host-session", True, True)
    assert await tab.evaluate("document.cookie") == ""


async def test_two_tabs_and_fast_clicks_lose_nothing(tabs: Any) -> None:
    one, two = tabs
    await add(one, "Earl Grey")
    await two.reload()
    await asyncio.gather(add(one, "Cup"), add(two, "Strainer"))
    for tab in tabs:
        found = await basket(tab)
        assert all(article in found for article in ("Earl Grey", "Cup", "Strainer"))
    await one.get_by_role("button", name="Add 20 cups at once").click()
    await one.wait_for_function("document.querySelector('#said').textContent.includes('acknowledged')")
    assert await one.locator("#said").inner_text() == "20 of 20 acknowledged, 21 cups there"
    assert "21" in await basket(two)


async def test_a_login_in_one_tab_and_a_logout_in_the_other(tabs: Any, browser: Any, shop: str) -> None:
    """The basket goes along. Then what the first tab adds is of a session of its own, and no error page is seen."""
    one, two = tabs
    await add(one, "Cup")
    await two.reload()
    await one.get_by_label("Name").fill("ann")
    await one.get_by_role("button", name="Log in").click()
    await one.get_by_role("heading", name="ann").wait_for()
    assert "Cup" in await basket(two)
    await two.get_by_role("button", name="Log out", exact=True).click()
    await two.get_by_role("heading", name="Log in").wait_for()
    await add(one, "Strainer")
    assert "Strainer" in await basket(one) and "Cup" not in await basket(one)


async def test_devices(tabs: Any, browser: Any, shop: str) -> None:
    """A second browser of the same person is seen in the first, and ended there."""
    other = await (await browser.new_context()).new_page()
    await other.goto(shop)
    for tab in (tabs[0], other):
        await tab.get_by_label("Name").fill("ann")
        await tab.get_by_role("button", name="Log in").click()
        await tab.get_by_role("heading", name="ann").wait_for()
    await tabs[0].reload()
    assert await tabs[0].locator("#devices li").count() == 2
    await tabs[0].get_by_role("button", name="End").click()
    await tabs[0].locator("#devices li:only-child").wait_for()
    await other.reload()
    await other.get_by_role("heading", name="Log in").wait_for()


async def test_the_back_button_after_a_logout(tabs: Any, shop: str) -> None:
    """[51] Nothing of the page before is shown, although the browser keeps pages in memory."""
    tab = tabs[0]
    await tab.get_by_label("Name").fill("ann-who-is-secret")
    await tab.get_by_role("button", name="Log in").click()
    await tab.get_by_role("heading", name="ann-who-is-secret").wait_for()
    await tab.get_by_role("button", name="Log out", exact=True).click()
    await tab.get_by_role("heading", name="Log in").wait_for()
    await tab.evaluate("setTimeout(() => history.back())")
    for _ in range(20):
        await tab.wait_for_timeout(50)
        assert "ann-who-is-secret" not in await tab.content()
