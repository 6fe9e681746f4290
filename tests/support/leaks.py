"""Looks for a secret in an error and in everything that it drags along."""

from __future__ import annotations


def leaks(error: BaseException, secret: str) -> list[BaseException]:
    """The errors among this one and its causes and contexts whose text or facts hold the secret."""
    chain: list[BaseException] = []
    waiting: list[BaseException | None] = [error]
    while waiting:
        each = waiting.pop()
        if each is not None and each not in chain:
            chain.append(each)
            waiting += (each.__cause__, each.__context__)
    return [each for each in chain if secret in f"{each} {each!r} {each.args} {vars(each)}"]
