"""Breaks a copy of the library on purpose, one defect at a time, and shows which checks notice: `make mutants`.

    python scripts/mutants.py           all defects; fails when one is noticed by no check
    python scripts/mutants.py token     those whose name has this word

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
    "explorer": [
        *(f"tests/testing/interleavings/test_{name}.py" for name in ("proofs", "promises", "locks")),
        "-k",
        "not three",
    ],
    "faults": ["tests/faults"],
    "contract": ["tests/contract/_sync", "tests/contract/_async", "-k", "memory-resp3-str"],
    "conversations": ["tests/conversations/_sync", "tests/conversations/_async", "-k", "memory-json"],
    "conversations/dynamodb": [
        f"tests/conversations/dynamodb/_async/test_{name}.py" for name in ("failures", "items", "ends")
    ],
}
OF_LAYERS = (
    "conversations/dynamodb",
    "conversations",
)  # checks of what is in the folder of this name, and of nothing else


class Change(NamedTuple):
    """A text in a file of the library, and what takes its place."""

    file: str
    old: str
    new: str


BEGIN = "lua/begin.lua"
COMMIT = "lua/commit.lua"
SINGLE = "lua/single.lua"
ONCE = "lua/once.lua"
VERBS = "lua/verbs.lua"
VIEW = "lua/view.lua"
CONVERSATIONS = "conversations/lua"
CHANGING = f"{CONVERSATIONS}/changing.lua"
DYNAMODB = "conversations/dynamodb"
ATTEMPTS = "_core/attempts.py"
PYTHON_ONCE = "_async/once.py"
COMPARES = "  is_lost = is_lost or not is_as_before(key, mark(key), ARGV[at], ARGV[at + 1])\n"
ADDS = "    answer = call_in_chunks('HSET', key, ARGV, first, last)\n"
RUNS = """                reply = await commands.run(*call)
"""
VIEWS = """            watched = dict(zip(self._keys, map(Watched, began[1:]), strict=True))
"""
RUN = """                operations = yield Run(watched, self._attempt)
"""

DEFECTS: dict[str, tuple[Change, ...]] = {
    "mark not compared": (Change(COMMIT, COMPARES, ""),),
    "content mark not compared": (
        Change(
            VIEW,
            "return now == before or (content_before ~= '' and content_mark(key) == content_before)",
            "return now == before",
        ),
    ),
    "only the first watched slot compared": (
        Change(COMMIT, "for number = 2, LAST_WATCHED do\n  local key, at", "for number = 2, 2 do\n  local key, at"),
    ),
    "marks compared after applying": (
        Change(COMMIT, "if is_lost then\n  for _, lock", "local function lost()\n  for _, lock"),
        Change(
            COMMIT,
            "return leave(ATTEMPT, changed, longest)\n",
            "leave(ATTEMPT, changed, longest)\nif is_lost then return lost() end\nreturn ATTEMPT\n",
        ),
    ),
    "mark taken after the content was read": (
        Change(
            ATTEMPTS,
            RUN,
            RUN
            + """                late = yield self._begin_call("")
                for slot, now in zip(watched.values(), map(Watched, late[1:]), strict=False):
                    slot.mark, slot.known_content_mark = now.mark, now.content_mark
""",
        ),
    ),
    "stale contents served to the next attempt": (
        Change(
            ATTEMPTS,
            VIEWS,
            VIEWS
            + """            for key, slot in watched.items():
                slot._content = self.__dict__.setdefault("seen", {}).setdefault(key, slot._content)
""",
        ),
    ),
    "a large slot's later reads not compared": (Change("lua/read.lua", "{same and 1 or 0, now,", "{1, now,"),),
    "an attempt not lost that has read a large slot changed": (
        Change("_core/replies.py", "            self.is_changed = True\n", "            pass\n"),
    ),
    "content mark without lengths": (
        Change(VIEW, "redis.sha1hex(#members[at] .. ':' .. members[at] .. (", "redis.sha1hex(members[at] .. ("),
        Change("_core/marks.py", 'b"%d:%b%b" % (len(field), field, value)', 'b"%b%b" % (field, value)'),
    ),
    "lock not given back by the commit": (
        Change(COMMIT, "give_back(lock_names, locks)\nreturn leave", "return leave"),
    ),
    "lock of another not waited for when an attempt begins": (
        Change(BEGIN, "  if holder then return {'locked', holder} end\n", ""),
    ),
    "lock of another not waited for when an attempt was lost": (
        Change(COMMIT, "    if holder then return {'lost', {'locked', holder}} end\n", ""),
    ),
    "lock of another given back": (
        Change("lua/locks.lua", "if lock and sub(lock, find(lock, ':', 1, true) + 1) == OWNER then", "if lock then"),
    ),
    "lock not given back by a call that ends without a commit": (
        Change(ATTEMPTS, "                if self._may_hold and", "                if False and"),
    ),
    "token not looked for when an attempt begins": (
        Change(
            BEGIN,
            "  if sub(record, 9, ends - 1) == ARGV[2] then return {'committed', sub(record, ends + 1)} end\n",
            "",
        ),
    ),
    "token not recorded": (Change(ONCE, "{PRODUCER, recorded", "{PRODUCER .. 'x', recorded"),),
    "token not checked": (
        Change(ONCE, "return sub(answer, 1, 1) == '!' and refusal(answer) or answer, found", "return nil, found"),
    ),
    "stale token not refused": (
        Change(
            ONCE,
            "if sub(record, 9, ends - 1) ~= SEQUENCE then return {'stale'}, found end",
            "if sub(record, 9, ends - 1) ~= SEQUENCE then return nil, found end",
        ),
    ),
    "tokens forgotten too early": (Change(ONCE, "over = NOW - made > RECORD_AGE", "over = NOW - made >= 0"),),
    "tokens never forgotten": (Change(ONCE, "over = NOW - made > RECORD_AGE", "over = false"),),
    "index written outside the script": (
        Change(ONCE, "      fields[#fields + 1], fields[#fields + 2] = slot_of(number), after\n", ""),
        Change(
            PYTHON_ONCE,
            RUNS,
            RUNS
            + """                slot = keys[0][len(operations.base.encode()) :]
                await commands.client.execute_command("HSETNX", operations.index, slot, b"-9999999999")
""",
        ),
    ),
    "TTL set outside the script": (
        Change(VERBS, f"{ADDS}    call('PEXPIRE', key, ttl)\n", ADDS),
        Change(
            PYTHON_ONCE,
            RUNS,
            RUNS
            + """                await commands.client.execute_command("PEXPIRE", keys[0], args[1])
""",
        ),
    ),
    "fence not checked by writes": (
        Change(
            ONCE, "if fence and NOW_MS < tonumber(fence) and fence ~= lifted then return {'fenced'}, found end\n", ""
        ),
    ),
    "fence not checked when an attempt begins": (
        Change(BEGIN, "if fence and now < tonumber(fence) then return {'fenced'} end\n", ""),
    ),
    "writes to a namespace that is none not refused": (
        Change(ONCE, "if not is_created and sub(PRODUCER, 2, 2) == '=' then return {'fenced'}, found end\n", ""),
    ),
    "an attempt begins in a namespace that is none": (
        Change(BEGIN, "if not heed(head[2], now) and sub(ARGV[1], 2, 2) == '=' then return {'fenced'} end\n", ""),
    ),
    "a slot outlives its namespace": (Change(ONCE, "  return math.min(ttl, LEFT)\n", "  return ttl\n"),),
    "a touch puts the end of a namespace off": (
        Change("lua/touch.lua", "math.min(tonumber(ARGV[1]), LEFT)", "tonumber(ARGV[1])"),
    ),
    "a namespace that lives is created": (Change("lua/create.lua", "if lives() then return leave(0, {}) end\n", ""),),
    "fence not checked by a closure that only reads": (
        Change(
            COMMIT,
            "local reply, locks = enter(lock_names)\n",
            "local reply, locks = enter(lock_names)\nreply = (ARGV[FIRST_OPERATION] or ATTEMPT == '0') and reply\n",
        ),
    ),
    "retry after an unknown outcome without settling": (
        Change(
            ATTEMPTS,
            "                raise reply.error\n            yield from self._back_off()\n            return None\n",
            "                raise reply.error\n            self._ticket, self._at_stake = None, False\n            return None\n",
        ),
    ),
    "unknown outcome not settled at the end": (
        Change(
            ATTEMPTS,
            "            if not self._at_stake or isinstance(error, GeneratorExit):\n                raise\n",
            "            if error:\n                raise\n",
        ),
    ),
    "what was not done when it was settled can be done later": (
        Change(
            COMMIT,
            "local reply, locks = enter(lock_names)\n",
            "local reply, locks = enter(lock_names)\nif ATTEMPT == '0' and not reply then return ATTEMPT end\n",
        ),
    ),
    "the index forgets where a counter stood": (
        Change(
            SINGLE,
            "  after = sub(answer, 1, 1) == '-' and '=' .. answer or answer\n",
            "  after = ends_after(ttl, NOW)\n",
        ),
    ),
    "a conversation may not have all of its budget": (
        Change(
            f"{CONVERSATIONS}/append.lua", "tokens + asked > tonumber(ARGV[6])", "tokens + asked >= tonumber(ARGV[6])"
        ),
    ),
    "a conversation keeps the key of a deleted message": (
        Change(f"{CONVERSATIONS}/going.lua", "  if key ~= '' then call('HDEL', KEY, 'k:' .. key) end\n", ""),
    ),
    "a conversation's revision stays": (Change(CHANGING, "written(rev + 1)", "written(rev)"),),
    "a conversation does not note the roles of its messages": (Change(CHANGING, "      mark(seq, role)\n", ""),),
    "a conversation's times go back with the clock": (Change(CHANGING, "math.max(NOW_MS, last)", "NOW_MS"),),
    "a conversation's summary outlives an edit": (Change(f"{CONVERSATIONS}/edit.lua", "forget_summary(number)\n", ""),),
    "a conversation tells an end behind its longest life": (
        Change(
            "conversations/_core/records.py",
            'moment(min(ends, int(held["xa"])) if held["xa"] else ends)',
            "moment(ends)",
        ),
    ),
    "a conversation lives on behind its longest life": (
        Change(f"{CONVERSATIONS}/conversation.lua", " or (has[9] and tonumber(has[9]) <= now)", ""),
    ),
    "on DynamoDB a change rests on no revision": (
        Change(f"{DYNAMODB}/_core/changes.py", '("rev", "=", meta.revision), ', ""),
    ),
    "on DynamoDB a transaction has a new token whenever it is sent": (
        Change(
            f"{DYNAMODB}/_async/table.py",
            "ClientRequestToken=token",
            'ClientRequestToken=__import__("secrets").token_hex(16)',
        ),
    ),
    "on DynamoDB reads of a conversation may be behind": (
        Change(f"{DYNAMODB}/_async/table.py", "Key=key, ConsistentRead=True", "Key=key"),
    ),
    "on DynamoDB reads of messages may be behind": (
        Change(f"{DYNAMODB}/_async/reading.py", '            "ConsistentRead": True,\n', ""),
    ),
    "on DynamoDB items that were not processed are left": (
        Change(
            f"{DYNAMODB}/_async/table.py",
            'lambda reply: reply.get("UnprocessedItems", {}).get(self.name)',
            "lambda reply: None",
        ),
    ),
    "on DynamoDB items may be deleted before their end": (
        Change(f"{DYNAMODB}/_core/items.py", "-(-ms // 1_000)", "ms // 1_000"),
    ),
    "on DynamoDB messages that were left behind are shown": (
        Change(f"{DYNAMODB}/_core/items.py", "secrets.token_urlsafe(6)", '"12345678"'),
    ),
    "on DynamoDB a name stands in an expression as it is": (
        Change(f"{DYNAMODB}/_core/expressions.py", 'return f"#{attribute}"', 'return attribute.replace("xa", "#xa")'),
    ),
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
            raise SystemExit(
                f"scripts/mutants.py: {file} has this text {text.count(old)} times instead of once:\n{old}"
            )
        path.write_text(text.replace(old, new))
    subprocess.run([sys.executable, "scripts/generate.py"], cwd=folder, env=environment(folder), check=True)


def checks_of(changes: tuple[Change, ...]) -> list[str]:
    """Which checks are to notice a defect."""
    layers = [folder for folder in OF_LAYERS if changes[0].file.startswith(f"{folder}/")]
    return layers[:1] or [name for name in CHECKS if name not in OF_LAYERS]


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
        raise SystemExit(f"scripts/mutants.py: pytest could not run\n{output}")
    failed = re.search(r"^(?:FAILED|ERROR) .*?([\w-]+\.py.*?)(?: - .*)?$", output, re.MULTILINE)
    test = failed[1] if failed else ""
    return Verdict(noticed=process.returncode != 0, test=test, seconds=time.perf_counter() - began)


def main() -> int:
    wanted = sys.argv[1] if len(sys.argv) > 1 else ""
    chosen = {name: changes for name, changes in DEFECTS.items() if wanted in name}
    columns = [name for name in CHECKS if any(name in checks_of(changes) for changes in chosen.values())]
    width = max(map(len, ["no defect", *chosen]))
    print("   ".join([f"{'defect':{width}}", *(f"{name:8}" for name in columns), "first test that failed"]))
    missed = []
    for name, changes in {"no defect": (), **chosen}.items():
        with tempfile.TemporaryDirectory() as temporary:
            folder = Path(temporary)
            copy_with(changes, folder)
            checks = checks_of(changes) if changes else columns
            verdicts = {check: run(CHECKS[check], folder) for check in checks}
        told = {check: "caught" if verdict.noticed else "-" for check, verdict in verdicts.items()}
        cells = [f"{told.get(check, ''):{max(8, len(check))}}" for check in columns]
        first = next((each.test for each in verdicts.values() if each.noticed), "")
        seconds = sum(each.seconds for each in verdicts.values())
        print("   ".join([f"{name:{width}}", *cells, f"{first} ({seconds:.0f} s)"]), flush=True)
        if bool(changes) != any(each.noticed for each in verdicts.values()):
            missed.append(name)
    print(f"\n{len(chosen) - len([name for name in missed if name != 'no defect'])} of {len(chosen)} defects caught")
    for name in missed:
        print(f"not as it should be: {name}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
