"""Every task gets its own reply, and its own error; the calls of one task keep their order."""

from __future__ import annotations

import asyncio
import random
from typing import Any

import pytest
import redis
import redis.asyncio
from pipelining.gate import Gate
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import NoScriptError, OutOfMemoryError, ReadOnlyError, ResponseError
from support.servers import Server

from session_store import WrongTypeError

TASKS, CALLS = 50, 60


@pytest.fixture(params=[(2, False), (3, True)], ids=["resp2-bytes", "resp3-str"])
def options(request: pytest.FixtureRequest) -> dict[str, Any]:
    protocol, decode_responses = request.param
    return {"protocol": protocol, "decode_responses": decode_responses}


async def test_every_task_gets_its_own_replies(
    gate: Gate, client_of: Any, store_of: Any, options: dict[str, Any]
) -> None:
    """Thousands of calls of all kinds, of values that tell their slots; each task knows what it has written last."""
    store = store_of(client_of(gate.port, **options))

    async def work(number: int) -> None:
        rng = random.Random(number)
        ns = store.namespace(f"user-{number % 7}")
        text, fields, ids, total = None, {}, 0, 0
        s, h, c = f"s{number}", f"h{number}", f"c{number}"
        for turn in range(CALLS):
            kind = rng.randrange(13)
            if kind == 0:
                text = f"{number} {turn}"
                assert await ns.set(s, text) is True
            elif kind == 1:
                assert await ns.get(s) == text
            elif kind == 2:
                field = rng.choice("abc")
                new = field not in fields
                fields[field] = f"{number} {field} {turn}"
                assert await ns.hset(h, field, fields[field]) == new
            elif kind == 3:
                assert await ns.hgetall(h) == fields
            elif kind == 4:
                names = ["c", "a", "x"]
                assert await ns.hmget(h, names) == [fields.get(name) for name in names]
            elif kind == 5:
                ids += 1
                assert await ns.incr(c) == ids
            elif kind == 6:
                total += number
                assert await ns.hincrby(h + "n", "f", number) == total
            elif kind == 7:
                assert await ns.hget(h, "a") == fields.get("a")
            elif kind == 8:
                assert sorted(await ns.hkeys(h)) == sorted(fields)
            elif kind == 9:
                assert [await ns.hlen(h), await ns.hexists(h, "b")] == [len(fields), "b" in fields]
            elif kind == 10:
                left = await ns.ttl(s)
                assert (left is None) == (text is None)
            elif kind == 11:
                removed = sum(fields.pop(name, None) is not None for name in "ab")
                assert await ns.hdel(h, "a", "b") == removed
            else:
                existed, text = text is not None, None
                assert await ns.delete(s) is existed
                assert await ns.exists(s) is False

    await asyncio.gather(*(work(number) for number in range(TASKS)))
    assert gate.commands().total() > TASKS * CALLS
    assert len(gate.writes) < TASKS * CALLS / 10


async def test_the_calls_of_a_task_are_executed_in_its_order(
    gate: Gate, client_of: Any, store_of: Any, rival: redis.Redis
) -> None:
    """Also when it does not wait for one before the next, as long as they are begun in that order."""
    ns = store_of(client_of(gate.port)).namespace("n")
    calls = [ns.set("s", f"{number}") if number % 2 else ns.get("s") for number in range(400)]
    found = await asyncio.gather(*calls)
    assert found[1::2] == [True] * 200
    assert found[2::2] == [f"{number}" for number in range(1, 399, 2)]
    assert rival.get(ns.key("s")) == "399"


async def begun(gate: Gate, ns: Any, *calls: Any) -> list[Any]:
    """Calls that travel together, behind one that goes alone."""
    await ns.exists("alone")  # there is a connection
    gate.writes.clear()
    gate.shut()
    alone = asyncio.ensure_future(ns.exists("alone"))
    await gate.wait_for(lambda: gate.writes)
    tasks = [asyncio.ensure_future(call) for call in calls]
    await asyncio.sleep(0)
    gate.open()
    outcomes = await asyncio.wait_for(asyncio.gather(*tasks, return_exceptions=True), 20)
    await alone
    assert [len(write) for write in gate.writes][:2] == [1, len(calls)]
    return outcomes


async def test_a_wrong_type_in_the_middle(gate: Gate, client_of: Any, store_of: Any, options: dict[str, Any]) -> None:
    ns = store_of(client_of(gate.port, **options)).namespace("n")
    await ns.set("s", "text")
    outcomes = await begun(gate, ns, *(ns.hget("s", "f") if number % 3 == 1 else ns.get("s") for number in range(30)))
    assert [type(each) for each in outcomes[1::3]] == [WrongTypeError] * 10
    assert len({id(each) for each in outcomes[1::3]}) == 10
    assert [each for number, each in enumerate(outcomes) if number % 3 != 1] == ["text"] * 20
    assert gate.connections == 1


async def test_scripts_that_the_server_has_forgotten(
    gate: Gate, client_of: Any, store_of: Any, rival: redis.Redis
) -> None:
    """Each write of the batch is refused, comes again with its source, and is done once."""
    ns = store_of(client_of(gate.port)).namespace("n")
    await ns.incr("ids")
    for number in range(3):
        rival.script_flush()
        outcomes = await begun(gate, ns, *(ns.incr("ids") for _ in range(40)))
        assert sorted(outcomes) == list(range(2 + 40 * number, 42 + 40 * number))
        assert gate.commands() == {"EXISTS": 1, "EVALSHA": 40, "EVAL": 40}
    assert rival.get(ns.key("ids")) == "121"


async def test_out_of_memory(gate: Gate, client_of: Any, store_of: Any, prefix: str) -> None:
    """Writes are refused, reads in the same batch are not. The server is this test's own."""
    server = Server()
    try:
        own = Gate(server.port)
        await own.start()
        with redis.Redis(port=server.port) as operator:
            ns = store_of(client_of(own.port)).namespace("n")
            await ns.set("s", "text")
            operator.config_set("maxmemory", 1)
            outcomes = await begun(own, ns, *(ns.get("s") if number % 2 else ns.incr("n") for number in range(20)))
            operator.config_set("maxmemory", 0)
            assert outcomes[1::2] == ["text"] * 10
            assert [type(each) for each in outcomes[::2]] == [OutOfMemoryError] * 10
            assert await ns.incr("n") == 1
        await own.close()
    finally:
        server.stop()


def policies() -> dict[str, dict[str, Any]]:
    return {
        "named": {"retry_on_error": [ResponseError], "retry": Retry(NoBackoff(), 3)},
        "of the policy": {"retry": Retry(NoBackoff(), 3, supported_errors=(ResponseError,))},
        "not named": {"retry_on_error": [ReadOnlyError], "retry": Retry(NoBackoff(), 3)},
        "named without retries": {"retry_on_error": [ResponseError], "retry": Retry(NoBackoff(), 0)},
    }


@pytest.mark.parametrize(("policy", "times"), list(zip(policies(), (4, 4, 1, 1), strict=True)))
@pytest.mark.parametrize("together", [True, False], ids=["in a batch", "alone"])
async def test_error_replies_that_the_client_retries(
    gate: Gate, client_of: Any, store_of: Any, policy: str, times: int, *, together: bool
) -> None:
    """As often as the client would send them by itself: each for itself, and nobody else's call again."""
    client = client_of(gate.port, **policies()[policy])
    ns = store_of(client).namespace("n")
    await ns.hset("h", "f", "text")
    await ns.exists("x")
    gate.writes.clear()
    with pytest.raises(ResponseError):
        await client.execute_command("GET", ns.key("h"))
    assert gate.commands() == {"GET": times}
    if not together:
        gate.writes.clear()
        with pytest.raises(WrongTypeError):
            await ns.get("h")
        assert gate.commands() == {"GET": times}
        return
    outcomes = await begun(gate, ns, ns.hlen("h"), ns.get("h"), ns.get("h"), ns.hexists("h", "f"))
    assert [outcomes[0], type(outcomes[1]), type(outcomes[2]), outcomes[3]] == [1, WrongTypeError, WrongTypeError, True]
    assert gate.commands() == {"EXISTS": 1, "HLEN": 1, "GET": 2 * times, "HEXISTS": 1}


async def test_an_error_reply_that_ends(gate: Gate, client_of: Any, store_of: Any, rival: redis.Redis) -> None:
    """A call that the client sends again until it is served: NOSCRIPT, until somebody loads the script."""
    client = client_of(gate.port, retry_on_error=[NoScriptError], retries=5)
    ns = store_of(client).namespace("n")
    await ns.incr("ids")
    rival.script_flush()
    outcomes = await begun(gate, ns, ns.incr("ids"), ns.incr("ids"))
    assert sorted(outcomes) == [2, 3]
    assert rival.get(ns.key("ids")) == "3"
