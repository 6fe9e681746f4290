"""`python -m examples.basket [--port 8000] [--redis redis://...]`: the shop, on a server of its own where none is given."""

from __future__ import annotations

import uvicorn

from examples.basket.shop import connected
from examples.serving import options, started

WELCOME = "The shop is at {} - in two tabs, or two browsers. Ctrl-C ends it."


def main() -> None:
    with started(options("examples.basket", "A shop of one page."), WELCOME) as (url, listener):
        config = uvicorn.Config(connected(url), log_level="warning")
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
