"""Names near the edges of the rules, and which of them the rules allow."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from itertools import product
from math import prod
from random import Random
from typing import Any, NamedTuple

from hypothesis import strategies as st

BATCH = 20  # inputs that share a database, so that they can get in each other's way
MOST_BYTES = 512
# What would be a command of its own if a name or a value ever reached a server of the tests unframed.
INJECTION = "\r\n*1\r\n$8\r\nFLUSHALL\r\n"

# Few letters, so that names are often neighbours; patterns, and what they match; marks of the library's own keys; what
# looks alike, or like nothing, or is put together from parts.
ALLOWED = (
    *("a", "b", "ab", "*", "?", "[a]", "[^a]", "[a-b]", "\\", "\\*", "^", "-", "~", "index", "~index", "$", "%00"),
    *("'", '"', "|", "é", "e\u0301", "\u0430", "\u200b", "\ufeff", "\u202e", "\ufb01", "\U0001f6d2"),
)
FORBIDDEN = (
    *(":", ":~index", "::", "{", "}", "{a}", " ", "\t", "\r\n", "\n", "\0", "\x1f", "\x7f", "\x85", "\u00a0"),
    *("\u2003", "\u2028", "\u3000", "\ud800", "\udfff", INJECTION),
)
PREFIXES = ("a", "a-", "b", "A", "-", "0")
NO_PREFIXES = ("", "a:", "a*", "a_", "é", "a\n", "{a}", " ")


class Input(NamedTuple):
    """A triple and a field, and whether the namespace is a cluster's hash tag."""

    prefix: str
    namespace: str
    slot: str
    field: str
    hash_tags: bool

    @property
    def home(self) -> tuple[str, str, bool]:
        """What makes a namespace."""
        return self.prefix, self.namespace, self.hash_tags

    @property
    def key(self) -> bytes:
        """The key as docs/namespaces.md has it."""
        namespace = f"{{{self.namespace}}}" if self.hash_tags else self.namespace
        return f"{self.prefix}:{namespace}:{self.slot}".encode()


@st.composite
def batches(draw: st.DrawFn) -> list[Input]:
    """Inputs whose names are put together from a few pieces, so that many are neighbours.

    A number stands for an input. They come from a seed, since Hypothesis would often draw the same ones.
    """
    pieces = draw(st.lists(st.sampled_from(ALLOWED), min_size=3, max_size=5))
    pieces += draw(st.lists(st.sampled_from((*FORBIDDEN, ":")), max_size=1))
    prefixes = (draw(st.sampled_from(PREFIXES)), "a", draw(st.sampled_from((*PREFIXES, *NO_PREFIXES))))
    letter, size = draw(st.sampled_from(("x", "é", "\U0001f6d2"))), draw(st.integers(MOST_BYTES - 2, MOST_BYTES + 2))
    names = ["".join(each) for length in (1, 2) for each in product(pieces, repeat=length)]
    names += [of_size(size, pieces[0], letter), ""]
    everything = (prefixes, names, names, names, (False, False, True))
    numbers = Random(f"{draw(st.integers(0, 2**32 - 1))} {everything}").sample(range(prod(map(len, everything))), BATCH)
    return [Input(*chosen(everything, number)) for number in numbers]


def of_size(size: int, name: str, letter: str) -> str:
    """A name of so many bytes, of the letter as far as possible."""
    room = size - len(name.encode())
    width = len(letter.encode())
    return name + "x" * (room % width) + letter * (room // width)


def chosen(parts: Sequence[Sequence[Any]], number: int) -> list[Any]:
    """One of each of the parts, as a number says."""
    found = []
    for part in parts:
        number, index = divmod(number, len(part))
        found.append(part[index])
    return found


def is_name(text: str) -> bool:
    """What docs/namespaces.md asks of namespaces and slots alike, put in other words than the library's."""
    return (
        text != ""
        and not any(
            letter in "{}" or letter.isspace() or unicodedata.category(letter) in ("Cc", "Cs") for letter in text
        )
        and len(text.encode()) <= MOST_BYTES
    )


def wrong_argument(given: Input) -> str | None:
    """The first argument that breaks its rule."""
    if not given.prefix or not all(letter.isascii() and (letter.isalnum() or letter == "-") for letter in given.prefix):
        return "prefix"
    if not is_name(given.namespace) or ":" in given.namespace or given.namespace.startswith("~"):
        return "namespace"
    if not is_name(given.slot) or given.slot.startswith("~"):
        return "slot"
    if any(unicodedata.category(letter) == "Cs" for letter in given.field):
        return "field"
    return None
