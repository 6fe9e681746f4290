"""Odd names, many of them: no two triples share a key, one call is one command, and no pattern reaches a neighbour.

    python tests/security/fuzz.py [--inputs 200000] [--seed S]

An input is a prefix, a namespace, a slot and a field. Inputs come in batches that share a server: each is written and
read through a store, what is on the wire is looked at byte by byte, and the server must then hold what docs/namespaces.md says,
and nothing else. After that some namespaces are touched and purged with a scan, which must not reach the others.
"""

from __future__ import annotations

import argparse
import random
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest
import redis
from hypothesis import HealthCheck, Phase, given, seed, settings

if __name__ == "__main__":
    sys.path.insert(0, str(Path(__file__).parents[1]))  # `security` and `support` are found there

from security.faces import TTL, Closure, Face, facing
from security.inputs import BATCH, INJECTION, Input, batches, wrong_argument
from security.wire import Wire
from support.servers import Server

from session_store import InvalidNameError

RENEWED = 5_000  # seconds
Home = tuple[str, str, bool]
Held = dict[bytes, dict[bytes, bytes]]  # the hashes on the server, by key


class Fuzz:
    """Checks batches, and counts what it has seen. `owners`: whose key each is, over all batches."""

    def __init__(self, face: Face, raw: redis.Redis, wire: Wire) -> None:
        self._face, self._raw, self._wire = face, raw, wire
        self.owners: dict[bytes, tuple[Home, str | None]] = {}
        self.inputs = self.accepted = self.scans = 0
        self.different: set[int] = set()  # the hashes of inputs
        warm_up = face.namespace("warm-up", "u")  # from now on the server knows the scripts
        warm_up.cas("a", commit_of("a", "f", "1"))
        warm_up.hset("a", "f", "1")

    def check(self, batch: list[Input]) -> None:
        self._raw.flushdb()
        expected: dict[Home, Held] = defaultdict(dict)
        for number, each in enumerate(batch):
            self.inputs += 1
            self.different.add(hash(each))
            if self._call(each, f"{number}{INJECTION}", in_commit=number == 0 and wrong_argument(each) != "field"):
                self.accepted += 1
                fields = expected[each.home].setdefault(each.key, {})
                fields[each.field.encode()] = f"{number}{INJECTION}".encode()
        assert self._held() == merged(expected.values())
        self._check_namespaces(expected)
        if expected:
            self._check_scans(next(iter(expected)), expected)

    def _call(self, each: Input, value: str, *, in_commit: bool) -> bool:
        """Writes and reads a field. False when a name was refused, as it should be."""
        self._wire.clear()
        wrong = wrong_argument(each)
        try:
            ns = self._face.namespace(each.prefix, each.namespace, hash_tags=each.hash_tags)
            self._own(each, ns.key(each.slot))
            if in_commit:
                ns.cas(each.slot, commit_of(*each[2:4], value))
            else:
                ns.hset(each.slot, each.field, value)
        except InvalidNameError as error:
            assert (error.argument, self._wire.commands) == (wrong, [])
            return False
        assert wrong is None
        assert self._wire.writes == (COMMIT if in_commit else SCRIPT)
        scripts = [command for write in self._wire.commands for command in write if command[0] == b"EVALSHA"]
        index = index_beside(each.key)
        keys = [command[3 : 3 + int(command[2])] for command in scripts]
        assert keys == [(index, each.key)] * len(scripts)
        assert scripts[-1][-2:] == (each.field.encode(), value.encode())
        self._wire.clear()
        assert ns.hget(each.slot, each.field) == value
        assert self._wire.commands == [[(b"HGET", each.key, each.field.encode())]]
        return True

    def _own(self, each: Input, key: str) -> None:
        """A key and the index belong to nobody else, and tell whose they are."""
        assert key.encode() == each.key
        prefix, namespace, slot = key.split(":", 2)
        assert (prefix, namespace.strip("{}") if each.hash_tags else namespace, slot) == each[:3]
        for written, slot_of in ((each.key, each.slot), (index_beside(each.key), None)):
            assert self.owners.setdefault(written, (each.home, slot_of)) == (each.home, slot_of)

    def _held(self) -> Held:
        """What the server holds, without indexes."""
        return self._of_all("HGETALL")

    def _of_all(self, command: str) -> dict[bytes, Any]:
        """What the server says of every slot's key."""
        keys = [key for key in self._raw.scan_iter(count=1000) if key.split(b":", 2)[2] != b"~index"]
        with self._raw.pipeline(transaction=False) as pipeline:
            for key in keys:
                pipeline.execute_command(command, key)
            return dict(zip(keys, pipeline.execute(), strict=True))

    def _check_namespaces(self, expected: dict[Home, Held]) -> None:
        stores: dict[tuple[str, bool], set[str]] = defaultdict(set)
        for prefix, namespace, hash_tags in expected:
            stores[prefix, hash_tags].add(namespace)
        for (prefix, hash_tags), names in stores.items():
            found = self._face.wait(self._face.store(prefix, hash_tags=hash_tags).namespaces())
            assert set(found) == names

    def _check_scans(self, home: Home, expected: dict[Home, Held]) -> None:
        """Touching and purging reach all of a namespace, and nothing beside it."""
        self.scans += 1
        prefix, namespace, hash_tags = home
        ns = self._face.namespace(prefix, namespace, hash_tags=hash_tags)
        mine = expected.pop(home)
        assert ns.slots() == sorted(key.split(b":", 2)[2].decode() for key in mine)
        index = index_beside(next(iter(mine)))
        self._raw.delete(index)  # so that only the scan can find them
        assert ns.touch(ttl=RENEWED, scan=True) == len(mine)
        assert {key for key, left in self._of_all("TTL").items() if left > TTL} == set(mine)
        self._raw.delete(index)
        assert ns.purge(scan=True) == len(mine)
        assert self._held() == merged(expected.values())


SCRIPT = [("EVALSHA",)]
COMMIT = [("EVALSHA",), ("EVALSHA",)]


def commit_of(slot: str, field: str, value: str) -> Closure:
    def fn(ops: Any) -> Any:
        yield "exists", slot
        ops.hset(slot, field, value)

    return fn


def index_beside(key: bytes) -> bytes:
    """The key of the index that names a slot's key."""
    return b":".join((*key.split(b":", 2)[:2], b"~index"))


def merged(parts: Iterable[Held]) -> Held:
    return {key: fields for part in parts for key, fields in part.items()}


ALL_PHASES = (Phase.generate, Phase.shrink)


def drawn(
    count: int, chosen: int, check: Callable[[list[Input]], object], phases: Sequence[Phase] = ALL_PHASES
) -> None:
    """Checks so many inputs, drawn from a seed."""

    @seed(chosen)
    @settings(
        max_examples=count // BATCH,
        deadline=None,
        database=None,
        phases=phases,
        suppress_health_check=list(HealthCheck),
    )
    @given(batches())
    def check_one(batch: list[Input]) -> None:
        check(batch)

    check_one()


def run(count: int, chosen: int, flavour: str, phases: Sequence[Phase] = ALL_PHASES) -> Fuzz:
    """Checks so many inputs, drawn from a seed, on a server of its own."""
    server = Server()
    try:
        with (
            pytest.MonkeyPatch.context() as patch,
            redis.Redis(port=server.port) as raw,
            facing(flavour, server.port) as face,
        ):
            fuzz = Fuzz(face, raw, Wire(patch))
            drawn(count, chosen, fuzz.check, phases)
    finally:
        server.stop()
    return fuzz


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=200_000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    given_ = parser.parse_args()
    print(f"seed {given_.seed}", flush=True)
    for flavour, share in (("sync", 0.8), ("async", 0.2)):
        began = time.monotonic()
        fuzz = run(int(given_.inputs * share), given_.seed, flavour)
        print(
            f"{flavour}: {fuzz.inputs} inputs, {len(fuzz.different)} different ones, {fuzz.accepted} allowed, "
            f"{len(fuzz.owners)} keys, {fuzz.scans} namespaces scanned, {time.monotonic() - began:.0f} s",
            flush=True,
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
