"""A state machine: a model in plain dicts, the client in memory and a client under test get the same calls.

On each of the three, two stores of one prefix and another program take turns, also inside closures, and time passes.
After every step all agree on results, errors, contents and TTLs, and what is promised of the keys holds.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from functools import partial
from typing import Any
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from session_store.testing.calls import Call, Outcome, shown
from session_store.testing.memory import InMemoryClient
from session_store.testing.model import _calls as calls
from session_store.testing.model._calls import NAMES, STORES, Deed, deeds, twenties
from session_store.testing.model._namespace import Slot
from session_store.testing.model._places import Backend
from session_store.testing.model._reference import OUTSIDER, Model
from session_store.testing.model._refusals import REFUSED

MOST_SECONDS = 18  # that an example may take: TTLs are compared in steps of 20 seconds


class Clients:
    """The clients under test: those that each factory made for store 0, store 1 and another program, made once."""

    def __init__(self, factories: tuple[Callable[[], Any], ...]) -> None:
        self.count = len(factories)
        self.on_cluster = False
        self._factories = factories
        self._made: dict[tuple[int, int], Any] = {}

    def of(self, who: int, number: int = 0) -> Any:
        """The client for somebody, by the factory of this number."""
        if (who, number) not in self._made:
            self._made[who, number] = self._factories[number]()
        return self._made[who, number]


def in_memory(options: tuple[tuple[int, bool], ...], *, one_client: bool) -> list[InMemoryClient]:
    """Clients of one new server: another program's, and that of each store with these options, or one for both."""
    memory = InMemoryClient(protocol=2)
    chosen = [{"protocol": protocol, "decode_responses": decode} for protocol, decode in options]
    stores = [InMemoryClient(server=memory.server, **each) for each in chosen]  # type: ignore[arg-type]  # as named
    if one_client:
        stores[1] = stores[0]
    elif chosen[0] == chosen[1]:
        stores[1] = stores[0].sibling()
    return [memory, *stores]


class Machine(RuleBasedStateMachine):
    """The rules: each does the same at the model, in memory and at the client, and compares what came of it."""

    def __init__(self, clients: Clients) -> None:
        super().__init__()
        self.clients = clients
        self.root = f"model-{uuid4().hex[:12]}"  # what every key begins with
        self.bystanders: dict[str, dict[str, Slot]] = {}
        self.backends: list[Backend] = []
        self.bursts = 0
        self.closing = ExitStack()
        self.began = time.monotonic()

    @initialize(
        clients=st.runner().flatmap(lambda machine: st.tuples(*[st.integers(0, machine.clients.count - 1)] * 2)),
        in_memory_clients=st.tuples(*[st.tuples(st.sampled_from((2, 3)), st.booleans())] * 2),
    )
    def begin(self, clients: tuple[int, ...], in_memory_clients: tuple[tuple[int, bool], ...]) -> None:
        """Two stores on each back end, whose clients may differ, next to keys of others."""
        stores = [self.clients.of(who, number) for who, number in enumerate(clients)]
        one_client = stores[0] is stores[1]  # a store then knows the other's closures for its own
        memory, *memories = in_memory(in_memory_clients, one_client=one_client)
        for each in (memory, *memories):
            self.closing.enter_context(each)
        prefix = f"{self.root}-s"
        settings: dict[str, Any] = {
            "root": self.root,
            "prefix": prefix,
            "names": calls.NAMESPACES,
            "hash_tags": self.clients.on_cluster,
        }
        self.backends = [
            Backend("memory", memory, memories, **settings),
            Backend("client", self.clients.of(OUTSIDER), stores, **settings),
        ]
        self.model = Model(self.backends[0].bases, calls.DEFAULT_TTL, one_client=one_client)
        near = (f"{prefix}-b:u:a", f"{prefix}b:u:a", f"{self.root}:{prefix}:u:a", prefix, f"{self.root}:{{u}}:a")
        for backend in self.backends:
            backend.add_bystanders(near, f"{self.root}-S:u:~index")
            self.bystanders[repr(backend)] = backend.look()

    def teardown(self) -> None:
        """Leaves nothing on the server."""
        for backend in self.backends:
            backend.remove()
        self.closing.close()

    def compare(self, what: object, expected: Any, seen: Mapping[str, Any]) -> None:
        """Raises `AssertionError` when somebody has seen something else than the model expects."""
        if all(each == expected for each in seen.values()):
            return
        took = time.monotonic() - self.began
        if took > MOST_SECONDS:
            raise RuntimeError(
                f"an example took {took:.0f} seconds, too long to compare TTLs: "
                f"use fewer steps, or a server that is nearer or has fewer keys"
            )
        lines = [f"{name + ':':<8}{shown(each)}" for name, each in {"model": expected, **seen}.items()]
        raise AssertionError("\n  ".join((f"{what}", *lines)))

    def everywhere(self, what: object, do: Callable[[Any], Any]) -> None:
        """Does something at the model and at each back end, and compares what came of it."""
        expected = do(self.model)
        self.compare(what, expected, {repr(backend): do(backend) for backend in self.backends})

    def by(self, deed: Deed) -> None:
        """One call everywhere."""
        self.everywhere(deed, deed.at)

    @invariant()
    def all_hold_the_same_and_keep_the_promises(self) -> None:
        """Contents and TTLs are the model's. Each key has a TTL; the index names what lives; nothing else changed."""
        expected = {
            key: Slot(slot.kind, slot.value, twenties(slot.left)) for key, slot in self.model.contents().items()
        }
        for backend in self.backends:
            seen, bystanders = backend.look(), self.bystanders[repr(backend)]
            self.agree(f"keys of others at the {backend}", bystanders, {key: seen.pop(key, None) for key in bystanders})
            self.agree(f"keys without a TTL at the {backend}", [], [key for key in seen if seen[key].left <= 0])
            for space in self.model.spaces.values():
                index = seen.pop(f"{space.base}~index", Slot("hash", {}, 0))
                named = {name for name in index.value if not name.startswith("~")}
                live = set(space.live())
                self.agree(f"live slots in the index {space.base} at the {backend}", live, named & live)
                self.agree(f"slots only in the index {space.base} at the {backend}", set(), named - space.index.keys())
                # The index outlives what it names by up to half a second.
                over = index.left - twenties(max(space.index_left, 0))
                self.agree(
                    f"TTL of the index {space.base} at the {backend}, steps of 20 seconds over", 0, over - (over == 1)
                )
            self.agree(f"keys at the {backend}, with steps of 20 seconds left", expected, seen)

    def agree(self, what: str, expected: Any, seen: Any) -> None:
        """Compares what one back end holds; of dicts, the keys that differ."""
        if expected != seen and isinstance(expected, dict):
            differ = {key for key in expected.keys() | seen.keys() if expected.get(key) != seen.get(key)}
            expected, seen = ({key: each.get(key) for key in sorted(differ)} for each in (expected, seen))
        self.compare(what, expected, {"seen": seen})

    @rule(deed=deeds(STORES, NAMES, calls.READS))
    def read(self, deed: Deed) -> None:
        """Reads find what the model finds, and write nothing."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.either(calls.SETS, calls.CONDITIONAL_SETS)))
    def write(self, deed: Deed) -> None:
        """Strings, with nx and xx."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.either(calls.HSETS)))
    def write_fields(self, deed: Deed) -> None:
        """Hashes, by field or by mapping."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.either(calls.INCRS, calls.HINCRBYS)))
    def count(self, deed: Deed) -> None:
        """Counters and sums, up to 64 bits and not beyond. No id comes twice while the model remembers it."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.either(calls.INCRS)), between=calls.either(calls.TOUCHES, calls.LOWER_SETS))
    def lose_a_counter(self, deed: Deed, between: Call) -> None:
        """An id does not come twice when another program deletes the counter, whatever is done before the next."""
        slot = deed.call.args[:1] if isinstance(deed.call, Call) else ()
        self.by(deed)
        self.by(deed._replace(who=OUTSIDER, call=Call("delete", slot)))
        self.by(deed._replace(who=1 - deed.who, call=between))
        self.by(deed._replace(who=1 - deed.who, call=Call("incr", slot)))

    @rule(deed=deeds(STORES, NAMES, calls.either(calls.DELETES, calls.HDELS)))
    def remove(self, deed: Deed) -> None:
        """Slots and fields go."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.either(calls.TOUCHES)))
    def renew(self, deed: Deed) -> None:
        """Every slot of the namespace gets the TTL."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.either(calls.PURGES)))
    def purge(self, deed: Deed) -> None:
        """The namespace is emptied, and its fence stands until it ends."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.either(calls.CREATES)), then=calls.either(calls.SETS, calls.HSETS))
    def create(self, deed: Deed, then: Call) -> None:
        """A namespace begins, unless it lives, and ends for certain; then it is there for those who want one that is."""
        self.by(deed)
        self.by(deed._replace(call=then, existing=True))

    @rule(deed=deeds(STORES, NAMES, st.just(Call("slots"))))
    def list_what_lives(self, deed: Deed) -> None:
        """Slots, what they hold, how long they live and where, and namespaces."""
        self.by(deed)
        for slot in dict.fromkeys(calls.SLOTS):
            for read in calls.READS_OF[slot]:
                self.by(deed._replace(call=read))
            self.by(deed._replace(call=Call("key", (slot,))))
            left = deed._replace(call=Call("ttl", (slot,)))
            self.everywhere(left, partial(self.time_left, left))
        self.by(deed._replace(call=Call("load", tuple(dict.fromkeys(calls.SLOTS)))))
        self.everywhere(f"store_{deed.who}.namespaces()", lambda place: place.namespaces(deed.who))

    @staticmethod
    def time_left(deed: Deed, place: Any) -> Outcome:
        """What comes of a call of `ttl`, in steps of 20 seconds."""
        outcome: Outcome = deed.at(place)
        return outcome if outcome.returned is None else Outcome(twenties(outcome.returned))

    @rule(deed=deeds(STORES, NAMES, calls.BATCHES))
    def write_together(self, deed: Deed) -> None:
        """Several operations, or none where one cannot be done."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.commits(st.just([]))))
    def commit(self, deed: Deed) -> None:
        """A closure in whose way nobody is."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.commits(st.lists(calls.IN_THE_WAY, min_size=1, max_size=2))))
    def commit_in_the_way(self, deed: Deed) -> None:
        """A closure during which others act has the same snapshots, attempts and outcome everywhere."""
        self.by(deed)

    @rule(deed=deeds(STORES, NAMES, calls.commits(st.lists(calls.NESTED, min_size=1, max_size=1))))
    def commit_around_commit(self, deed: Deed) -> None:
        """The same when the others commit, too; one's own store refuses that in the same namespace."""
        self.by(deed)

    @rule(who=st.sampled_from(STORES), name=st.sampled_from(NAMES), slot=st.sampled_from(calls.SLOTS))
    def commit_among_page_views(self, who: int, name: str, slot: str) -> None:
        """Touches make no writer lose."""
        self.bursts += 1
        ttl = calls.PAGE_VIEW_TTL + calls.APART * self.bursts

        def commit(place: Any) -> Outcome:
            def closure(snap: Any, ops: Any) -> None:
                place.handle(1 - who, name).touch(ttl=ttl)
                ops.set(slot, "x")

            return Call("with_cas", (slot, closure), {"max_retries": 0}).on(place.handle(who, name))

        self.everywhere(f"store_{who}.namespace({name!r}).with_cas({slot!r}), a touch in it", commit)

    @rule(name=st.sampled_from(NAMES), who=st.sampled_from(STORES), case=calls.either(REFUSED))
    def refuse(self, who: int, name: str, case: tuple[type[Exception], Call]) -> None:
        """Bad arguments are refused in every state, before anything is sent: not even a fence is noticed."""
        error, call = case
        memory, client = (call.on(backend.handle(who, name)) for backend in self.backends)
        self.compare(Deed(who, name, call), error, {"memory": type(memory.raised), "client": type(client.raised)})
        self.compare(Deed(who, name, call), memory, {"client": client})

    @rule(deed=deeds((OUTSIDER,), NAMES, calls.BY_OTHERS))
    def interfere(self, deed: Deed) -> None:
        """Another program deletes a slot, a counter too, or writes a key under a namespace."""
        self.by(deed)

    @rule(seconds=st.sampled_from(calls.STEPS))
    def advance(self, seconds: int) -> None:
        """Time passes."""
        self.everywhere(f"advance({seconds})", lambda place: place.advance(seconds))
