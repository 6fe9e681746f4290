"""The command line on a cluster: it finds out by itself, and deals with all primaries as with one server."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from typing import Any

import pytest
import redis
from cli.filling import fill_store
from support.deployments import Cluster

from session_store import SessionStore
from session_store.cli import main


@pytest.fixture
def run(cluster: Cluster, prefix: str, capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[Any]]]:
    """The exit status of a command, and what it says as JSON."""

    def run(*words: str) -> tuple[int, list[Any]]:
        status = main(["--url", f"redis://127.0.0.1:{cluster.port}", "--prefix", prefix, "--json", *words])
        return status, [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


def test_every_command_on_every_primary(
    cluster: Cluster, prefix: str, run: Callable[..., tuple[int, list[Any]]]
) -> None:
    """What is on any node is found, counted, followed, touched and ended."""

    async def fill() -> None:
        async with redis.asyncio.RedisCluster(host="127.0.0.1", port=cluster.port) as client:
            await fill_store(client, 100, prefix)

    asyncio.run(fill())
    status, found = run("list")
    kinds = {each["namespace"]: each["kinds"] for each in found}
    assert (status, len(kinds)) == (0, 100)
    assert len({cluster.primary_of(f"{{{name}}}").port for name in kinds}) == 3
    assert sorted(kind for each in kinds.values() for kind in each) == sorted(
        ["web", "conversation", "snapshot", "channel", "plain"] * 20
    )
    assert run("count") == (0, [{"namespaces": 100}])
    ((status, (stats,)), (_, (shown,))) = run("stats"), run("show", "visitor-3")
    assert (status, stats["namespaces"], stats["slots"]) == (0, 100, 140)
    assert stats["bytes"] > stats["index_bytes"] > 0 and stats["directory_keys"] > 0
    assert len(shown["slots"]) == 3 and all(slot["bytes"] for slot in shown["slots"])
    assert run("show", "chat-3")[1][0]["slots"][0]["facts"]["messages"] > 0
    owned = {each["namespace"] for each in run("list", "--owner", "user-3")[1]}
    assert {"chat-3", "agent-3"} < owned and len(owned) == 3
    assert run("follow", "visitor-3", "--for", "200ms") == (0, [])
    assert run("touch", "visitor-3", "--ttl", "50d")[1] == [{"namespace": "visitor-3", "touched": True, "slots": 3}]
    assert run("show", "visitor-3")[1][0]["slots"][0]["ttl"] > 49 * 86_400
    status, ended = run("end", "--owner", "user-3")
    assert (status, {each["namespace"] for each in ended}) == (0, owned)
    assert run("end", *(name for name in kinds if name not in owned), "--fence", "0")[0] == 0
    assert run("count")[0] == 1


def test_the_doctor_of_a_cluster(cluster: Cluster, run: Callable[..., tuple[int, list[Any]]]) -> None:
    status, (health,) = run("doctor")
    checks = {each["check"]: each for each in health["checks"]}
    assert (status, checks["rights"]["status"]) == (0, "ok")
    assert checks["cluster"]["text"] == "3 primaries, state ok; namespaces are hash tags"
    with redis.RedisCluster(host="127.0.0.1", port=cluster.port) as client:
        SessionStore(client, prefix="shop", default_ttl=60).namespace("down").set("step", "x")
    with cluster.down("{down}"):
        assert run("doctor")[0] == 1
