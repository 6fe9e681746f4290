"""The demo: a basket that two tabs and a webhook write to at the same moment, and what the library keeps of it.

    python -m session_store demo                                          in memory
    python -m session_store demo --redis-url redis://localhost:6379/0     on a server
    python -m session_store demo --json                                   the promises, as JSON

It exits with 0 when every promise holds, with 1 when one does not, and with 2 when it cannot run. On a server it keeps
to a prefix that nobody else has, and removes what it wrote.
"""

from __future__ import annotations

import argparse
import json
import secrets
import sys
import time
from collections.abc import Sequence
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from session_store.demo import lifecycle, report, writers
from session_store.demo.keys import keys_of
from session_store.errors import SessionStoreError

_TIMEOUT = 5  # seconds until a server that does not answer is given up


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m session_store")
    commands = parser.add_subparsers(required=True, metavar="demo")
    demo = commands.add_parser("demo", help="two tabs and a webhook write to one basket, three ways")
    demo.add_argument("--redis-url", metavar="URL", help="the server to run on (default: in memory, without a server)")
    demo.add_argument("--json", action="store_true", dest="as_json", help="say which promises held as JSON")
    return parser.parse_args(argv)


def _connect(url: str | None) -> tuple[Any, str]:
    """The client, and how the report names the place. A server that is not there is an error of redis-py."""
    if url is None:
        from session_store.testing import InMemoryClient

        return InMemoryClient(), "in memory"
    # No retries: whoever mistyped a URL wants to know it now.
    client = Redis.from_url(url, retry=None, socket_connect_timeout=_TIMEOUT, socket_timeout=_TIMEOUT)
    client.ping()
    options = client.get_connection_kwargs()  # not the URL: it may hold a password
    place = options.get("path") or f"{options.get('host', 'localhost')}:{options.get('port', 6379)}"
    return client, f"on the server at {place}, database {options.get('db', 0)}"


def _fail(reason: str) -> int:
    print(f"session_store demo: {reason}", file=sys.stderr)
    return 2


def _show(client: Any, prefix: str, place: str) -> bool:
    """Runs the parts and prints what each finds. Whether every promise holds."""
    begun = time.monotonic()
    print(report.opening(place, prefix))
    basket = writers.write_three_ways(client, prefix)
    print(report.table(basket))
    session = lifecycle.live_and_die(client, prefix)
    print(report.counts(session))
    promises = [*basket.promises(), *session.promises()]
    print(report.verdict(promises, time.monotonic() - begun))
    return all(promise.held for promise in promises)


def _tell(client: Any, prefix: str) -> bool:
    """The same as JSON, in one line."""
    promises = [
        *writers.write_three_ways(client, prefix).promises(),
        *lifecycle.live_and_die(client, prefix).promises(),
    ]
    held = all(promise.held for promise in promises)
    print(json.dumps({"held": held, "promises": [promise._asdict() for promise in promises]}))
    return held


def _run(client: Any, prefix: str, place: str, *, as_json: bool) -> int:
    try:
        held = _tell(client, prefix) if as_json else _show(client, prefix, place)
    except SessionStoreError as error:
        print(f"\nBROKEN: {type(error).__name__}: {error}", file=sys.stderr if as_json else sys.stdout)
        held = False
    finally:
        left = keys_of(client, prefix)
        if left:  # a promise is broken, or there was an error half-way
            client.unlink(*left)
        if not as_json:
            print(f"What it wrote is removed: nothing is left under {prefix}:")
    return 0 if held else 1


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line; `argv` is what follows the program's name. Returns the exit status."""
    arguments = _arguments(argv)
    try:
        client, place = _connect(arguments.redis_url)
    except (ImportError, TypeError, ValueError) as error:  # the extra is missing; the URL, or an option in it, is none
        return _fail(str(error))
    except RedisError as error:
        return _fail(f"cannot use this Redis: {error}")
    try:
        return _run(client, f"session-store-demo-{secrets.token_hex(4)}", place, as_json=arguments.as_json)
    except RedisError as error:
        return _fail(f"Redis stopped answering: {error}; what the demo wrote expires within an hour")
    finally:
        client.close()
