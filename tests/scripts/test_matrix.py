"""What `make matrix` and `make lowest` choose, and how a run is judged: they are too long to be a part of every other."""

from __future__ import annotations

import matrix
import pytest
from lowest import PROJECT, bounds
from matrix import Verdict

EXAMPLE = """
[project]
name = "ours"
dependencies = ["redis[hiredis]>=6.2", "structlog>=23.1,<99"]
[project.optional-dependencies]
dev = ["ours[json]", "ruff>=0.9; python_version > '3'"]
"""


def test_lower_bounds_are_those_of_the_project_and_its_extras() -> None:
    assert bounds(EXAMPLE) == {"redis": "6.2", "structlog": "23.1", "ruff": "0.9"}


@pytest.mark.parametrize("requirement", ["ruff", "ruff<1", "ruff==0.9"])
def test_a_dependency_without_a_lower_bound_is_an_error(requirement: str) -> None:
    with pytest.raises(SystemExit, match=r"pyproject.toml: ruff\S* has no lower bound"):
        bounds(EXAMPLE.replace("ruff>=0.9; python_version > '3'", requirement))


def test_every_dependency_is_bounded_below() -> None:
    assert bounds(PROJECT.read_text())["redis"] == "6.2"


def test_the_oldest_redis_py_and_the_newest_of_each_major_version_are_asked_for() -> None:
    assert matrix.clients(EXAMPLE) == {
        "redis-py-6.2": "redis==6.2",
        "redis-py-6": "redis==6.*",
        "redis-py-7": "redis==7.*",
        "redis-py-8": "redis==8.*",
    }


def test_an_axis_that_is_not_named_is_taken_whole() -> None:
    axis = {"python-3.10": 1, "python-3.11": 2, "python-3.12": 3}
    assert matrix.only(axis, ["python-3.12", "python-3.10", "redis-6.2"]) == {"python-3.10": 1, "python-3.12": 3}
    assert matrix.only(axis, ["redis-6.2"]) == axis


@pytest.mark.parametrize(
    ("status", "output", "verdict", "cell"),
    [
        (0, "...\n1219 passed, 5052 deselected in 93.13s (0:01:33)\n", Verdict(1219, 0, ""), "1219"),
        (0, "...\n12 passed, 3 skipped in 1s\n", Verdict(12, 0, ""), "12"),
        (1, "FAILED a.py::b - no\nERROR c.py\n1 failed, 8 passed, 1 error in 1s", Verdict(8, 2, "FAILED a.py::b - no\n  ERROR c.py"), "2 failed"),
        (1, "=== 1 failed, 8 passed in 1s ===\n", Verdict(8, 1, "1 failed"), "1 failed"),
        (5, "no tests ran in 0.1s\n", Verdict(0, 0, "pytest exit 5"), "pytest exit 5"),
        (0, "3 skipped in 0.1s\n", Verdict(0, 0, "pytest exit 0"), "pytest exit 0"),
        (4, "ERROR: file or directory not found: 5 passed\n\n", Verdict(5, 0, "pytest exit 4"), "pytest exit 4"),
        (-9, "", Verdict(0, 0, "pytest exit -9"), "pytest exit -9"),
    ],
)  # fmt: skip
def test_a_run_that_did_not_pass_is_never_shown_as_passed(
    status: int, output: str, verdict: Verdict, cell: str
) -> None:
    """Whichever way it ended: by failures, without having run a test, or without a last line."""
    assert matrix.judge(status, output) == verdict
    assert verdict.cell == cell


def test_a_run_that_was_ended_has_failed() -> None:
    assert matrix.judge(-9, "..3 passed", ended=False).words == f"no end in {matrix.LIMIT} s"


def test_a_cell_leaves_out_the_other_servers() -> None:
    assert matrix.expression("redis-7.0") == (
        "not memory-resp and not resp2-str and not resp3-bytes and not redis-6.2 and not redis-8.0 and not valkey-8.1"
    )


def test_the_table_is_aligned() -> None:
    rows = [("python-3.10 redis-py-6", ["1219", "-"]), ("python-3.9", ["2 failed", "7"])]
    assert list(matrix.table(rows, ["redis-6.2", "x"])) == [
        "                         redis-6.2   x",
        "python-3.10 redis-py-6        1219   -",
        "python-3.9                2 failed   7",
    ]
