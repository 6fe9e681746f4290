"""Makes calls, and looks at all that anybody may come to see of them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any

import structlog
from security.faces import Face, NamespaceFace
from security.marks import DATA, NAMESPACE, SLOT, facts_of, marks_in, text_of, text_of_record

from session_store import fingerprint


class Witness:
    """`found` holds what showed a secret. `namespaces` share one name; together they use every kind of logger."""

    def __init__(self, face: Face, prefix: str, caplog: Any, **settings: Any) -> None:
        self.face, self.prefix, self.settings = face, prefix, settings
        self.found: list[str] = []
        self.errors: list[BaseException] = []
        self._caplog = caplog
        self._plain = structlog.testing.CapturingLogger()  # of a store that shows names as they are
        self._masked = structlog.testing.CapturingLogger()
        caplog.set_level(logging.DEBUG)
        standard = logging.getLogger("shop")
        self.namespaces = [self.namespace(logger=logger, log_name=fingerprint) for logger in (self._masked, standard)]
        self.namespaces.append(self.namespace(logger=self._plain))

    def namespace(self, **settings: Any) -> NamespaceFace:
        return self.face.namespace(self.prefix, NAMESPACE, **{**self.settings, **settings})

    def call(self, what: str, fn: Callable[[], Any]) -> BaseException | None:
        """Makes a call, and looks at what it raises, which it returns."""
        try:
            fn()
        except Exception as error:
            self.errors.append(error)
            self.note(f"{what} raised", marks_in(text_of(error)))
            self.note(f"{what} raised an error that holds", marks_in(facts_of(error), DATA))
            return error
        return None

    def note(self, where: str, marks: set[str]) -> None:
        if marks:
            self.found.append(f"{where}: {sorted(marks)}")

    def show(self, *things: object) -> None:
        """Looks at the reprs of things."""
        for thing in things:
            self.note(f"the repr of a {type(thing).__name__}", marks_in(f"{thing!r} {thing}"))

    def close(self) -> int:
        """Looks at the logs, of everybody. The number of events."""
        names = {NAMESPACE, SLOT}  # a store without log_name shows them
        for calls, allowed in ((self._masked.calls, set()), (self._plain.calls, names)):
            for call in calls:
                self.note("an event", marks_in(repr(call)) - allowed)
        for record in self._caplog.records:
            self.note(f"a record of {record.name}", marks_in(text_of_record(record)))
        shop = [record for record in self._caplog.records if record.name == "shop"]
        return len(self._masked.calls) + len(self._plain.calls) + len(shop)
