"""DynamoDB for tests: moto in a thread, or what `DYNAMODB_ENDPOINT` names."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from io import BytesIO
from typing import Any

SETTINGS = {"region_name": "eu-central-1", "aws_access_key_id": "test", "aws_secret_access_key": "test"}
ENDPOINT = os.environ.get("DYNAMODB_ENDPOINT", "")


def settings(url: str, attempts: int = 2, **options: Any) -> dict[str, Any]:
    """What clients of both flavours are made with: everything is given, so that nothing is looked for elsewhere.

    But for AWS itself (`DYNAMODB_ENDPOINT=aws`), where the environment says who one is. `attempts`: of botocore at each call.
    """
    from botocore.config import Config

    config = Config(retries={"mode": "standard", "total_max_attempts": attempts}, max_pool_connections=64, **options)
    if url == "aws":
        return {"config": config}
    return {**SETTINGS, "endpoint_url": url, "config": config}


class _OneCopy:
    """In place of moto's `copy`: a transaction copies its table once, and not for each of its items."""

    def __init__(self) -> None:
        self._of: dict[int, Any] = {}

    def deepcopy(self, thing: Any) -> Any:
        if type(thing).__name__ != "Table":
            return deepcopy(thing)
        if id(thing) not in self._of:
            self._of[id(thing)] = deepcopy(thing)
        return self._of[id(thing)]

    def forget(self) -> None:
        """A call is over."""
        self._of.clear()


def locked(application: Any, copies: _OneCopy) -> Any:
    """A WSGI application that takes one call at a time: moto's transactions let others in between their parts."""
    lock = threading.Lock()

    def one_at_a_time(environ: dict[str, Any], start_response: Any) -> list[bytes]:
        # Read before anything is waited for: what is left in a socket when it is closed resets the connection.
        environ["wsgi.input"] = BytesIO(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)))
        with lock:
            copies.forget()
            return [b"".join(application(environ, start_response))]

    return one_at_a_time


@contextmanager
def dynamodb() -> Iterator[str]:
    """The address of a DynamoDB: the one that the environment names, or one of this process, which ends with it."""
    if ENDPOINT:
        yield ENDPOINT
        return
    from moto.dynamodb import models
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        def log(self, *args: Any) -> None:
            """Nothing."""

    models.copy = copies = _OneCopy()  # type: ignore[attr-defined]  # what it imports
    application = locked(DomainDispatcherApplication(create_backend_app), copies)
    server = make_server("127.0.0.1", 0, application, threaded=True, request_handler=Quiet)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
