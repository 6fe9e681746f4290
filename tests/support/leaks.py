"""Looks for a secret in an error and in everything that it drags along."""

from __future__ import annotations


def chain(error: BaseException) -> list[BaseException]:
    """An error, its causes and its contexts."""
    found: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and each not in found:
            found.append(each)
            waiting += (each.__cause__, each.__context__)
    return found


def leaks(error: BaseException, secret: str) -> list[BaseException]:
    """The errors among them whose text or facts hold the secret."""
    return [each for each in chain(error) if secret in f"{each} {each!r} {each.args} {vars(each)}"]
