"""Single calls that the server refuses, and whose command comes late or whose reply is lost: they stay refused."""

from __future__ import annotations

from typing import Any

import pytest
import redis
from support.proxy import Proxy

from session_store import Namespace, WrongTypeError

REFUSED = {
    "hset": (lambda ns: ns.set("h", "text"), lambda ns: ns.hset("h", "f", "1"), WrongTypeError),
    "set": (lambda ns: ns.hset("h", "f", "1"), lambda ns: ns.set("h", "text"), WrongTypeError),
    "incr": (lambda ns: ns.set("h", str(2**63 - 1)), lambda ns: ns.incr("h"), redis.ResponseError),
    "hincrby": (lambda ns: ns.hset("h", "f", str(2**63 - 1)), lambda ns: ns.hincrby("h", "f"), redis.ResponseError),
}
every_refused = pytest.mark.parametrize(("before", "call", "error"), REFUSED.values(), ids=REFUSED)


@every_refused
@pytest.mark.parametrize("listed", [True, False], ids=["indexed", "not indexed"])
def test_refused_call_is_late(
    connect,
    proxy: Proxy,
    other: Namespace[str],
    rival: redis.Redis,
    before: Any,
    call: Any,
    error: Any,
    *,
    listed: bool,
) -> None:
    """A call that was sent twice, and refused, does nothing when it arrives after what was in its way has gone."""
    before(other)
    if not listed:
        rival.delete(other.key("x")[:-1] + "~index")
    late = proxy.hold("EVALSHA")
    with pytest.raises(error) as refused:
        call(connect(proxy.port))
    assert type(refused.value) is error
    rival.delete(other.key("h"))
    late.release()
    assert not other.exists("h")
    assert rival.pttl(other.key("x")[:-1] + "~index") > 0


@every_refused
def test_reply_of_a_refused_call_is_lost(
    connect, proxy: Proxy, other: Namespace[str], rival: redis.Redis, before: Any, call: Any, error: Any
) -> None:
    """It stays refused when it is sent again, whatever has become possible meanwhile."""
    before(other)
    proxy.lose_reply("EVALSHA", then=lambda: rival.delete(other.key("h")))
    with pytest.raises(error, match=r"another type|overflow"):
        call(connect(proxy.port))
    assert not other.exists("h")
