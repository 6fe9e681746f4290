"""A state machine: a model in plain dicts, the client in memory and a real server get the same calls.

On each of the three, two stores of one prefix and another program take turns, also inside closures, and time passes.
After every step all agree on results, errors, contents and TTLs, and what is promised of the keys holds.

SESSION_STORE_EXAMPLES in the environment says how many examples are run.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from contextlib import ExitStack
from functools import cache
from typing import Any
from uuid import uuid4

import redis
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from support import calls
from support.calls import NAMES, NAMESPACES, Call, Deed, tens
from support.model import OUTSIDER, Model, ModelNamespace
from support.places import Backend
from support.servers import Server
from support.space import Slot

from session_store import InMemoryClient, Namespace

EXAMPLES = int(os.environ.get("SESSION_STORE_EXAMPLES", "200"))
STORES = st.integers(0, 1)
DATABASE = 9  # of the server: nothing but the machine's keys is in it


class Machine(RuleBasedStateMachine):
    """The rules: each does the same at the model, in memory and on the server, and compares what came of it."""

    def __init__(self, connect: Callable[..., redis.Redis]) -> None:
        super().__init__()
        self.connect = connect
        self.prefix = f"m-{uuid4().hex[:12]}"
        self.model = Model(self.prefix, calls.DEFAULT_TTL, NAMESPACES)
        self.backends: list[Backend] = []
        self.bystanders: list[dict[str, Slot]] = []
        self.bursts = 0
        self.closing = ExitStack()

    @initialize(options=st.tuples(*[st.tuples(st.sampled_from((2, 3)), st.booleans())] * 2))
    def begin(self, options: tuple[tuple[int, bool], ...]) -> None:
        """Two stores on each back end, whose clients may differ, next to keys of others."""
        memory = InMemoryClient(protocol=2)
        chosen = [{"protocol": protocol, "decode_responses": decode} for protocol, decode in options]
        in_memory = [InMemoryClient(server=memory.server, **each) for each in chosen]
        if chosen[0] == chosen[1]:
            in_memory[1] = in_memory[0].sibling()
        for client in (memory, *in_memory):
            self.closing.enter_context(client)
        on_server = [self.connect(who, *each) for who, each in enumerate(options)]
        self.backends = [
            Backend(memory, self.prefix, in_memory),
            Backend(self.connect(OUTSIDER, 2, False), self.prefix, on_server),
        ]
        for backend in self.backends:
            for key in (f"{self.prefix}-b:u:a", f"{self.prefix}b:u:a", f"x{self.prefix}:u:a", self.prefix):
                backend.client.set(key, "1")
            backend.client.hset(f"{self.prefix.upper()}:u:~index", "a", "1")
            self.bystanders.append(backend.look())

    def teardown(self) -> None:
        """Leaves nothing on the server."""
        for backend in self.backends:
            backend.client.delete(*(key for key in backend.look() if self.prefix in key.lower()))
        self.closing.close()

    def everywhere(self, what: Callable[[Any], Any]) -> None:
        """Does something at the model and at each back end, and compares what came of it."""
        expected = what(self.model)
        for backend in self.backends:
            assert what(backend) == expected, backend

    @invariant()
    def all_hold_the_same_and_keep_the_promises(self) -> None:
        """Contents and TTLs are the model's. Each key has a TTL; the index names what lives; nothing else changed."""
        expected = {key: Slot(slot.kind, slot.value, tens(slot.left)) for key, slot in self.model.contents().items()}
        for backend, bystanders in zip(self.backends, self.bystanders, strict=True):
            seen = backend.look()
            assert {key: seen.pop(key, None) for key in bystanders} == bystanders, backend
            assert all(slot.left > 0 for slot in seen.values()), (backend, seen)
            for space in self.model.spaces.values():
                index = seen.pop(f"{space.base}~index", Slot("hash", {}, 0))
                named = {name for name in index.value if not name.startswith("~")}
                assert set(space.live()) <= named <= space.index.keys(), (backend, space.base)
                # The index outlives what it names by up to half a second.
                assert index.left - tens(max(space.index_left, 0)) in (0, 1), (backend, space.base)
            assert seen == expected, backend

    def by(self, who: int, name: str, call: Any) -> None:
        """One call everywhere."""
        self.everywhere(Deed(who, name, call).at)

    @rule(who=STORES, name=NAMES, call=calls.reads)
    def read(self, who: int, name: str, call: Call) -> None:
        """Reads find what the model finds, and write nothing."""
        self.by(who, name, call)

    @rule(who=STORES, name=NAMES, call=calls.either(calls.sets, calls.conditional_sets))
    def write(self, who: int, name: str, call: Call) -> None:
        """Strings, with nx and xx."""
        self.by(who, name, call)

    @rule(who=STORES, name=NAMES, call=calls.either(calls.hsets))
    def write_fields(self, who: int, name: str, call: Call) -> None:
        """Hashes, by field or by mapping."""
        self.by(who, name, call)

    @rule(who=STORES, name=NAMES, call=calls.either(calls.incrs, calls.hincrbys))
    def count(self, who: int, name: str, call: Call) -> None:
        """Counters and sums, up to 64 bits and not beyond. No id comes twice while the model remembers it."""
        self.by(who, name, call)

    @rule(who=STORES, name=NAMES, call=calls.either(calls.incrs), between=calls.either(calls.touches, calls.lower_sets))
    def lose_a_counter(self, who: int, name: str, call: Call, between: Call) -> None:
        """An id does not come twice when another program deletes the counter, whatever is done before the next."""
        self.by(who, name, call)
        self.by(OUTSIDER, name, Call("delete", (call.args[0],)))
        self.by(1 - who, name, between)
        self.by(1 - who, name, Call("incr", (call.args[0],)))

    @rule(who=STORES, name=NAMES, call=calls.either(calls.deletes, calls.hdels))
    def remove(self, who: int, name: str, call: Call) -> None:
        """Slots and fields go."""
        self.by(who, name, call)

    @rule(who=STORES, name=NAMES, call=calls.either(calls.touches))
    def renew(self, who: int, name: str, call: Call) -> None:
        """Every slot of the namespace gets the TTL."""
        self.by(who, name, call)

    @rule(who=STORES, name=NAMES, call=calls.either(calls.purges))
    def purge(self, who: int, name: str, call: Call) -> None:
        """The namespace is emptied, and its fence stands until it ends."""
        self.by(who, name, call)

    @rule(who=STORES, name=NAMES)
    def list_what_lives(self, who: int, name: str) -> None:
        """Slots, how long they live and where, and namespaces."""
        self.by(who, name, Call("slots"))
        for slot in calls.SLOTS:
            self.by(who, name, Call("ttl", (slot,)))
            self.by(who, name, Call("key", (slot,)))
        self.everywhere(lambda place: place.namespaces(who))

    @rule(who=STORES, name=NAMES, commit=calls.commits(st.just([])))
    def commit(self, who: int, name: str, commit: calls.Commit) -> None:
        """A closure in whose way nobody is."""
        self.by(who, name, commit)

    @rule(who=STORES, name=NAMES, commit=calls.commits(st.lists(calls.in_the_way, min_size=1, max_size=2)))
    def commit_in_the_way(self, who: int, name: str, commit: calls.Commit) -> None:
        """A closure during which others act has the same snapshots, attempts and outcome everywhere."""
        self.by(who, name, commit)

    @rule(who=STORES, name=NAMES, commit=calls.commits(st.lists(calls.nested, min_size=1, max_size=1)))
    def commit_around_commit(self, who: int, name: str, commit: calls.Commit) -> None:
        """The same when the others commit, too; one's own store refuses that in the same namespace."""
        self.by(who, name, commit)

    @rule(who=STORES, name=NAMES, slot=st.sampled_from(calls.SLOTS))
    def commit_among_page_views(self, who: int, name: str, slot: str) -> None:
        """Of a burst of touches the first makes a writer lose, and no other."""
        self.bursts += 1
        ttl = calls.PAGE_VIEW_TTL + calls.APART * self.bursts

        def commit(place: Any) -> Any:
            begun: list[float] = []

            def closure(snap: Any, ops: Any) -> None:
                begun.append(time.monotonic())
                place.handle(1 - who, name).touch(ttl=ttl)
                ops.set(slot, "x")

            outcome = Call("with_cas", (slot, closure), {"max_retries": 9}).on(place.handle(who, name))
            # A touch may write again after a second: on a machine so slow, there may be more attempts.
            slow = begun and time.monotonic() - begun[0] > 0.9
            return outcome, min(len(begun), 2) if slow else len(begun)

        self.everywhere(commit)

    @rule(who=STORES, name=NAMES, case=calls.either(calls.REFUSED))
    def refuse(self, who: int, name: str, case: tuple[type[Exception], Call]) -> None:
        """Bad arguments are refused in every state, before anything is sent: not even a fence is noticed."""
        error, call = case
        memory, server = (call.on(backend.handle(who, name)) for backend in self.backends)
        assert memory == server
        assert memory[0] is error

    @rule(name=NAMES, call=calls.by_others)
    def interfere(self, name: str, call: Call) -> None:
        """Another program deletes a slot, a counter too, or writes a key under a namespace."""
        self.by(OUTSIDER, name, call)

    @rule(seconds=st.sampled_from(calls.STEPS))
    def advance(self, seconds: int) -> None:
        """Time passes."""
        self.everywhere(lambda place: place.advance(seconds))


def test_model_memory_and_server_agree(server: Server) -> None:
    """Whatever two stores and another program do, one after the other or in the middle of a closure."""
    with ExitStack() as closing:

        @cache
        def connect(who: int, protocol: int, decode: bool) -> redis.Redis:
            client = redis.Redis(port=server.port, db=DATABASE, protocol=protocol, decode_responses=decode)
            return closing.enter_context(client)

        run_state_machine_as_test(
            lambda: Machine(connect),
            settings=settings(
                max_examples=EXAMPLES,
                stateful_step_count=40,
                deadline=None,  # a step's time says nothing about the library
                derandomize=False,
                print_blob=True,
                # Whether the first few examples are large is chance, how long they take is the machine.
                suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
            ),
        )


def test_model_has_every_method() -> None:
    """A method that is added is one for the machine to call."""
    assert {name for name in dir(Namespace) if not name.startswith("_")} <= set(dir(ModelNamespace)) | {"name"}
