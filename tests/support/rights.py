"""The rights that the documentation lists, read from there: what the tests give a user is what is promised."""

from __future__ import annotations

import re
from pathlib import Path

_TEXT = (Path(__file__).parents[2] / "docs" / "guarantees.md").read_text()
_RULE = re.search(r"^```\nACL SETUSER shop (.*?)```", _TEXT, re.MULTILINE | re.DOTALL)[1].split()
_OF_CLUSTERS = re.search(r"A cluster's client also needs (.*?)\.\s", _TEXT, re.DOTALL)[1]
_OF_DIRECTORIES = re.search(r"^- \[Directories\].*? also\s+need (.*?)\.$", _TEXT, re.MULTILINE | re.DOTALL)[1]

PREFIX, USER, PASSWORD = "shop", "shop", "secret"
RIGHTS = [word[1:] for word in _RULE if word.startswith("+")]
CLUSTER_RIGHTS = re.findall(r"`(.*?)`", _OF_CLUSTERS)  # what a cluster's client needs besides
DIRECTORY_RIGHTS = re.findall(r"`(.*?)`", _OF_DIRECTORIES)  # and what directories need
REDIS_PY_ASKS = {"client", "client|setinfo"}  # and goes on when it is refused


def rule(rights: list[str]) -> list[str]:
    """The command that makes the documented user anew, with these rights."""
    words = [word for word in _RULE if not word.startswith("+")]
    return ["ACL", "SETUSER", USER, "reset", *words, *(f"+{right}" for right in rights)]


def names(right: str) -> set[str]:
    """What a server calls a right when it refuses it: before 7.0 `script`, and not `script|load`."""
    return {right, right.partition("|")[0]}
