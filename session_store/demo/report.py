"""What the demo says, in 90 columns."""

from __future__ import annotations

import math
from collections.abc import Sequence

from session_store.demo.lifecycle import TOUCH_TTL, Session
from session_store.demo.promise import Promise
from session_store.demo.writers import PRICES, WRITES, Basket, Way

_HEADINGS = ("way", "writes sent", "writes kept", "writes lost", "retries", "TTL left")


def opening(place: str, prefix: str) -> str:
    """What is going to happen, and where."""
    return (
        f"session_store demo, {place}\n"
        f"Every key begins with {prefix}: and is removed at the end.\n\n"
        f"Two tabs and a webhook write to one basket, {WRITES} times each. Before every write they\n"
        "wait for one another, as if all had clicked at once."
    )


def _row(way: Way) -> tuple[str, ...]:
    ttl = "none" if way.ttl is None or math.isinf(way.ttl) else f"{way.ttl:.0f} s"
    return (way.name, str(way.sent), str(way.kept), str(way.sent - way.kept), str(way.retries), ttl)


def table(basket: Basket) -> str:
    """The three ways, side by side, and what each is."""
    rows = [_HEADINGS, *map(_row, basket.ways)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    rows.insert(1, tuple("-" * width for width in widths))
    aligned = [
        "  ".join(
            [row[0].ljust(widths[0]), *(cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True))]
        )
        for row in rows
    ]
    lost = basket.ways[0].sent - basket.ways[0].kept
    looks = f"wrong at {basket.torn} looks" if basket.torn else "the sum of its lines at every look"
    notes = (
        f"one JSON blob  GET, change, SET: the last to write wipes out the others. {lost} writes are gone,",
        "               and nobody was told: this is what the library is there for.",
        "field writes   hincrby: each writer has a field of its own, and nothing to read before.",
        "with_cas       A line and the total change together; who was overtaken tries again.",
        f"               The total is {basket.total / 100:,.2f} in the end, and was {looks}.",
    )
    return "\n".join(("", *aligned, "", *notes))


def counts(session: Session) -> str:
    """Ids, touch and purge."""
    ids = session.ids
    return (
        f"\nids     {len(ids)} drawn by {len(PRICES)} threads, {len(set(ids))} different, {min(ids)} to {max(ids)};"
        " one deleted the counter's key on the way"
        f"\ntouch   {session.touched} live slots counted, {session.renewed} of them renewed to {TOUCH_TTL} s"
        f"\npurge   {session.purged} live slots counted, {session.left} keys left"
    )


def verdict(promises: Sequence[Promise], seconds: float) -> str:
    """Every promise, and how many of them are broken."""
    broken = sum(not promise.held for promise in promises)
    summary = f"{broken} of {len(promises)} promises BROKEN" if broken else f"All {len(promises)} promises held"
    lines = (f"  {'held  ' if promise.held else 'BROKEN'}  {promise.text}" for promise in promises)
    return "\n".join(("", "The promises", *lines, "", f"{summary}, in {seconds:.1f} s."))
