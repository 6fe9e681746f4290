"""What writers were told, held against what the servers have in the end. No I/O."""

from __future__ import annotations

import threading
from collections import Counter
from dataclasses import dataclass, field, fields


class Ledger:
    """The answers that came for one namespace. Each call bears a mark of its own.

    - acknowledged: it was done, and must have been done once.
    - unknown: an error that leaves open whether it was done, so it may have been done once.
    - refused: an error that promises that it was not done.
    """

    def __init__(self) -> None:
        self.commits: dict[str, str] = {}  # mark: which of the three
        self.fields: dict[str, str] = {}
        self.ids: list[int] = []
        self.unknown_ids = 0
        self.crossed: list[str] = []  # answers that belong to another call
        self.errors: Counter[str] = Counter()
        self._lock = threading.Lock()

    @property
    def calls(self) -> int:
        return len(self.commits) + len(self.fields) + len(self.ids) + self.unknown_ids

    def note_commit(self, mark: str, answer: str) -> None:
        with self._lock:
            self.commits[mark] = answer

    def note_field(self, mark: str, answer: str) -> None:
        with self._lock:
            self.fields[mark] = answer

    def note_id(self, number: int | None) -> None:
        """None for one that may have been taken."""
        with self._lock:
            if number is None:
                self.unknown_ids += 1
            else:
                self.ids.append(number)

    def note_error(self, error: BaseException) -> None:
        with self._lock:
            self.errors[type(error).__name__] += 1

    def check_answer(self, answer: object, *expected: object) -> None:
        """An answer that no call of this writer can have is another's."""
        if not any(type(answer) is type(each) and answer == each for each in expected):
            with self._lock:
                self.crossed.append(f"{answer!r} instead of {' or '.join(map(repr, expected))}")


@dataclass(frozen=True)
class Found:
    """What the servers have of a namespace: each commit added one to `total` and a mark to `commits`, both or none."""

    total: int
    commits: frozenset[str]
    fields: frozenset[str]
    last_id: int
    without_ttl: int = 0


@dataclass
class Verdict:
    """Sums over any number of namespaces. `lost_` is what asynchronous replication can lose in a failover."""

    calls: int = 0
    commits: int = 0  # acknowledged
    ids: int = 0
    fields: int = 0
    unknown: int = 0  # calls without an answer
    total: int = 0  # the final values
    doubled: int = 0  # done twice, or torn in half
    undead: int = 0  # done, although an error said that they were not
    lost_commits: int = 0
    repeated_ids: int = 0
    lost_fields: int = 0
    without_ttl: int = 0
    crossed: int = 0
    errors: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Verdict) -> Verdict:
        return Verdict(*(getattr(self, each.name) + getattr(other, each.name) for each in fields(self)))

    def wrong(self, *, replication_may_lose: bool = False) -> dict[str, int]:
        """What is not 0 and must be. Fields are written without waiting for a replica in every store."""
        names = ["doubled", "undead", "without_ttl", "crossed"]
        if not replication_may_lose:
            names += ["lost_commits", "repeated_ids"]
        return {name: getattr(self, name) for name in names if getattr(self, name)}


def judge(ledger: Ledger, found: Found) -> Verdict:
    """What became of the calls of one namespace."""
    answers = Counter(ledger.commits.values()) + Counter(ledger.fields.values())
    told = {answer: {mark for mark, each in ledger.commits.items() if each == answer} for answer in answers}
    acknowledged, refused = told.get("acknowledged", set()), told.get("refused", set())
    acknowledged_fields = {mark for mark, each in ledger.fields.items() if each == "acknowledged"}
    ids_too_many = max(0, found.last_id - len(ledger.ids) - ledger.unknown_ids)
    # An id beyond the counter will be given out again.
    repeated = len(ledger.ids) - len(set(ledger.ids)) + sum(number > found.last_id for number in set(ledger.ids))
    return Verdict(
        calls=ledger.calls,
        commits=len(acknowledged),
        ids=len(ledger.ids),
        fields=len(acknowledged_fields),
        unknown=answers["unknown"] + ledger.unknown_ids,
        total=found.total,
        doubled=abs(found.total - len(found.commits)) + len(found.commits - ledger.commits.keys()) + ids_too_many,
        undead=len(found.commits & refused),
        lost_commits=len(acknowledged - found.commits),
        repeated_ids=repeated,
        lost_fields=len(acknowledged_fields - found.fields),
        without_ttl=found.without_ttl,
        crossed=len(ledger.crossed),
        errors=ledger.errors,
    )
