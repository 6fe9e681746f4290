"""`EncryptedCodec`, and a codec of one's own that depends on the place, in stores of either flavour."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import pytest
import redis
from security.faces import Face, NamespaceFace

from session_store import CodecError, EncryptedCodec, JsonCodec, TextCodec, WrongTypeError
from session_store.codecs import Place

KEYS = [os.urandom(32)]
SECRET = "4242-4242"
LARGE = SECRET + "x" * 70_000  # more than an attempt of with_cas is sent along


@pytest.fixture
def ns(face: Face, raw: redis.Redis, prefix: str) -> NamespaceFace:
    """`raw` is asked for since it removes the keys."""
    return face.namespace(prefix, "u", codec=EncryptedCodec(TextCodec(), keys=KEYS))


def held(raw: redis.Redis, prefix: str) -> Iterator[bytes]:
    """All that the server holds under a prefix: keys, fields and values."""
    for key in raw.scan_iter(match=f"{prefix}*", count=1000):
        yield key
        if raw.type(key) == b"hash":
            for pair in raw.hgetall(key).items():
                yield from pair
        else:
            yield raw.get(key)


def test_values_travel_encrypted_through_every_method(ns: NamespaceFace, raw: redis.Redis, prefix: str) -> None:
    ns.set("card", SECRET)
    ns.hset("form", "card", SECRET)
    ns.hset("form", mapping={"": SECRET, "name": f"Ada {SECRET}"})
    assert ns.get("card") == ns.hget("form", "card") == ns.hget("form", "") == SECRET
    assert ns.hmget("form", ["name", "no", "card"]) == [f"Ada {SECRET}", None, SECRET]
    assert ns.hgetall("form") == {"card": SECRET, "": SECRET, "name": f"Ada {SECRET}"}
    assert ns.get("no") is ns.hget("form", "no") is None
    assert not any(SECRET.encode() in each for each in held(raw, prefix))


@pytest.mark.parametrize("watched", [["card", "form", "large"], ["elsewhere"]])
def test_a_commit_reads_and_writes_them(ns: NamespaceFace, raw: redis.Redis, prefix: str, watched: list[str]) -> None:
    """Whether its snapshot has the slots, or reads them when asked."""
    ns.set("card", SECRET)
    ns.set("large", LARGE)
    ns.hset("form", mapping={"card": SECRET, "": SECRET})

    def fn(ops: Any) -> Any:
        assert (yield "get", "card") == SECRET
        assert (yield "get", "large") == LARGE
        assert (yield "hget", "form", "card") == SECRET
        assert (yield "hmget", "form", ["", "no"]) == [SECRET, None]
        fields = yield "hgetall", "form"
        ops.set("copy", fields["card"])
        ops.hset("copies", mapping=fields)
        ops.hset("copies", "one more", fields[""])

    ns.cas(watched, fn)
    assert ns.get("copy") == SECRET
    assert ns.hgetall("copies") == dict.fromkeys(("card", "", "one more"), SECRET)
    assert not any(SECRET.encode() in each for each in held(raw, prefix))


@pytest.mark.parametrize("plain_integers", [False, True])
def test_a_value_that_was_moved_does_not_open(face: Face, raw: redis.Redis, prefix: str, plain_integers: bool) -> None:
    """By who can write to the database: to another field, slot, session or prefix, from a hash, or into one."""
    codec = EncryptedCodec(TextCodec(), keys=KEYS, plain_integers=plain_integers)
    ns = face.namespace(prefix, "u", codec=codec)
    ns.set("a", SECRET)
    ns.hset("h", "f", SECRET)
    text, field = raw.get(ns.key("a")), raw.hget(ns.key("h"), "f")
    neighbour = face.namespace(prefix, "v", codec=codec)
    elsewhere = face.namespace(f"{prefix}-", "u", codec=codec)
    raw.set(ns.key("b"), text)
    raw.set(ns.key("from-field"), field)
    raw.set(neighbour.key("a"), text)
    raw.set(elsewhere.key("a"), text)
    raw.hset(ns.key("h"), mapping={"g": field, "": text})
    raw.hset(ns.key("i"), "f", field)
    raw.hset(neighbour.key("h"), "f", field)
    calls = [
        *(lambda slot=slot: ns.get(slot) for slot in ("b", "from-field")),
        *(lambda field=field: ns.hget("h", field) for field in ("g", "")),
        lambda: ns.hget("i", "f"),
        lambda: ns.hgetall("h"),
        lambda: ns.hmget("h", ["f", "g"]),
        lambda: neighbour.get("a"),
        lambda: neighbour.hget("h", "f"),
        lambda: elsewhere.get("a"),
    ]
    for call in calls:
        with pytest.raises(CodecError) as caught:
            call()
        assert str(caught.value) == "the codec cannot read what the slot holds (attribute key tells the slot)"
        assert vars(caught.value).keys() == {"key", "plain_integer"}
        assert (caught.value.plain_integer, caught.value.__cause__, caught.value.__context__) == (False, None, None)
    assert ns.get("a") == ns.hget("h", "f") == SECRET


def test_a_cluster_s_key_is_the_same_place(face: Face, ns: NamespaceFace, raw: redis.Redis, prefix: str) -> None:
    """So that data can move to a cluster, and back."""
    ns.hset("h", "f", SECRET)
    tagged = face.namespace(prefix, "u", codec=EncryptedCodec(TextCodec(), keys=KEYS), hash_tags=True)
    assert tagged.key("h") != ns.key("h")
    raw.hset(tagged.key("h"), "f", raw.hget(ns.key("h"), "f"))
    assert tagged.hget("h", "f") == SECRET


def test_counters_stay_integers(ns: NamespaceFace) -> None:
    """The server adds to them, so they are not encrypted, and are no values of the codec."""
    assert [ns.incr("id"), ns.incr("id", 5)] == [1, 6]
    assert [ns.hincrby("h", "f", 7), ns.hincrby("h", "f", 0)] == [7, 7]
    ns.hset("h", "g", "7")
    with pytest.raises(WrongTypeError):
        ns.hincrby("h", "g")


@pytest.mark.parametrize(
    ("call", "counters"),
    [
        (("get", "id"), ["id"]),
        (("hget", "h", "f"), ["h"]),
        (("hmget", "h", ["card", "f"]), ["h"]),
        (("hgetall", "h"), ["h"]),
        (("load", "card", "id"), ["id"]),
        (("load", "card", "h"), ["h"]),
        (("load",), ["h", "id"]),
    ],
    ids=str,
)
def test_the_error_of_a_counter_says_what_it_is_and_where(ns: NamespaceFace, call: Any, counters: list[str]) -> None:
    """And its neighbours can be read by their names."""
    ns.set("card", SECRET)
    ns.hset("h", "card", SECRET)
    ns.incr("id", 7)
    ns.hincrby("h", "f", 7)
    method, *args = call
    reads = [lambda: getattr(ns, method)(*args)]
    if method != "load":
        reads.append(lambda: ns.cas(["id", "h"], lambda ops: (yield call)))
    for read in reads:
        with pytest.raises(CodecError, match="holds a plain integer, as incr and hincrby write it") as caught:
            read()
        assert caught.value.plain_integer
        assert caught.value.key in {ns.key(slot) for slot in counters}
        assert caught.value.__cause__ is caught.value.__context__ is None
    assert (ns.load("card"), ns.hmget("h", ["card"]), ns.hincrby("h", "f", 0)) == ({"card": SECRET}, [SECRET], 7)


@pytest.mark.parametrize("inner", [TextCodec(), JsonCodec()], ids=repr)
def test_counters_read_back_when_asked_for(face: Face, raw: redis.Redis, prefix: str, inner: Any) -> None:
    """As what the inner codec makes of their digits, beside what is encrypted, in every read."""
    ns = face.namespace(prefix, "u", codec=EncryptedCodec(inner, keys=KEYS, plain_integers=True))
    seven, minus_one = (7, -1) if isinstance(inner, JsonCodec) else ("7", "-1")
    ns.set("card", SECRET)
    ns.hset("h", "card", SECRET)
    ns.incr("id", 7)
    ns.hincrby("h", "f", -1)

    def fn(ops: Any) -> Any:
        fields = yield "hgetall", "h"
        assert ((yield "get", "id"), fields) == (seven, {"card": SECRET, "f": minus_one})
        ops.hset("copy", mapping=fields)

    ns.cas(["id", "h"], fn)
    assert (ns.get("id"), ns.hget("h", "f"), ns.hmget("h", ["f", "card"])) == (seven, minus_one, [minus_one, SECRET])
    fields = {"card": SECRET, "f": minus_one}
    assert ns.load() == {"card": SECRET, "h": fields, "id": seven, "copy": fields}
    assert raw.hget(ns.key("copy"), "f")[:1] == b"\x01"  # what is set is encrypted, an integer too
    with pytest.raises(WrongTypeError):
        ns.hincrby("copy", "f")


def test_a_key_is_rotated_under_living_sessions(face: Face, ns: NamespaceFace, prefix: str) -> None:
    ns.set("a", SECRET)
    newer = os.urandom(32)
    rotating = face.namespace(prefix, "u", codec=EncryptedCodec(TextCodec(), keys=[newer, *KEYS]))
    rotated = face.namespace(prefix, "u", codec=EncryptedCodec(TextCodec(), keys=[newer]))
    assert rotating.get("a") == SECRET
    with pytest.raises(CodecError):
        rotated.get("a")
    rotating.set("a", SECRET)
    assert rotated.get("a") == SECRET
    with pytest.raises(CodecError):
        ns.get("a")


def test_any_inner_codec_will_do(face: Face, raw: redis.Redis, prefix: str) -> None:
    ns = face.namespace(prefix, "u", codec=EncryptedCodec(JsonCodec(), keys=KEYS))
    ns.hset("h", mapping={"a": [1, {"card": SECRET}], "b": None})
    assert ns.hgetall("h") == {"a": [1, {"card": SECRET}], "b": None}
    with pytest.raises(TypeError, match="must be a JSON value"):
        ns.set("a", {1})


class Placing:
    """A codec of one's own: it writes the place down, and takes nothing that was written elsewhere."""

    def __init__(self) -> None:
        self.asked: list[Place] = []

    def at(self, place: Place) -> Placed:
        self.asked.append(place)
        return Placed("/".join(map(str, place)))


class Placed:
    def __init__(self, place: str) -> None:
        self.place = place

    def encode(self, value: str) -> bytes:
        return f"{self.place}={value}".encode()

    def decode(self, data: bytes) -> str:
        place, _, value = data.decode().partition("=")
        if place != self.place:
            raise ValueError("not from here")
        return value


def test_a_codec_of_one_s_own_is_told_the_place(face: Face, raw: redis.Redis, prefix: str) -> None:
    codec = Placing()
    ns = face.namespace(prefix, "u", codec=codec)
    ns.set("a", "1")
    ns.hset("h", mapping={"f": "2", "": "3"})
    assert raw.get(ns.key("a")) == f"{prefix}/u/a/None=1".encode()
    assert raw.hgetall(ns.key("h")) == {b"f": f"{prefix}/u/h/f=2".encode(), b"": f"{prefix}/u/h/=3".encode()}
    assert (ns.get("a"), ns.hgetall("h"), ns.hmget("h", ["", "no", "f"])) == (
        "1",
        {"f": "2", "": "3"},
        ["3", None, "2"],
    )
    assert set(codec.asked) == {Place(prefix, "u", *rest) for rest in (("a", None), ("h", "f"), ("h", ""))}
    raw.set(ns.key("b"), raw.get(ns.key("a")))
    with pytest.raises(CodecError):
        ns.get("b")


@pytest.mark.parametrize("codec", [Placing, EncryptedCodec, object()])
def test_what_is_no_codec_is_refused(face: Face, prefix: str, codec: Any) -> None:
    with pytest.raises(TypeError, match="codec must be an object with encode and decode, or with at"):
        face.store(prefix, codec=codec)
