"""Breaks a copy of the library on purpose, one defect at a time, and shows which checks notice: `make mutants`.

    python tests/mutants.py           all defects; fails when one is noticed by no check
    python tests/mutants.py token     those whose name has this word

A defect is a text that stands once in a source file, and what is put in its place. The copy's sync flavour is generated
from the broken source, so both flavours are broken alike.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
COPIED = ("session_store", "tests", "scripts", "pyproject.toml", "README.md", "CHANGELOG.md", "LICENSE", "Makefile")
LIMIT = 240  # seconds that a check may take: a broken library may hang
CHECKS = {
    "explorer": ["tests/interleavings/test_proofs.py", "tests/interleavings/test_promises.py", "-k", "not three"],
    "faults": ["tests/faults"],
    "contract": ["tests/contract/_sync", "tests/contract/_async", "-k", "memory-resp2-bytes"],
}


class Change(NamedTuple):
    """A text in a file of the library, and what takes its place."""

    file: str
    old: str
    new: str


APPLY = "lua/apply.lua"
SINGLE = "lua/single.lua"
TOKENS = "lua/tokens.lua"
CAS = "_async/cas.py"
NAMESPACE = "_async/namespace.py"
ADDS = "    local added = call_in_chunks('HSET', key, ARGV, first, last)\n"
RUNS = """                reply = await self._commands.run(scripts.SINGLE, keys, args)
"""
BEGINS = """        replies = await connection.begin(watch, BEGIN.by_digest(keys, args))
"""

DEFECTS: dict[str, tuple[Change, ...]] = {
    "token of a commit not recorded": (Change(APPLY, "{WRITER, ", "{WRITER .. 'x', "),),
    "token of a single call not recorded": (
        Change(SINGLE, "WRITER, record, SLOT, after)", "WRITER .. 'x', record, SLOT, after)"),
        Change(SINGLE, "WRITER, record)", "WRITER .. 'x', record)"),
    ),
    "token not checked": (
        Change(TOKENS, "return sub(answer, 1, 1) == '!' and refusal(answer) or answer", "return nil"),
    ),
    "stale token not refused": (
        Change(
            TOKENS,
            "if sub(record, 9, 24) ~= CALL then return {4} end",
            "if sub(record, 9, 24) ~= CALL then return nil end",
        ),
    ),
    "token forgotten when the next era begins": (Change(TOKENS, " and sub(fields[at + 1], 1, 8) ~= era", ""),),
    "tokens never forgotten": (Change(TOKENS, "sub(fields[at], 1, 1) == '~'", "false"),),
    "WATCH sent after the read": (
        Change(
            CAS,
            BEGINS,
            """        replies = await connection.begin(BEGIN.by_digest(keys, args))
        replies = [*await connection.exchange(watch), *replies]
""",
        ),
    ),
    "index written outside the script": (
        Change(APPLY, "    fields[#fields + 1] = slot\n    fields[#fields + 1] = after\n", ""),
        Change(SINGLE, "WRITER, record, SLOT, after)", "WRITER, record)"),
        Change(
            NAMESPACE,
            RUNS,
            RUNS
            + """                slot = operation.key[len(self._make.base.encode()) :]
                await self._commands.client.execute_command("HSETNX", self._make.index, slot, b"")
""",
        ),
    ),
    "TTL set outside the script": (
        Change(TOKENS, f"{ADDS}    call('PEXPIRE', key, ttl)\n", ADDS),
        Change(
            NAMESPACE,
            RUNS,
            RUNS
            + """                await self._commands.client.execute_command("PEXPIRE", operation.key, operation.ttl_ms)
""",
        ),
    ),
    "fence not checked by writes": (
        Change(TOKENS, "if fence and now_ms() < tonumber(fence) then return {1} end\n", ""),
    ),
    "fence not checked when an attempt begins": (
        Change(CAS, "if beginning.committed is not None or beginning.fenced:", "if beginning.committed is not None:"),
    ),
    "prefetch served for a slot not watched": (Change(CAS, '("WATCH", *self._keys)', '("WATCH", self._keys[0])'),),
    "retry after an unknown outcome without settling": (
        Change(
            CAS,
            "            self._attempt += 1\n",
            "            self._attempt += 1\n            self._token = self._writer.new_token()\n",
        ),
    ),
    "unknown outcome not settled at the end": (
        Change(CAS, "            if not self._at_stake:\n", "            if error is not None:\n"),
    ),
    "a lost EXEC taken for a commit": (Change(CAS, "        if executed is None:\n", "        if False:\n"),),
    "a turn not given back by the commit": (Change(APPLY, "then call('DEL', KEYS[number]) end", "then end"),),
    "the turn of another not waited for": (
        Change("lua/begin.lua", "    if holder and holder ~= CALL then return reply end\n", ""),
    ),
    "the index forgets where a counter stood": (Change(SINGLE, "  after = answer\n", "  after = entry or ''\n"),),
}


class Verdict(NamedTuple):
    """What one check made of one defect."""

    noticed: bool
    test: str  # the first that failed
    seconds: float


def copy_with(changes: tuple[Change, ...], folder: Path, only: tuple[str, ...] = COPIED) -> None:
    """A copy of the project with a defect, in both flavours."""
    for name in only:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, folder / name)
    for file, old, new in changes:
        path = folder / "session_store" / file
        text = path.read_text()
        if text.count(old) != 1:
            raise SystemExit(f"tests/mutants.py: {file} has this text {text.count(old)} times instead of once:\n{old}")
        path.write_text(text.replace(old, new))
    subprocess.run([sys.executable, "scripts/generate.py"], cwd=folder, env=environment(folder), check=True)


def environment(folder: Path) -> dict[str, str]:
    """That of a process which finds the copy, not the project."""
    return {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}


def run(check: list[str], folder: Path) -> Verdict:
    """Runs one check on a copy, up to its first failure."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "pytest", "-q", "-x", "-n", "2", "-p", "no:randomly", "-p", "no:cacheprovider"]
    with subprocess.Popen(
        [*command, "--tb=no", *check],
        cwd=folder, env=environment(folder), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as process:  # fmt: skip
        try:
            output, _ = process.communicate(timeout=LIMIT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)  # it and its workers: a session of their own
            return Verdict(noticed=True, test=f"did not end in {LIMIT} s", seconds=LIMIT)
    if process.returncode not in (0, 1, 2):
        raise SystemExit(f"tests/mutants.py: pytest could not run\n{output}")
    failed = re.search(r"^(?:FAILED|ERROR) .*?([\w-]+\.py.*?)(?: - .*)?$", output, re.MULTILINE)
    test = failed[1] if failed else ""
    return Verdict(noticed=process.returncode != 0, test=test, seconds=time.perf_counter() - began)


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = {"no defect": (), **{name: changes for name, changes in DEFECTS.items() if wanted in name}}
    width = max(map(len, chosen))
    print("   ".join([f"{'defect':{width}}", *(f"{name:8}" for name in CHECKS), "first test that failed"]))
    missed = []
    for name, changes in chosen.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            copy_with(changes, folder)
            verdicts = {check: run(arguments, folder) for check, arguments in CHECKS.items()}
        cells = [f"{'caught' if each.noticed else '-':8}" for each in verdicts.values()]
        first = next((each.test for each in verdicts.values() if each.noticed), "")
        seconds = sum(each.seconds for each in verdicts.values())
        print("   ".join([f"{name:{width}}", *cells, f"{first} ({seconds:.0f} s)"]), flush=True)
        if bool(changes) != any(each.noticed for each in verdicts.values()):
            missed.append(name)
    print(
        f"\n{len(chosen) - 1 - len([name for name in missed if name != 'no defect'])} of {len(chosen) - 1} defects caught"
    )
    for name in missed:
        print(f"not as it should be: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
