"""The handlers of docs/channels.md: an answer that is generated once, and followed from anywhere."""

from __future__ import annotations

import asyncio
import re

import httpx
from docs.pages import DOCS, clean
from support.servers import Server


def test_an_answer_survives_a_reload(server: Server) -> None:
    """From its beginning, or behind the last event that a browser got; a wrong id is told as a gap."""
    names = DOCS["channels"].run(server)

    async def visit() -> None:
        transport = httpx.ASGITransport(app=names["app"])
        async with httpx.AsyncClient(transport=transport, base_url="http://shop") as browser:
            session = {"session_id": "session-2"}
            answer = (await browser.post("/ask", params=session)).json()["answer"]
            whole = await browser.get(f"/answers/{answer}", params=session)
            assert whole.headers["content-type"].startswith("text/event-stream")
            assert re.findall(r"^data: (.*)$", whole.text, re.MULTILINE) == ["White ", "tea ", "is mild.", ""]
            assert whole.text.endswith("event: end\ndata: \n\n")
            first, *_ = re.findall(r"^id: (.*)$", whole.text, re.MULTILINE)
            rest = await browser.get(f"/answers/{answer}", params=session, headers={"Last-Event-ID": first})
            assert re.findall(r"^data: (.*)$", rest.text, re.MULTILINE) == ["tea ", "is mild.", ""]
            wrong = await browser.get(f"/answers/{answer}", params=session, headers={"Last-Event-ID": "x"})
            assert "event: gap\n" in wrong.text
        await names["channels"].aclose()
        await names["channels"]._client.aclose()

    asyncio.run(visit())
    clean(server)
