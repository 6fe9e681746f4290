"""The page of figures: what it shows is what was measured."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "benchmarks"


@pytest.fixture
def report(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module that writes the page; it needs nothing that only the benchmarks' environment has."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import report

    return report


def test_the_page_is_what_the_results_say(report: Any) -> None:
    results = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
    assert (FOLDER / "README.md").read_text(encoding="utf-8") == report.readme(results)


def rows_of_aims() -> list[list[str]]:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    table = page.split("## Aims")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    return [[cell.strip() for cell in row.strip("|").split(" | ")] for row in rows]


def test_every_aim_was_measured(report: Any) -> None:
    """None is left out of the table, and none has no figure."""
    rows = rows_of_aims()
    assert len(rows) == len(report.aims.AIMS)
    assert {met for *_, met, _ in rows} <= {"yes", "no", "only awake", "only idle", "too wide to tell"}


def test_an_aim_that_is_missed_says_why(report: Any) -> None:
    missed = [(what, why) for what, *_, met, why in rows_of_aims() if met not in {"yes", "too wide to tell"}]
    assert [what for what, why in missed if not why] == []


def test_workloads_run_apart_take_the_place_of_their_own_lines_only(report: Any) -> None:
    from benchmarks.results import merged

    before = json.loads((FOLDER / "results.json").read_text(encoding="utf-8"))
    names = ["two tabs", "web requests"]
    new = [line | {"note": "anew"} for line in before["results"] if line["workload"] in names]
    found = merged(before, before | {"results": new})
    kept = [line for line in before["results"] if line["workload"] not in names]
    assert found["results"] == [*kept, *new]
    page, old = report.readme(found), report.readme(before)
    assert report.workloads(map(report.Result.from_json, found["results"])) == [
        heading for heading in report.TEXTS if f"## {report.TEXTS[heading].heading}\n" in old
    ]
    assert "run apart: two tabs, web requests" in page


def test_the_plots_are_there(report: Any) -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"!\[[^\]]+\]\((\w+\.svg)\)", page)
    assert len(names) >= 5
    assert {path.name for path in FOLDER.glob("*.svg")} == {*names}
