"""The chat, in a real browser: a reload in the middle, two tabs, the death of the worker that generates.

The page's own policy forbids scripts in texts, so nothing here is evaluated but by the browser's own means.
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Any

import pytest
from support.browsers import running, tabs_of

pytestmark = pytest.mark.long

WITHIN = 10_000  # milliseconds in which the page must tell that a worker was lost
PATIENCE = 60_000  # milliseconds until an answer is whole; the model takes 10 s
QUESTION = "Which tea is the mildest?"


@pytest.fixture
def chat() -> Iterator[str]:
    """The example's address; it runs as `make example-chat` has it."""
    with running("examples.chat") as address:
        yield address


@asynccontextmanager
async def relayed(address: str) -> AsyncIterator[tuple[str, Callable[[], None], bytearray]]:
    """An address at which the same is found, what cuts all connections to it, and what has come through to the browser."""
    host, _, port = address.rpartition("//")[2].partition(":")
    open_: set[asyncio.StreamWriter] = set()
    seen = bytearray()

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to: bytearray) -> None:
        open_.add(writer)
        with suppress(OSError):
            while data := await reader.read(65_536):
                to += data
                writer.write(data)
                await writer.drain()
        writer.transport.abort()
        open_.discard(writer)

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind = await asyncio.open_connection(host, int(port))
        await asyncio.gather(pump(reader, behind[1], bytearray()), pump(behind[0], writer, seen))

    def cut() -> None:
        for writer in open_:
            writer.transport.abort()

    server = await asyncio.start_server(relay, host, 0)
    try:
        yield f"http://{host}:{server.sockets[0].getsockname()[1]}", cut, seen
    finally:
        server.close()
        cut()


def whole(question: str = QUESTION) -> str:
    """What the model answers in the end."""
    from examples.chat.model import answer_to

    return answer_to(question)


class Turn:
    """The latest question of a tab, and its answer."""

    def __init__(self, tab: Any) -> None:
        from playwright.async_api import expect

        self.expect = expect
        self.tab = tab
        self.element = tab.locator("article:last-child")
        self.text = self.element.locator(".text")

    async def is_(self, state: str, timeout: int = PATIENCE) -> None:
        await self.expect(self.element).to_have_attribute("data-state", state, timeout=timeout)

    async def has_begun(self, words: int = 8) -> str:
        """Some words of it, while more are to come."""
        some = re.compile(rf"^\s*(\S+\s+){{{words},}}")
        await self.expect(self.text).to_have_text(some, timeout=PATIENCE)
        text: str = await self.text.text_content()
        assert whole().startswith(text) and text != whole()
        return text

    async def is_whole(self) -> None:
        await self.is_("done")
        assert await self.text.text_content() == whole()

    async def worker(self) -> int:
        """The process that generates the answer."""
        return int(await self.element.locator(".worker b").text_content())

    async def try_again(self) -> None:
        """Where another tab was faster, the button is not there any more when the click comes."""
        await self.element.locator(".again").dispatch_event("click")


async def ask(tab: Any, question: str = QUESTION) -> None:
    await tab.get_by_label("Question", exact=True).fill(question)
    await tab.get_by_role("button", name="Ask", exact=True).click()


async def history(tab: Any) -> list[tuple[str, str]]:
    """What is there after a reload."""
    await tab.reload()
    await tab.locator("#live[data-state=live]").wait_for()
    questions = await tab.locator("article .question").all_text_contents()
    texts = await tab.locator("article .text").all_text_contents()
    return list(zip(questions, texts, strict=True))


async def test_a_reload_in_the_middle(chat: str, browser: Any) -> None:
    """The answer begins anew on the page, from its beginning, and grows to its end."""
    (tab,) = await tabs_of(browser, chat, 1)
    turn = Turn(tab)
    await ask(tab)
    await turn.has_begun()
    worker = await turn.worker()
    await tab.reload()
    await turn.is_whole()
    assert await turn.worker() == worker
    assert await history(tab) == [(QUESTION, whole())]


async def test_cuts_in_the_middle(chat: str, browser: Any) -> None:
    """The browser connects again with the id of the last event: what it has is not sent again, and the rest comes."""
    async with relayed(chat) as (address, cut, seen):
        (tab,) = await tabs_of(browser, address, 1)
        turn = Turn(tab)
        await ask(tab)
        for words in (8, 40):
            await turn.has_begun(words)
            cut()
        await turn.is_whole()
        assert bytes(seen).count(b"event: worker") == 1  # the answer's first event
        assert await history(tab) == [(QUESTION, whole())]


async def test_tabs_that_are_opened_at_once_are_of_one_session(chat: str, browser: Any) -> None:
    """Else what is asked in one would never be heard of in the other."""
    context = await browser.new_context()
    tabs = [await context.new_page() for _ in range(4)]
    responses: list[Any] = []
    context.on("response", lambda response: responses.append(response))
    await asyncio.gather(*(tab.goto(chat, wait_until="commit") for tab in tabs))
    await asyncio.gather(*(tab.locator("#live[data-state=live]").wait_for() for tab in tabs))
    headers = [await response.all_headers() for response in responses if response.url == f"{chat}/chat"]
    assert ["set-cookie" in each for each in headers].count(True) == 1


async def test_a_second_tab_follows(chat: str, browser: Any) -> None:
    """What is asked in one is there in the other, and while it grows; what is not of the page is shown as it is."""
    tabs = await tabs_of(browser, chat)
    one, two = map(Turn, tabs)
    question = "A <b>mild</b> one? <img src=x onerror=\"document.title='broken'\">"
    await ask(tabs[0], question)
    await asyncio.gather(one.has_begun(), two.has_begun())
    assert await one.worker() == await two.worker()
    await asyncio.gather(one.is_whole(), two.is_whole())
    assert await history(tabs[1]) == [(question, whole())]
    assert await tabs[1].title() == "Ask about tea"


async def test_the_worker_that_generates_is_killed(chat: str, browser: Any) -> None:
    """Both tabs say so in time. Both try again, and there is one answer, by another worker."""
    tabs = await tabs_of(browser, chat)
    turns = one, two = [Turn(tab) for tab in tabs]
    await ask(tabs[0])
    await asyncio.gather(one.has_begun(), two.has_begun())
    killed = await one.worker()
    os.kill(killed, signal.SIGKILL)
    await asyncio.gather(*(turn.is_("lost", WITHIN) for turn in turns))
    assert await one.element.get_by_role("alert").inner_text() == "The worker that answered was lost.\nTry again"
    await asyncio.gather(*(turn.try_again() for turn in turns))
    await asyncio.gather(*(turn.is_whole() for turn in turns))
    assert await one.worker() == await two.worker() != killed
    for tab in tabs:
        assert await history(tab) == [(QUESTION, whole())]


async def test_the_button_that_kills(chat: str, browser: Any) -> None:
    """It ends the process that generates and no other. A page that is loaded only then can try again as well."""
    (tab,) = await tabs_of(browser, chat, 1)
    turn = Turn(tab)
    await ask(tab)
    await turn.has_begun()
    killed = await turn.worker()
    await tab.get_by_role("button", name=f"Kill worker {killed}").click()
    await turn.is_("lost", WITHIN)
    with pytest.raises(ProcessLookupError):
        os.kill(killed, 0)
    await tab.reload()
    await turn.is_("lost")
    await turn.try_again()
    await turn.is_whole()
    assert await history(tab) == [(QUESTION, whole())]
