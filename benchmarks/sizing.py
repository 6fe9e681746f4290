"""What a deployment takes, worked out from what capacity.py has measured: memory, server time, nodes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any, NamedTuple

GIB = 2**30
HASH_SLOTS = 16_384  # of a cluster
SLOT_BYTES = (
    2_000  # of a hash slot that has keys: Redis 8.0 keeps statistics for each. Redis 7.0 has 16 bytes a key instead
)
BRACES = 2  # bytes, around the namespace's name
PLACE = 8  # bytes: a pointer in a hash table of the server


@dataclass(frozen=True)
class Shape:
    """What is in one namespace: so many parts of so many bytes."""

    count: int
    size: int


@dataclass(frozen=True)
class Weight:
    """What so many namespaces of a shape took on a server: bytes each, without the server's tables, and keys each."""

    kind: str
    shape: Shape
    namespaces: int
    bytes: float
    keys: float


@dataclass(frozen=True)
class Time:
    """Microseconds of the server's main thread for a call, of 50 at once: on a connection each, or together on one."""

    kind: str
    operation: str
    shape: Shape
    apart_us: float
    together_us: float


@dataclass(frozen=True)
class Assumptions:
    """What no measurement here can tell, and everybody has to decide.

    - `node_memory_gib`: of the machine that a primary has for itself; a replica has another one of that size.
    - `reserve_percent`: of it that is kept free: buffers of clients and replicas, pages that are copied while a fork saves.
    - `fragmentation`: what the process takes for each byte that it uses (`mem_fragmentation_ratio`).
    - `replicas`: of each primary.
    - `busy_percent`: of the time of a primary's main thread that is used at the busiest hour.
    - `reads_per_hour`, `writes_per_hour`: for each namespace that lives, on average, at the busiest hour.
    """

    node_memory_gib: float = 32
    reserve_percent: float = 30
    fragmentation: float = 1.1
    replicas: int = 1
    busy_percent: float = 50
    reads_per_hour: float = 10
    writes_per_hour: float = 2

    @property
    def room(self) -> float:
        """Bytes of data that a primary may hold."""
        return self.node_memory_gib * GIB * (1 - self.reserve_percent / 100) / self.fragmentation


@dataclass(frozen=True)
class Formula:
    """Bytes of a namespace: `fixed + count * (each + per_byte * size)`. `worst`: the largest deviation from what was measured."""

    fixed: float
    each: float
    per_byte: float
    keys_fixed: float
    keys_each: float
    worst: float = 0

    def bytes(self, shape: Shape) -> float:
        """Without the tables of the server."""
        return self.fixed + shape.count * (self.each + self.per_byte * shape.size)

    def keys(self, shape: Shape) -> float:
        """How many there are of one namespace."""
        return self.keys_fixed + shape.count * self.keys_each

    def total(self, shape: Shape, namespaces: float, *, cluster: bool = False) -> float:
        """Bytes on all primaries. In a cluster keys have braces, and hash slots tables of their own."""
        keys = namespaces * self.keys(shape)
        if not cluster:
            return namespaces * self.bytes(shape) + tables(keys)
        used = HASH_SLOTS * -math.expm1(-namespaces / HASH_SLOTS)
        return namespaces * self.bytes(shape) + keys * BRACES + tables(keys, HASH_SLOTS) + used * SLOT_BYTES


def tables(keys: float, parts: int = 1) -> float:
    """Bytes of the tables that the server finds keys and their TTLs in: each has places for the next power of two."""
    return 2 * parts * PLACE * 2 ** math.ceil(math.log2(max(keys / parts, 4))) if keys else 0


def fitted(weights: Sequence[Weight]) -> Formula:
    """The formula whose largest relative errors are least, by least squares of them."""
    single = all(weight.shape.count == 1 for weight in weights)

    def terms(shape: Shape) -> list[float]:
        return [1.0, float(shape.size)] if single else [1.0, float(shape.count), float(shape.count * shape.size)]

    rows = [[term / weight.bytes for term in terms(weight.shape)] for weight in weights]
    found = _least_squares(rows, [1.0] * len(rows))
    fixed, each, per_byte = (found[0], 0.0, found[1]) if single else found
    counts = sorted(weights, key=lambda weight: weight.shape.count)
    few, many = counts[0], counts[-1]
    step = 0.0 if single else (many.keys - few.keys) / (many.shape.count - few.shape.count)
    formula = Formula(fixed, each, per_byte, few.keys - few.shape.count * step, step)
    worst = max(abs(formula.bytes(weight.shape) / weight.bytes - 1) for weight in weights)
    return Formula(**{**asdict(formula), "worst": worst})


def _least_squares(rows: list[list[float]], goals: list[float]) -> list[float]:
    """What the columns are multiplied by, so that the rows come close to the goals: the normal equations, by elimination."""
    size = range(len(rows[0]))
    system = [
        [sum(row[i] * row[j] for row in rows) for j in size]
        + [sum(row[i] * goal for row, goal in zip(rows, goals, strict=True))]
        for i in size
    ]
    for i in size:
        pivot = max(range(i, len(system)), key=lambda at: abs(system[at][i]))
        system[i], system[pivot] = system[pivot], system[i]
        for j in size:
            if j != i:
                factor = system[j][i] / system[i][i]
                system[j] = [a - factor * b for a, b in zip(system[j], system[i], strict=True)]
    return [system[i][-1] / system[i][i] for i in size]


class Example(NamedTuple):
    """A namespace as applications have it, what one read and one write of it are, and its line in the plot."""

    kind: str
    shape: Shape
    told: str
    read: str
    write: str
    colour: str
    mark: str


EXAMPLES = (
    Example("slots", Shape(4, 200), "4 slots of 200 bytes", "get", "set", "#0072b2", "s"),
    Example("web", Shape(5, 25), "web session of a user, 5 keys of 25 bytes", "page view", "save", "#c0392b", "o"),
    Example("conversation", Shape(100, 500), "conversation of 100 messages of 500 bytes", "latest 50", "append", "#1e8449", "D"),
    Example("snapshot", Shape(1, 10_000), "snapshot of 10,000 bytes", "load", "save", "#d68910", "^"),
    Example("channel", Shape(1_000, 20), "channel with 1,000 events of 20 bytes", "read 100", "publish", "#6c3483", "v"),
)  # fmt: skip


class Model:
    """What capacity.json holds, and what follows from it."""

    def __init__(self, run: dict[str, Any], given: Assumptions) -> None:
        self.run, self.given = run, given
        self.weights = [Weight(**{**each, "shape": Shape(**each["shape"])}) for each in run["weights"]]
        self.times = [Time(**{**each, "shape": Shape(**each["shape"])}) for each in run["times"]]
        kinds = dict.fromkeys(weight.kind for weight in self.weights)
        self.formulas = {kind: fitted([each for each in self.weights if each.kind == kind]) for kind in kinds}

    def total(self, example: Example, namespaces: float, *, cluster: bool = False) -> float:
        """Bytes of data, on all primaries together."""
        return self.formulas[example.kind].total(example.shape, namespaces, cluster=cluster)

    def predicted(self, check: dict[str, Any]) -> float:
        """Bytes that a server would take that was filled to check it."""
        formula, shape = self.formulas[check["kind"]], Shape(**check["shape"])
        return formula.total(shape, check["namespaces"], cluster=check["cluster"])

    def time(self, example: Example, operation: str) -> Time:
        """What an operation takes, as it was measured for that shape."""
        asked = (example.kind, operation, example.shape)
        return next(each for each in self.times if (each.kind, each.operation, each.shape) == asked)

    def busy(self, example: Example) -> float:
        """The share of a server's time that one namespace takes."""
        read, write = (self.time(example, name).apart_us for name in (example.read, example.write))
        return (self.given.reads_per_hour * read + self.given.writes_per_hour * write) / 3600e6

    def by_memory(self, example: Example, namespaces: float) -> float:
        """Primaries that hold so many."""
        one = self.total(example, namespaces) / self.given.room
        return one if one <= 1 else max(1.0, self.total(example, namespaces, cluster=True) / self.given.room)

    def by_time(self, example: Example, namespaces: float) -> float:
        """Primaries that keep up with so many."""
        return namespaces * self.busy(example) / (self.given.busy_percent / 100)

    def held(self, example: Example, nodes: int) -> float:
        """Namespaces that so many primaries hold."""
        low, high = 1.0, 1e13
        while high / low > 1.0001:
            middle = math.sqrt(low * high)
            fits = self.total(example, middle, cluster=nodes > 1) <= nodes * self.given.room
            low, high = (middle, high) if fits else (low, middle)
        return low

    def kept_up_with(self, example: Example, nodes: int) -> float:
        """Namespaces that so many primaries keep up with."""
        return nodes * self.given.busy_percent / 100 / self.busy(example)
