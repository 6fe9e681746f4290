"""The state machine of `check_against_model`, on a real server that has nothing else to do.

SESSION_STORE_EXAMPLES in the environment says how many examples are run.
"""

from __future__ import annotations

import os
from contextlib import ExitStack
from functools import partial

import pytest
import redis
from hypothesis.stateful import invariant
from support.servers import Server

from session_store import Namespace
from session_store.testing.model._check import clients_of, run_machine
from session_store.testing.model._machine import Machine
from session_store.testing.model._reference import ModelNamespace

EXAMPLES = int(os.environ.get("SESSION_STORE_EXAMPLES", "200"))
DATABASE = 9  # of the server: nothing but the machine's keys is in it


class OnlyMachine(Machine):
    """The machine, which also looks at the rest of the database."""

    database: redis.Redis

    @invariant()
    def nothing_else_is_in_the_database(self) -> None:
        """Whatever key there is begins as the machine's do, and those of others are under no name of theirs."""
        assert [key for key in self.database.keys("*") if not key.startswith(self.root.encode())] == []


@pytest.mark.long
@pytest.mark.hypothesis  # as Hypothesis marks its own
def test_model_memory_and_server_agree(server: Server) -> None:
    """Whatever two stores and another program do, one after the other or in the middle of a closure."""
    with ExitStack() as closing:

        def connect(protocol: int, decode: bool) -> redis.Redis:
            client = redis.Redis(port=server.port, db=DATABASE, protocol=protocol, decode_responses=decode)
            return closing.enter_context(client)

        clients = clients_of(tuple(partial(connect, *each) for each in ((2, False), (2, True), (3, False), (3, True))))
        OnlyMachine.database = connect(2, False)
        run_machine(lambda: OnlyMachine(clients), examples=EXAMPLES, steps=40, settings=None)
        assert OnlyMachine.database.dbsize() == 0


def test_model_has_every_method() -> None:
    """A method that is added is one for the machine to call."""
    assert {name for name in dir(Namespace) if not name.startswith("_")} <= set(dir(ModelNamespace)) | {"name"}
