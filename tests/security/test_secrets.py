"""No log event, text of an error or repr shows a namespace, a slot, a field or a value; no warning is given."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
import redis
from security import calls
from security.calls import HASH, ID, Call
from security.faces import Face
from security.marks import FIELD, MARKS, NAMESPACE, NUMBER, SLOT, VALUE, Holder, facts_of, marks_in, text_of
from security.witness import Witness

from session_store import (
    CasOps,
    CasPolicy,
    CasSnapshot,
    EncryptedCodec,
    JsonCodec,
    Namespace,
    TextCodec,
    errors,
    fingerprint,
)
from session_store._async.pipelining import _Request
from session_store._core.attempts import Attempts, Run, Send
from session_store._core.replies import Watched
from session_store._core.scripts import COMMIT
from session_store._core.tokens import Ticket
from session_store.codecs import Place
from session_store.testing import InMemoryClient


@pytest.fixture
def witness(face: Face, raw: redis.Redis, prefix: str, caplog: pytest.LogCaptureFixture) -> Iterator[Witness]:
    """At the end, nobody may have seen anything. `raw` is asked for since it removes the keys."""
    witness = Witness(face, prefix, caplog)
    yield witness
    witness.close()
    assert witness.found == []


def fill(ns: Any) -> None:
    for call in calls.OPS:
        call.on(ns)
    ns.hincrby(HASH, calls.SUM, NUMBER)
    ns.incr(ID, NUMBER)


def methods_of(*classes: type) -> set[str]:
    return {name for each in classes for name in dir(each) if not name.startswith("_")}


def test_right_calls_show_nothing(witness: Witness) -> None:
    for ns in witness.namespaces:
        for call in calls.NAMESPACE:
            witness.call(call.method, lambda call=call, ns=ns: call.on(ns))
        fill(ns)
        ns.cas([SLOT, HASH], closure_of(witness, calls.SNAP, calls.OPS))
        ns.cas(f"{SLOT}:watched", closure_of(witness, calls.SNAP, calls.OPS))  # the rest is read when asked for
        witness.face.wait(witness.face.store(witness.prefix).namespaces())
        witness.face.wait(witness.face.store(witness.prefix).load_many([NAMESPACE], HASH))
        ns.purge()
    assert witness.errors == []
    assert witness.close() > 0


def closure_of(witness: Witness, snap: list[Call], ops: list[Call]) -> Any:
    """A closure that makes these calls, and looks at the reprs of what it was given."""

    def fn(given: Any) -> Any:
        for call in snap:
            yield call.method, *call.args
        for call in ops:
            call.on(given)
        witness.show(given, given._operations, *given._recorded, (yield ("__repr__",)))

    return fn


def test_every_method_is_called() -> None:
    """A new one has to be added to the tables."""
    made = {call.method for call in calls.NAMESPACE}
    assert made | {"with_cas", "name"} == methods_of(Namespace)
    assert {call.method for call in calls.SNAP} == methods_of(CasSnapshot)
    assert {call.method for call in calls.OPS} == methods_of(CasOps)


def test_wrong_calls_show_nothing(witness: Witness) -> None:
    ns = witness.namespaces[0]
    fill(ns)
    passed = [call for call in calls.wrong() if witness.call(call.method, lambda call=call: call.on(ns)) is None]
    assert passed == []


def test_wrong_calls_in_closures_show_nothing(witness: Witness) -> None:
    ns = witness.namespaces[1]
    fill(ns)
    for call in calls.wrong():
        in_snap, in_ops = call.method in methods_of(CasSnapshot), call.method in methods_of(CasOps)
        if call.options.keys() & {"nx", "xx"} or not (in_snap or in_ops):
            continue
        fn = closure_of(witness, [call] if in_snap else [], [call] if in_ops else [])
        assert witness.call(call.method, lambda fn=fn: ns.cas(SLOT, fn)) is not None
        assert witness.call(call.method, lambda fn=fn: ns.cas(f"{SLOT}:other", fn)) is not None


def test_wrong_commits_show_nothing(witness: Witness) -> None:
    ns = witness.namespaces[2]
    nothing = closure_of(witness, [], [])
    one = [name for name in calls.names(SLOT) if not isinstance(name, list)]
    for slots in (*one, [], (), {SLOT}, [SLOT, f"{SLOT} "], [[SLOT]], None, NUMBER):
        assert witness.call("slots", lambda slots=slots: ns.cas(slots, nothing)) is not None
    for retries in (VALUE, -1, NUMBER + 0.5, Holder(VALUE)):
        assert (
            witness.call("max_retries", lambda retries=retries: ns.cas(SLOT, nothing, max_retries=retries)) is not None
        )
    for fn in (VALUE, Holder(VALUE), [VALUE], None, len):
        assert witness.call("fn", lambda fn=fn: ns.with_cas(SLOT, fn)) is not None


def test_wrong_settings_show_nothing(witness: Witness) -> None:
    face = witness.face
    for name in calls.names(NAMESPACE):
        assert witness.call("name", lambda name=name: face.namespace(witness.prefix, name)) is not None
    for setting in ("codec", "cas_policy", "min_replicas", "logger", "log_name", "hash_tags", "default_ttl"):
        for value in (VALUE, VALUE.encode(), Holder(VALUE), [VALUE], -1):
            make = lambda setting=setting, value=value: face.store(witness.prefix, **{setting: value})  # noqa: E731
            assert witness.call(setting, make) is not None
    for setting in ("max_retries", "backoff_base", "backoff_cap", "lock_ttl", "lock_timeout"):
        for value in (VALUE, Holder(VALUE), -1):
            make = lambda setting=setting, value=value: CasPolicy(**{setting: value})  # noqa: E731
            assert witness.call(setting, make) is not None


def test_codecs_and_fingerprints_show_nothing(witness: Witness) -> None:
    key, text, json = bytes(range(32)), TextCodec(), JsonCodec()
    encrypted = EncryptedCodec(JsonCodec(), keys=[key])
    at = encrypted.at(Place("shop", NAMESPACE, SLOT, FIELD))
    wrong: list[tuple[Any, Any]] = [
        *(
            (each.encode, value)
            for each in (text, json, at)
            for value in ({VALUE: {VALUE}}, VALUE.encode(), Holder(VALUE))
        ),
        *((each.encode, f"{VALUE}\ud800") for each in (text, json, at)),
        *((each.decode, b"\xff" + VALUE.encode()) for each in (text, json, at)),
        (json.decode, VALUE.encode()),
        (at.decode, encrypted.at(Place("shop", NAMESPACE, SLOT, None)).encode(VALUE)),
        *(
            (lambda keys: EncryptedCodec(text, keys=keys), keys)
            for keys in (VALUE, [VALUE], [VALUE.encode()], VALUE.encode())
        ),
        *((lambda key: fingerprint(SLOT, key=key), key) for key in (VALUE, VALUE.encode(), Holder(VALUE))),
        *((fingerprint, name) for name in (SLOT.encode(), Holder(SLOT))),
        *((InMemoryClient().simulate_concurrent_change, name) for name in (SLOT.encode(), Holder(SLOT))),
    ]
    for fn, value in wrong:
        assert witness.call("codec", lambda fn=fn, value=value: fn(value)) is not None
    assert marks_in(f"{fingerprint(NAMESPACE)} {fingerprint(SLOT, key=VALUE.encode() * 2)}") == set()
    witness.show(text, json, encrypted, at, Place("shop", NAMESPACE, SLOT, FIELD))


def test_reprs_show_nothing(witness: Witness) -> None:
    """But that of a namespace: it shows the name as events do."""
    for ns in witness.namespaces[:2]:
        settings = ns.namespace._settings
        witness.show(
            ns.namespace, ns.namespace._operations, settings, settings.audit, settings.keyspace, settings.cas_policy
        )
    witness.show(witness.face.store(witness.prefix), CasPolicy())
    make, settings = ns.namespace._operations, ns.namespace._settings
    watched = Watched([b"string", b"mark", VALUE.encode()])
    watched.content_mark  # noqa: B018  # which is kept
    key = ns.key(SLOT).encode()
    place = settings.queues.enter(key, Mock)
    given = {"keys": (key,), "most_attempts": 1, "make_waiter": Mock}
    steps = Attempts(settings, make, **given)
    witness.show(watched, place, settings.queues, steps, Ticket(make.index), Run({key: watched}, 1))
    witness.show(Send(COMMIT, (make.index, key), (VALUE, NUMBER, FIELD)), make.set(SLOT, VALUE, None))
    witness.show(_Request(VALUE.encode(), Mock()))
    settings.queues.leave(place)
    assert marks_in(repr(witness.namespaces[2].namespace)) == {NAMESPACE}


def test_what_cannot_be_read_is_not_shown(witness: Witness, raw: redis.Redis) -> None:
    """Values and fields that are no text, in either codec."""
    ns = witness.namespaces[0]
    fill(ns)
    raw.set(ns.key(SLOT), b"\xff" + VALUE.encode(), ex=60)
    raw.hset(ns.key(HASH), mapping={FIELD: b"\xff" + VALUE.encode(), b"\xff" + FIELD.encode(): VALUE})
    for call in (Call("get", (SLOT,)), Call("hget", (HASH, FIELD)), Call("hmget", (HASH, [FIELD]))):
        assert isinstance(witness.call(call.method, lambda call=call: call.on(ns)), errors.CodecError)
        fn = closure_of(witness, [call], [])
        assert isinstance(witness.call(call.method, lambda fn=fn: ns.cas([SLOT, HASH], fn)), errors.CodecError)
    for method in ("hgetall", "hkeys"):
        assert isinstance(witness.call(method, lambda method=method: getattr(ns, method)(HASH)), errors.CodecError)
    for codec in (JsonCodec(), EncryptedCodec(JsonCodec(), keys=[bytes(32)])):
        other = witness.namespace(codec=codec)
        raw.set(other.key(SLOT), VALUE, ex=60)
        assert isinstance(witness.call("codec", lambda other=other: other.get(SLOT)), errors.CodecError)
    raw.set(other.key(SLOT), NUMBER, ex=60)
    raw.hset(other.key(HASH), FIELD, NUMBER)
    for call in (Call("get", (SLOT,)), Call("hget", (HASH, FIELD)), Call("load")):
        error = witness.call("plain integer", lambda call=call: call.on(other))
        assert isinstance(error, errors.CodecError)
        assert error.plain_integer


def test_refused_commits_show_nothing(witness: Witness, raw: redis.Redis) -> None:
    """Contention, a fence, a nested commit: in events, and in errors."""
    for ns in witness.namespaces:

        def collide(ops: Any, ns: Any = ns) -> Any:
            value = yield "get", SLOT
            raw.set(ns.key(SLOT), f"{VALUE}{value}"[:400], ex=60)

        def nest(ops: Any, ns: Any = ns) -> Any:
            yield ns.namespace.with_cas, SLOT, ns.namespace.with_cas

        assert isinstance(
            witness.call("collide", lambda ns=ns: ns.cas(SLOT, collide, max_retries=1)), errors.CasContentionError
        )
        assert isinstance(witness.call("nest", lambda ns=ns: ns.cas(SLOT, nest)), errors.NestedCasError)
    ns.purge(fence=60)
    writes = [lambda call=call: call.on(ns) for call in calls.OPS]
    for write in (*writes, lambda: ns.cas(SLOT, closure_of(witness, [], calls.OPS))):
        assert isinstance(witness.call("fenced", write), errors.NamespacePurgedError)
    assert witness.close() == 7


def test_an_index_that_is_none_shows_nothing(witness: Witness, raw: redis.Redis) -> None:
    """Another program wrote a string where the index should be: every script fails, and so do the pipelines."""
    ns = witness.namespaces[0]
    raw.set(ns.key("x")[:-1] + "~index", VALUE, ex=60)
    raised = [witness.call(call.method, lambda call=call: call.on(ns)) for call in calls.NAMESPACE]
    assert len([error for error in raised if error is not None]) > 10
    assert witness.call("commit", lambda: ns.cas(SLOT, closure_of(witness, [], calls.OPS))) is not None
    assert witness.face.wait(witness.face.store(witness.prefix).namespaces()) == []


def test_a_mark_is_found_wherever_it_may_be() -> None:
    """The witness sees texts, causes, contexts, notes, attributes and records."""
    for mark in MARKS:
        for hidden in (mark, repr(mark.encode()), mark.encode().hex().upper(), f"x{mark}x"):
            assert marks_in(hidden) == {mark}
    assert marks_in("nothing") == set()
    plain, caused = ValueError("x"), ValueError("x")
    caused.__cause__ = plain.__context__ = RuntimeError(VALUE)
    assert marks_in(text_of(caused)) == marks_in(text_of(plain)) == marks_in(facts_of(plain)) == {VALUE}
    assert marks_in(text_of(errors.WrongTypeError(SLOT, "get"))) == set()
    assert marks_in(facts_of(errors.WrongTypeError(SLOT, "get"))) == {SLOT}
    assert marks_in(facts_of(errors.InvalidNameError("slot", FIELD, "must", "a str"))) == set()


def test_the_witness_tells(face: Face, prefix: str, caplog: pytest.LogCaptureFixture) -> None:
    witness = Witness(face, prefix, caplog)

    def leak() -> None:
        raise ValueError(VALUE)

    witness.call("leak", leak)
    witness.show([VALUE])
    logging.getLogger("any").debug("a %s", "record", extra={"with": SLOT})
    witness._masked.info("session-store: purge", namespace=NAMESPACE)
    witness._plain.info("session-store: purge", namespace=NAMESPACE, key=FIELD)
    witness.close()
    assert witness.found == [
        f"leak raised: {[VALUE]}",
        f"leak raised an error that holds: {[VALUE]}",
        f"the repr of a list: {[VALUE]}",
        f"an event: {[NAMESPACE]}",
        f"an event: {[FIELD]}",
        f"a record of any: {[SLOT]}",
    ]
