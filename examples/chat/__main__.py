"""`python -m examples.chat [--port 8000] [--redis redis://...]`: the chat, with two workers on one Redis."""

from __future__ import annotations

from functools import partial

import uvicorn
from uvicorn.supervisors import Multiprocess

from examples.chat.chat import connected
from examples.serving import options, started

WELCOME = "The chat is at {} - ask, reload in the middle, open a second tab, kill the worker. Ctrl-C ends it."


def main() -> None:
    with started(options("examples.chat", "A chat about tea, served by two workers."), WELCOME) as (url, listener):
        config = uvicorn.Config(
            partial(connected, url),  # which each worker calls
            factory=True,
            workers=2,
            log_level="warning",
            timeout_graceful_shutdown=3,  # a page that does not read would keep a worker that is to end
        )
        Multiprocess(config, sockets=[listener]).run()


if __name__ == "__main__":
    main()
