"""A chat whose answers survive a reload, a second tab and the death of a worker. `make example-chat` starts it.

The history is a conversation. Each answer that grows is a channel of the same namespace, which any worker follows while one
of them generates; one more channel tells the tabs of questions. No worker knows anything that the others need.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import signal
from collections.abc import AsyncIterator, Coroutine
from contextlib import aclosing, asynccontextmanager, suppress
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import fastapi
import redis.asyncio
from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.responses import FileResponse, StreamingResponse
from pydantic import BaseModel, StringConstraints

from examples.chat.model import model
from examples.serving import same_origin
from session_store import AsyncSessionStore, JsonCodec
from session_store.channels import AsyncChannel, AsyncChannels, ChannelEndedError, HeldError, LeaseLostError, sse
from session_store.conversations import AsyncRedisConversations, ConversationExistsError, ConversationNotFoundError
from session_store.web import AsyncSessions, SessionPolicy
from session_store.web.fastapi import SessionDep, SessionMiddleware

HERE = Path(__file__).parent
LEASE = 5  # seconds without a word of a worker, after which its answer counts as lost
HISTORY = 200  # messages that the page shows
FILES = ("chat.css", "chat.js")


class Question(BaseModel):
    """What is asked."""

    text: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300)]


async def chat_of(session: SessionDep) -> str:
    """The conversation of this browser. Another one's cannot be named."""
    if "chat" not in session:
        raise HTTPException(404, "no chat has begun")
    return str(session["chat"])


ChatDep = Annotated[str, Depends(chat_of)]
AnswerId = Annotated[str, fastapi.Path(pattern=r"^[0-9a-f-]{36}$")]  # drawn by the page: asking is safe to repeat


class Chats:
    """The conversations, and the answers that grow."""

    def __init__(self, store: AsyncSessionStore[Any]) -> None:
        self.conversations = AsyncRedisConversations(store)
        self.channels = AsyncChannels(store, ttl=timedelta(hours=1))
        self._tasks: set[asyncio.Task[None]] = set()

    async def aclose(self) -> None:
        """Ends what this worker generates, whose followers are told that it is lost, and what it follows."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.channels.aclose()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Does it in the background."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)  # else nobody would hold it
        task.add_done_callback(self._tasks.discard)

    def answer(self, chat: str, answer: str) -> AsyncChannel[Any]:
        """Where an answer grows."""
        return self.channels.channel(chat, f"answer.{answer}")

    def questions(self, chat: str) -> AsyncChannel[Any]:
        """Where the tabs are told which answers there are to follow."""
        return self.channels.channel(chat, "questions")

    def kills(self, chat: str, answer: str) -> AsyncChannel[Any]:
        """Where the one that generates an answer is told to die."""
        return self.channels.channel(chat, f"kill.{answer}")

    async def ask(self, chat: str, answer: str, text: str) -> None:
        """Has a question answered. When it comes again, the answer goes on, or begins anew where its worker was lost."""
        question = await self.conversations.conversation(chat).append("user", text, key=f"question.{answer}")
        self.start(self.generate(chat, answer, question.content))

    async def generate(self, chat: str, answer: str, question: str) -> None:
        """Runs once however often it is started: one at a time has the channel, and what has ended takes nothing more."""
        with suppress(HeldError, ChannelEndedError, LeaseLostError):
            async with self.answer(chat, answer).produce(lease=LEASE) as out, killable(self.kills(chat, answer)):
                await out.publish(os.getpid(), kind="worker")  # pages drop what a worker before has left
                await self.questions(chat).publish({"answer": answer, "question": question}, kind="question")
                words = []
                async for word in model(question):
                    words.append(word)
                    await out.publish(word, kind="word")
                await self.conversations.conversation(chat).append(
                    "assistant", "".join(words), key=answer, metadata={"worker": os.getpid()}
                )
                await out.end("", kind="end")

    async def history(self, chat: str) -> dict[str, Any]:
        """The questions with their answers; those that are not there yet are to be followed."""
        # Read before the messages: of what is asked in between, the page hears.
        after = (await self.questions(chat).state()).last_id
        messages = (await self.conversations.conversation(chat).latest(HISTORY)).items
        answers = {message.key: message for message in messages if message.role == "assistant"}
        turns = []
        for message in messages:
            if message.role != "user":
                continue
            answer = str(message.key).removeprefix("question.")
            turn = {"answer": answer, "question": message.content, "state": "done"}
            if found := answers.get(answer):
                turn |= {"text": found.content, "worker": found.metadata["worker"]}
            elif (await self.answer(chat, answer).state()).status == "none":
                turn["state"] = "lost"  # before it had begun
            else:
                turn["state"] = "answering"  # or lost, of which its stream tells
            turns.append(turn)
        return {"after": after, "turns": turns}


@asynccontextmanager
async def killable(kills: AsyncChannel[Any]) -> AsyncIterator[None]:
    """For the page's button: this process ends as by `kill -9` when any worker is told so."""
    before = (await kills.state()).last_id

    async def wait() -> None:
        async for _ in kills.events(after=before):
            os.kill(os.getpid(), signal.SIGKILL)

    task = asyncio.get_running_loop().create_task(wait())
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait([task])


def stream(channel: AsyncChannel[Any], after: str | None) -> StreamingResponse:
    """What is behind an id and what comes, as an EventSource reads it; before that, which worker it is that serves it."""

    async def body() -> AsyncIterator[bytes]:
        yield f"event: served\ndata: {os.getpid()}\n\n".encode()
        async with aclosing(sse(channel.events(after=after))) as parts:
            async for part in parts:
                yield part

    return StreamingResponse(body(), media_type="text/event-stream")


def end_streams_first(chats: Chats) -> None:
    """A worker that is to end waits for the responses that are under way, and streams only end when they are told to."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        then = signal.getsignal(number)  # uvicorn's

        def end(*args: Any, then: Any = then) -> None:
            asyncio.run_coroutine_threadsafe(chats.aclose(), loop)
            then(*args)

        signal.signal(number, end)


def application(client: Any) -> FastAPI:
    """The chat, on a client of redis-py."""
    store = AsyncSessionStore(client, prefix="chat", default_ttl=timedelta(days=7), codec=JsonCodec())
    chats = Chats(store)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        end_streams_first(chats)
        yield
        await chats.aclose()
        await client.aclose()

    app = FastAPI(lifespan=lifespan, dependencies=[Depends(same_origin)])
    sessions = AsyncSessions(store, policy=SessionPolicy(idle=timedelta(days=7), lifetime=timedelta(days=30)))
    app.add_middleware(SessionMiddleware, sessions=sessions, skip=tuple(f"/{name}" for name in FILES))

    @app.get("/")
    async def page() -> FileResponse:
        """A browser that only looks, without a script, leaves nothing behind."""
        policy = "default-src 'self'; img-src data:; base-uri 'none'; frame-ancestors 'none'"
        return FileResponse(HERE / "chat.html", headers={"Content-Security-Policy": policy})

    @app.post("/chat")
    async def begin(session: SessionDep) -> dict[str, Any]:
        """What the page shows at first; begins a chat where there is none."""
        chat = await session.transaction(lambda data: data.setdefault("chat", secrets.token_hex(16)))
        with suppress(ConversationExistsError):
            await chats.conversations.create(chat)
        return await chats.history(chat)

    @app.get("/questions")
    async def questions(request: Request, chat: ChatDep, after: str | None = None) -> StreamingResponse:
        return stream(chats.questions(chat), request.headers.get("last-event-id") or after)

    @app.put("/answers/{answer}", status_code=202)
    async def ask(answer: AnswerId, question: Question, chat: ChatDep) -> None:
        try:
            await chats.ask(chat, answer, question.text)
        except ConversationNotFoundError:
            raise HTTPException(404, "the chat has ended") from None

    @app.get("/answers/{answer}")
    async def follow(answer: AnswerId, request: Request, chat: ChatDep) -> StreamingResponse:
        return stream(chats.answer(chat, answer), request.headers.get("last-event-id"))

    @app.post("/answers/{answer}/kill", status_code=202)
    async def kill(answer: AnswerId, chat: ChatDep) -> None:
        """Ends the worker that generates, whichever it is, without a word to anybody."""
        if (await chats.answer(chat, answer).state()).status != "produced":
            raise HTTPException(409, "no worker generates this answer")
        await chats.kills(chat, answer).publish("")

    for name in FILES:
        app.add_api_route(f"/{name}", lambda path=HERE / name: FileResponse(path), response_class=FileResponse)
    return app


def connected(url: str) -> FastAPI:
    """The chat on a server of this URL."""
    return application(redis.asyncio.Redis.from_url(url))
