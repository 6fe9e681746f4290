"""What the page on sizing says a deployment takes: the formula is right, and the tables follow from it."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import Any

import pytest
import redis.asyncio
from docs.pages import DOCS, ROOT


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Any:
    """The program; it needs nothing that only the benchmarks' environment has."""
    monkeypatch.syspath_prepend(str(ROOT))
    from benchmarks import capacity, forecast, kinds, sizing

    return SimpleNamespace(capacity=capacity, forecast=forecast, kinds=kinds, sizing=sizing)


@pytest.fixture
def model(modules: Any) -> Any:
    """What was measured for the page."""
    run = json.loads((ROOT / "benchmarks/capacity.json").read_text(encoding="utf-8"))
    return modules.sizing.Model(run, modules.sizing.Assumptions())


async def test_what_is_predicted_is_what_it_takes(modules: Any) -> None:
    """Fitted to small numbers of namespaces, the formula tells what 2,000 of another shape take, with the server's tables."""
    shape = modules.sizing.Shape
    with modules.capacity.server_of_its_own() as gauge:
        async with redis.asyncio.Redis(port=gauge.port) as client:
            kind = modules.kinds.KINDS["slots"](client)
            corners = [shape(6, 200), shape(6, 20), shape(1, 20)]
            weights = [(await modules.capacity.weighed(gauge, kind, each, most=1_000))[0] for each in corners]
            gauge.client.flushall()  # of the server that was started for this
            before = await modules.capacity.alone(gauge, kind)
            await modules.capacity.filled(kind, shape(3, 60), range(2_000))
            taken = await modules.capacity.alone(gauge, kind) - before
    formula = modules.sizing.fitted(weights)
    assert formula.keys(shape(3, 60)) == 4
    assert formula.total(shape(3, 60), 2_000) == pytest.approx(taken, rel=0.1)


def test_a_line_is_found_again(modules: Any) -> None:
    """Where bytes follow the formula, it is that formula, and off by nothing."""
    sizing = modules.sizing
    true = sizing.Formula(fixed=180, each=150, per_byte=1.1, keys_fixed=1, keys_each=1)
    shapes = [sizing.Shape(count, size) for count in (1, 4, 9) for size in (20, 300)]
    weights = [sizing.Weight("slots", shape, 100, true.bytes(shape), true.keys(shape)) for shape in shapes]
    found = sizing.fitted(weights)
    for name in ("fixed", "each", "per_byte", "keys_fixed", "keys_each", "worst"):
        assert getattr(found, name) == pytest.approx(getattr(true, name), abs=1e-6)


def test_tables_grow_by_powers_of_two(modules: Any) -> None:
    """Of one server, and of a cluster, where each hash slot has its own."""
    tables = modules.sizing.tables
    assert [tables(keys) for keys in (0, 1, 1_024, 1_025)] == [0, 2 * 8 * 4, 2 * 8 * 1_024, 2 * 8 * 2_048]
    assert tables(5 * 16_384, 16_384) == 16_384 * tables(5)


def test_the_limits_agree(modules: Any, model: Any) -> None:
    """As many as so many primaries hold or keep up with need so many primaries."""
    for example in modules.sizing.EXAMPLES:
        for count in modules.forecast.NODES:
            assert model.by_memory(example, model.held(example, count)) <= count
            assert model.by_memory(example, 1.01 * model.held(example, count)) >= count  # tables grow in steps
            assert model.by_time(example, model.kept_up_with(example, count)) == pytest.approx(count)


def test_the_page_shows_what_was_measured(modules: Any, model: Any) -> None:
    """Its tables are those that the program writes, and a million was compared with what it had predicted."""
    forecast = modules.forecast
    _, _, rest = DOCS["sizing"].text.partition(forecast.BEGIN)
    assert rest.partition(forecast.END)[0].strip() == forecast.report(model).strip()
    million = [check for check in model.run["checks"] if check["namespaces"] == 1_000_000]
    assert million
    for check in million:
        assert model.predicted(check) == pytest.approx(check["measured"], rel=0.1)
