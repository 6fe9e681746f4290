"""The semantics of a store in plain dicts: what the state machine holds every back end to.

There is no clock. Everything that ends knows how many seconds it has left, and `Model.advance` takes some away.
Texts stand for their bytes in UTF-8; a lone surrogate stands for a byte that is none (Python's "surrogateescape").
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from copy import deepcopy
from datetime import timedelta
from math import inf
from typing import Any

from redis.exceptions import ResponseError

from session_store.errors import (
    CasContentionError,
    CodecError,
    NamespacePurgedError,
    NestedCasError,
    WrongTypeError,
)
from session_store.testing.model._namespace import NamespaceModel, Slot

MOST_BYTES = 65_536  # of a watched slot that a snapshot keeps; a larger one is read when asked for
OUTSIDER = 2  # who is neither store 0 nor store 1, but another program

Ttl = float | timedelta | None


class Reads(ABC):
    """What a namespace and a snapshot answer from their slots."""

    @abstractmethod
    def _space(self, slot: str) -> NamespaceModel:
        """Where a slot is looked up."""

    def _fields(self, slot: str, operation: str) -> dict[str, str]:
        return self._space(slot).content(slot, "hash", operation) or {}

    def get(self, slot: str) -> str | None:
        """A value that the codec cannot read is an error."""
        value: str | None = self._space(slot).content(slot, "string", "get")
        try:
            (value or "").encode()
        except UnicodeEncodeError:
            raise CodecError(self._space(slot).base + slot) from None
        return value

    def exists(self, slot: str) -> bool:
        return slot in self._space(slot).slots

    def kind(self, slot: str) -> str | None:
        """What is not ours is an error."""
        found = self._space(slot).slots.get(slot)
        if found and found.kind == "list":
            raise WrongTypeError(self._space(slot).base + slot, "kind")
        return found.kind if found else None

    def hget(self, slot: str, field: str) -> str | None:
        return self._fields(slot, "hget").get(field)

    def hmget(self, slot: str, fields: Sequence[str]) -> list[str | None]:
        """For no field nothing is read, and no kind is wrong."""
        return [self._fields(slot, "hmget").get(field) for field in fields]

    def hgetall(self, slot: str) -> dict[str, str]:
        return dict(self._fields(slot, "hgetall"))

    def hkeys(self, slot: str) -> list[str]:
        return list(self._fields(slot, "hkeys"))

    def hlen(self, slot: str) -> int:
        return len(self._fields(slot, "hlen"))

    def hexists(self, slot: str, field: str) -> bool:
        return field in self._fields(slot, "hexists")


class Snapshot(Reads):
    """The watched slots as they were when the attempt began, the others as they are; a large one is not kept."""

    def __init__(self, model: Model, name: str, watched: Sequence[str]) -> None:
        self._model, self._name = model, name
        self._then = deepcopy(model.spaces[name])
        slots = self._then.slots
        self._large = {each for each in watched if each in slots and size(slots[each]) > MOST_BYTES}
        self._kept = set(watched) - self._large
        self.is_lost = False  # a large slot was read, and held something else

    def _space(self, slot: str) -> NamespaceModel:
        now = self._model.spaces[self._name]
        self.is_lost |= slot in self._large and held(now, slot) != held(self._then, slot)
        return self._then if slot in self._kept else now


def held(space: NamespaceModel, name: str) -> object:
    """What a slot holds, which is what decides whether an attempt is lost."""
    slot = space.slots.get(name)
    return slot and (slot.kind, deepcopy(slot.value))


def size(slot: Slot) -> int:
    """Bytes of what a slot holds."""
    parts = [*slot.value, *slot.value.values()] if slot.kind == "hash" else [slot.value]
    return sum(len(part.encode(errors="surrogateescape")) for part in parts) if slot.kind != "list" else 0


class Ops:
    """What a closure records."""

    def __init__(self) -> None:
        self.recorded: list[tuple[Any, ...]] = []  # verb, slot, TTL, arguments

    def set(self, slot: str, value: str, *, ttl: Ttl = None) -> None:
        self.recorded.append(("set", slot, ttl, value))

    def delete(self, slot: str) -> None:
        self.recorded.append(("delete", slot, None))

    def hset(
        self, slot: str, field: str = "", value: str = "", *, mapping: dict[str, str] | None = None, ttl: Ttl = None
    ) -> None:
        self.recorded.append(("hset", slot, ttl, mapping or {field: value}))

    def hdel(self, slot: str, *fields: str, ttl: Ttl = None) -> None:
        self.recorded.append(("hdel", slot, ttl, *fields))


class ModelNamespace(Reads):
    """The methods of a `Namespace`. What they check before any I/O is not modelled."""

    def __init__(self, model: Model, who: int, name: str, *, existing: bool) -> None:
        self.name = name
        self._model, self._who, self._existing = model, who, existing

    def key(self, slot: str) -> str:
        return self._space(slot).base + slot

    def _space(self, slot: str = "") -> NamespaceModel:
        return self._model.spaces[self.name]

    def _apply(self, *operations: tuple[Any, ...]) -> list[Any]:
        """All operations in their order, or none. A fence refuses them before they are looked at."""
        self._refuse_if_ended()
        space = deepcopy(self._space())
        results = [getattr(space, verb)(slot, self._model.seconds(ttl), *args) for verb, slot, ttl, *args in operations]
        self._model.spaces[self.name] = space
        space.record()
        return results

    def _refuse_if_ended(self, *, creates: bool = False) -> None:
        if self._space().fence_left > 0 or (self._existing and not creates and self._space().until_left <= 0):
            raise NamespacePurgedError(self.name)

    def create(self, *, lifetime: float | timedelta) -> bool:
        self._refuse_if_ended(creates=True)
        return self._space().create(self._model.seconds(lifetime), self._model.seconds(None))

    def _apply_one(self, *operation: Any) -> Any:
        """A single call, which is on record when it is refused, too."""
        try:
            return self._apply(operation)[0]
        except (WrongTypeError, ResponseError):
            self._space().record()
            raise

    def set(self, slot: str, value: str, *, ttl: Ttl = None, nx: bool = False, xx: bool = False) -> bool:
        return bool(self._apply_one("set", slot, ttl, value, "nx" if nx else "xx" if xx else ""))

    def delete(self, slot: str) -> bool:
        return bool(self._apply_one("delete", slot, None))

    def hset(
        self, slot: str, field: str = "", value: str = "", *, mapping: dict[str, str] | None = None, ttl: Ttl = None
    ) -> int:
        return int(self._apply_one("hset", slot, ttl, mapping or {field: value}))

    def hdel(self, slot: str, *fields: str) -> int:
        return int(self._apply_one("hdel", slot, None, *fields))

    def hincrby(self, slot: str, field: str, amount: int = 1) -> int:
        return int(self._apply_one("hincrby", slot, None, field, amount))

    def incr(self, slot: str, amount: int = 1) -> int:
        return int(self._apply_one("incr", slot, None, amount))

    def ttl(self, slot: str) -> float | None:
        found = self._space().slots.get(slot)
        return found.left if found else None

    def touch(self, *, ttl: Ttl = None, scan: bool = False) -> int:
        return self._space().touch(self._model.seconds(ttl), scan=scan)

    def purge(self, *, fence: Ttl = None, scan: bool = False) -> int:
        return self._space().purge(0 if fence is None else self._model.seconds(fence), scan=scan)

    def slots(self) -> list[str]:
        return self._space().live()

    def load(self, *slots: str) -> dict[str, Any]:
        """What is not ours is refused before anything is read."""
        found = self._space().slots
        chosen = [name for name in dict.fromkeys(slots or self.slots()) if name in found]
        for name in chosen:
            if found[name].kind == "list":
                raise WrongTypeError(self._space().base + name, "load")
        return {name: self.hgetall(name) if found[name].kind == "hash" else self.get(name) for name in chosen}

    def batch(self, fn: Callable[[Ops], Any]) -> Any:
        """What is recorded, all of it or nothing; a closure that records nothing meets no fence."""
        ops = Ops()
        result = fn(ops)
        if ops.recorded:
            self._apply(*ops.recorded)
        return result

    def with_cas(self, slot: str | Sequence[str], fn: Callable[[Snapshot, Ops], Any], *, max_retries: int) -> Any:
        """An attempt is lost when a watched slot holds something else than when it began; then nothing else of it counts."""
        if (self._who, self.name) in self._model.closures:
            raise NestedCasError(self.name)
        watched = (slot,) if isinstance(slot, str) else tuple(slot)
        for _ in range(max_retries + 1):
            self._refuse_if_ended()
            began = {name: held(self._space(), name) for name in watched}
            snap, ops = Snapshot(self._model, self.name, watched), Ops()
            self._model.closures.add((self._who, self.name))
            try:
                result = fn(snap, ops)
            finally:
                self._model.closures.remove((self._who, self.name))
            if snap.is_lost:
                continue
            self._refuse_if_ended()
            if all(held(self._space(), name) == content for name, content in began.items()):
                if ops.recorded:
                    self._apply(*ops.recorded)
                return result
        raise CasContentionError(self.key(watched[0]), max_retries + 1)


class Outsider:
    """Another program on the same server: plain commands, and no word to the index."""

    def __init__(self, model: Model, name: str) -> None:
        self._model, self._name = model, name

    def delete(self, slot: str) -> None:
        self._model.spaces[self._name].remove(slot)

    def write(self, slot: str, kind: str, value: Any, ttl: float) -> None:
        """Whatever the key held, it now holds this. A slot that had expired is one that the index forgets."""
        space = self._model.spaces[self._name]
        if space.index.get(slot, 0) is None:
            if slot in space.slots:
                space.ends[slot] = inf
            else:
                del space.index[slot]
        space.slots[slot] = Slot(kind, value, ttl)

    def outlive(self, seconds: float) -> None:
        self._model.advance(seconds)


class Model:
    """What two stores of one prefix share: their namespaces, each with what its keys begin with. A store is a 0 or a 1."""

    def __init__(self, bases: Mapping[str, str], default_ttl: float, *, one_client: bool) -> None:
        self.spaces = {name: NamespaceModel(base) for name, base in bases.items()}
        self.closures: set[tuple[int, str]] = set()  # store and namespace of those that run
        self._one_client = one_client  # of both stores: then a closure of one is a closure of the other
        self._default_ttl = default_ttl

    def seconds(self, ttl: Ttl) -> float:
        """A TTL as it was given: seconds, a timedelta, or None for the default."""
        if ttl is None:
            return self._default_ttl
        return ttl.total_seconds() if isinstance(ttl, timedelta) else ttl

    def handle(self, who: int, name: str, *, existing: bool = False) -> ModelNamespace | Outsider:
        if who == OUTSIDER:
            return Outsider(self, name)
        return ModelNamespace(self, 0 if self._one_client else who, name, existing=existing)

    def advance(self, seconds: float) -> None:
        for space in self.spaces.values():
            space.age(seconds)

    def namespaces(self, who: int) -> list[str]:
        """Those with a live slot of the library's."""
        return sorted(name for name, space in self.spaces.items() if space.live())

    def contents(self) -> dict[str, Slot]:
        """What every key holds, but for the index."""
        return {space.base + name: slot for space in self.spaces.values() for name, slot in space.slots.items()}
