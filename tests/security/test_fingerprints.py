"""`fingerprint` stands for a name in logs: the same for the same name and key, and nothing to tell the name from."""

from __future__ import annotations

import functools
import logging
import subprocess
import sys
from typing import Any

import pytest
import redis
from security.faces import Face

from session_store import CasContentionError, fingerprint

KEY = b"k" * 16
SCRIPT = "from session_store import fingerprint; print(fingerprint('u'), fingerprint('u', key=b'k' * 16))"


def test_equal_names_have_equal_fingerprints_and_others_others() -> None:
    names = ["u", "u ", "U", "", "Grüße", "\ud800", "x" * 1_000]
    for key in (None, KEY, b"k" * 64):
        assert len({fingerprint(name, key=key) for name in names}) == len(names)
        assert [fingerprint(name, key=key) for name in names] == [fingerprint(name, key=key) for name in names]
    assert len({fingerprint("u", key=key) for key in (None, KEY, KEY + b"k")}) == 3


def test_a_fingerprint_is_16_hexadecimal_characters() -> None:
    assert fingerprint("u", key=KEY) == "ad69c2919f9a8484"
    assert len(fingerprint("u")) == 16
    assert int(fingerprint("u"), 16)


def test_only_a_given_key_is_the_same_in_another_process() -> None:
    runs = [
        subprocess.run([sys.executable, "-c", SCRIPT], capture_output=True, text=True, check=True).stdout.split()
        for _ in range(2)
    ]
    assert runs[0][1] == runs[1][1] == fingerprint("u", key=KEY)
    assert len({runs[0][0], runs[1][0], fingerprint("u")}) == 3


@pytest.mark.parametrize(
    ("key", "error", "message"),
    [
        (b"k" * 15, ValueError, "16 to 64 bytes, got 15"),
        (b"k" * 65, ValueError, "16 to 64 bytes, got 65"),
        (b"", ValueError, "16 to 64 bytes, got 0"),
        ("k" * 16, TypeError, "bytes, got str"),
        (bytearray(b"k" * 16), TypeError, "bytes, got bytearray"),
    ],
)
def test_bad_keys_are_refused_and_not_shown(key: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message) as caught:
        fingerprint("u", key=key)
    assert "kk" not in repr(caught.value)


def test_a_name_is_a_str() -> None:
    with pytest.raises(TypeError, match="name must be a str, got bytes"):
        fingerprint(b"u")  # type: ignore[arg-type]


@pytest.mark.parametrize("log_name", [fingerprint, functools.partial(fingerprint, key=KEY)])
def test_it_replaces_namespaces_and_slots_in_events_and_reprs(
    face: Face, raw: redis.Redis, prefix: str, log_name: Any, caplog: pytest.LogCaptureFixture
) -> None:
    ns = face.namespace(prefix, "user-42", logger=logging.getLogger("shop"), log_name=log_name)

    def fn(ops: Any) -> Any:
        yield "exists", "basket"
        raw.set(ns.key("basket"), "1", ex=60)

    with caplog.at_level(logging.INFO), pytest.raises(CasContentionError):
        ns.cas("basket", fn, max_retries=0)
    assert caplog.records[0].key == f"{prefix}:{log_name('user-42')}:{log_name('basket')}"
    with caplog.at_level(logging.INFO):
        ns.purge()
    assert caplog.records[-1].namespace == log_name("user-42")
    assert repr(ns.namespace) == f"{type(ns.namespace).__name__}(prefix={prefix!r}, name={log_name('user-42')!r})"
