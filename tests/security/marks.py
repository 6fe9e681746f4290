"""Secrets that can be recognised, and where to look for them."""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterable
from typing import Any

from support.leaks import chain

NAMESPACE, SLOT, FIELD, VALUE = "nsNAMEqz", "qzSLOTzq", "zqFIELDz", "zzVALUEq"
NUMBER = 7_474_747_474  # a value as well
MARKS = (NAMESPACE, SLOT, FIELD, VALUE, str(NUMBER))
DATA = (FIELD, VALUE, str(NUMBER))  # what not even the attributes of an error may hold


class Holder:
    """Something that shows a secret when it is shown."""

    def __init__(self, mark: str) -> None:
        self.mark = mark

    def __repr__(self) -> str:
        return f"Holder({self.mark})"


def marks_in(text: str, marks: Iterable[str] = MARKS) -> set[str]:
    """The secrets that a text shows, plain or in hexadecimal digits."""
    return {mark for mark in marks if mark in text or mark.encode().hex() in text.lower()}


def text_of(error: BaseException) -> str:
    """All that a log or a screen may show of an error: its traceback as it is printed, notes included, and the reprs."""
    return "".join([*traceback.format_exception(error), *(f"{each}\n{each!r}\n" for each in chain(error))])


def facts_of(error: BaseException) -> str:
    """What the errors of a chain hold, but for what an `InvalidNameError` was given as a name, which it documents."""
    facts: list[Any] = []
    for each in chain(error):
        given = getattr(each, "value", None)
        facts += (fact for fact in (*each.args, *vars(each).values()) if fact is not given)
    return " ".join(f"{fact!r}" for fact in facts)


def text_of_record(record: logging.LogRecord) -> str:
    """A record's message and all its attributes, those of other libraries too."""
    return f"{record.getMessage()} {vars(record)!r}"
