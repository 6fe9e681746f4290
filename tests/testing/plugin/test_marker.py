"""The marker `interleavings`: what it explores, how it fails, and what the fixture of its name gives."""

from __future__ import annotations

from typing import Any

import pytest

pytestmark = pytest.mark.long

pytest_plugins = ["pytester"]

TASKS = """
import asyncio
import pytest

def add(ns):
    ns.hincrby("basket", "tea")

async def add_async(ns):
    await ns.hincrby("basket", "tea")

def overwrite(ns):
    ns.set("count", str(int(ns.get("count") or 0) + 1))

def two(task):
    return {"tab one": task, "tab two": task}

def three(task):
    return {**two(task), "tab three": task}
"""
TABLE = ["step  tab one * tab two*", "----  --*", "what happened *", "tab one, then tab two *"]


@pytest.fixture
def run(run: Any) -> Any:
    """The same, with tasks at the head of the test file."""

    def run_with_tasks(source: str, *options: str, **named: Any) -> pytest.RunResult:
        return run(TASKS + source, *options, **named)

    return run_with_tasks


def test_under_an_async_plugin(run: Any, setting: Any) -> None:
    """Sync and async tests are called after the exploration, with its result, and with fresh data of their own."""
    result = run(
        f"""
@pytest.mark.interleavings(two(add))
def test_sync(namespace, interleavings):
    assert (interleavings.schedules, interleavings.complete) == (2, True)
    assert namespace.slots() == []

{setting.mark}
@pytest.mark.interleavings(two(add_async))
async def test_async(async_namespace, interleavings):
    assert (interleavings.schedules, interleavings.complete) == (2, True)
    assert await async_namespace.incr("id") == 1

{setting.mark}
@pytest.mark.interleavings(two(overwrite))
async def test_fails(async_namespace):
    print("never called")
""",
        plugins=setting.plugins,
    )
    result.assert_outcomes(passed=2, failed=1)
    result.stdout.fnmatch_lines(TABLE)
    assert "never called" not in result.stdout.str()


def test_a_failure_is_the_table(run: Any) -> None:
    """The test fails, it has no error; its report is the table, once, and nothing of how it was found."""
    result = run(
        """
@pytest.mark.interleavings(two(overwrite))
def test_fails():
    print("never called")
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            "*_ test_fails _*",
            "the tasks, their commands in this order, end as they never do *",
            *TABLE,
            "*= short test *",
        ],
        consecutive=False,
    )
    shown = result.stdout.str().partition(" short test summary ")[0]  # where CI is set, that has all of it once more
    assert shown.count("step  tab one") == 1
    assert ".py:" not in shown.partition("= short test summary")[0]
    assert "never called" not in shown


def test_arguments_are_those_of_explore(run: Any) -> None:
    """Everything that `explore` takes by name can be said in the marker."""
    result = run(
        """
def fill(ns):
    ns.hset("basket", "tea", "5")

def check(ns, results):
    assert ns.hget("basket", "tea") == "8", "tea is wrong"

@pytest.mark.interleavings(two(add), setup=fill, check=check, faults={"touch"}, show_values=True)
def test_fails():
    pass
"""
    )
    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(["*tea is wrong*"])


def test_several_markers(run: Any) -> None:
    """Each is explored, and the test needs all to be well; the fixture gives the result of the closest."""
    result = run(
        """
@pytest.mark.interleavings(two(add))
class TestClosest:
    @pytest.mark.interleavings(three(add))
    def test_three(self, interleavings):
        assert interleavings.schedules == 6

    def test_two(self, interleavings):
        assert interleavings.schedules == 2

@pytest.mark.interleavings(two(overwrite))
class TestOuter:
    @pytest.mark.interleavings(two(add))
    def test_fails(self):
        pass
"""
    )
    result.assert_outcomes(passed=2, failed=1)


def test_a_test_of_unittest(run: Any) -> None:
    """The marker is not passed over where tests are methods of a `unittest.TestCase`."""
    result = run(
        """
import unittest

class Tests(unittest.TestCase):
    @pytest.mark.interleavings(two(add))
    def test_passes(self):
        pass

    @pytest.mark.interleavings(two(overwrite))
    def test_fails(self):
        pass
"""
    )
    result.assert_outcomes(passed=1, failed=1)
    result.stdout.fnmatch_lines(TABLE)


def test_it_runs_in_memory(run: Any, server: Any, watcher: Any) -> None:
    """Also with `--session-store-url`: a server could not be told whose turn it is."""
    before = watcher.info("commandstats")
    result = run(
        """
@pytest.mark.interleavings(two(add))
def test_explored(interleavings):
    assert interleavings.complete
""",
        *("--session-store-url", server.url),
    )
    result.assert_outcomes(passed=1)
    new = {name for name, count in watcher.info("commandstats").items() if count != before.get(name)}
    assert not new & {"cmdstat_evalsha", "cmdstat_eval", "cmdstat_hincrby"}


def test_the_fixture_without_the_marker(run: Any) -> None:
    """The error says what is missing."""
    result = run("def test_forgets(interleavings): pass")
    result.assert_outcomes(errors=1)
    result.stdout.fnmatch_lines(["the fixture interleavings needs the marker: @pytest.mark.interleavings(tasks, ...)"])


def test_the_result_in_other_fixtures(run: Any) -> None:
    """Fixtures come before the exploration: one that asks for its result is told so; the test may ask at any time."""
    result = run(
        """
@pytest.fixture
def early(interleavings):
    return interleavings.schedules

@pytest.mark.interleavings(two(add))
def test_early(early):
    pass

@pytest.mark.interleavings(two(add))
def test_late(request):
    assert request.getfixturevalue("interleavings").schedules == 2
"""
    )
    result.assert_outcomes(passed=1, errors=1)
    result.stdout.fnmatch_lines(
        ["E *AttributeError: interleavings has no schedules yet: tasks are explored after all *"]
    )


def test_tasks_that_cannot_be_explored(run: Any) -> None:
    """A task that takes real time or is not deterministic is reported as plainly as a failure of the check."""
    result = run(
        """
import threading
turns = []

def waits(ns):
    ns.incr("id")
    threading.Event().wait(1)

def differs(ns):
    turns.append(1)
    ns.incr("id")
    if len(turns) % 2:
        ns.incr("id")

@pytest.mark.interleavings(two(waits), patience=0.2)
def test_waits():
    pass

@pytest.mark.interleavings(three(differs))
def test_differs():
    pass
"""
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines_random(["task 'tab *", "the tasks are not deterministic: *"])
    assert "explorer.py" not in result.stdout.str()


def test_a_marker_that_is_used_wrongly(run: Any) -> None:
    """Arguments that `explore` does not take are its errors, and those of `setup` come with the line that raised."""
    result = run(
        """
def setup(ns):
    raise LookupError("no such basket")

@pytest.mark.interleavings()
def test_no_tasks():
    pass

@pytest.mark.interleavings(two(add), setup=setup)
def test_setup():
    pass
"""
    )
    result.assert_outcomes(failed=2)
    result.stdout.fnmatch_lines_random(
        [
            "E *TypeError: explore() missing 1 required positional argument: 'tasks'",
            '>*raise LookupError("no such basket")',
        ]
    )
