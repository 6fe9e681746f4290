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


def test_every_aim_was_measured(report: Any) -> None:
    """None is left out of the table, and none has no figure."""
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    table = page.split("## Aims")[1].split("\n## ")[0]
    rows = [line for line in table.splitlines() if line.startswith("|")][2:]
    assert len(rows) >= 11
    assert all(re.search(r"\| +(yes|no) +\|$", row) for row in rows)


def test_the_plots_are_there(report: Any) -> None:
    page = (FOLDER / "README.md").read_text(encoding="utf-8")
    names = re.findall(r"!\[[^\]]+\]\((\w+\.svg)\)", page)
    assert len(names) >= 4
    assert {path.name for path in FOLDER.glob("*.svg")} == {*names}
