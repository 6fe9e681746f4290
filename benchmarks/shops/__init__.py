"""One shop, written for each framework with our sessions and with the sessions that are usual there."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module

from benchmarks.results import OURS
from benchmarks.shops.face import Shop

PLAIN = f"{OURS}, plain assignment"  # as `session["count"] += 1`, where `transaction` would be right


@dataclass(frozen=True)
class Entry:
    """A shop before it is made: its framework, whose sessions, and where its class is."""

    framework: str
    peer: str
    module: str
    kind: str = "Ours"

    def make(self, port: int) -> Shop:
        """The shop, on the server of that port."""
        made: Shop = getattr(import_module(f"benchmarks.shops.{self.module}"), self.kind)(port)
        return made


SHOPS = (
    Entry("Starlette", OURS, "on_starlette"),
    Entry("Starlette", PLAIN, "on_starlette", "Plain"),
    Entry("Starlette", "starsessions", "on_starlette", "Starsessions"),
    Entry("FastAPI", OURS, "on_fastapi"),
    Entry("FastAPI", "fastapi-redis-sdk", "on_fastapi", "Sdk"),
    Entry("Litestar", OURS, "on_litestar"),
    Entry("Litestar", "Litestar's own", "on_litestar", "Own"),
    Entry("Flask", OURS, "on_flask"),
    Entry("Flask", "Flask-Session", "on_flask", "FlaskSession"),
    Entry("Django", OURS, "on_django"),
    Entry("Django", "cached sessions, django-redis", "on_django", "Cached"),
)
