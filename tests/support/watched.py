"""A client of DynamoDB, of either flavour, that notes what it is asked for, and that fails by script."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from inspect import iscoroutinefunction
from typing import Any

from support.dynamodb_rules import refused

Params = dict[str, Any]
Reply = dict[str, Any]


class Failing:
    """A fault that a client has: what is done before a call, and what becomes of its reply. Each is over some time.

    `times`: how many calls fail. `on`: the operations that do, and no others.
    """

    def __init__(self, *on: str, times: int = 1) -> None:
        self.on = on
        self.left = times

    def wants(self, name: str, params: Params) -> bool:
        if not self.left or name not in self.on:
            return False
        self.left -= 1
        return True

    def before(self, client: Any, name: str, params: Params) -> Reply | None:
        """A reply that is given without sending anything; None to send it. May change `params`, or raise."""

    def after(self, client: Any, name: str, params: Params, reply: Reply) -> Reply:
        """What its caller gets. May raise."""
        return reply


class Refuses(Failing):
    """The server does nothing, and answers with an error, as botocore raises it once its own attempts are used up.

    `code`: of the error, such as ProvisionedThroughputExceededException or InternalServerError. `reasons`: the code for each
    item of a transaction.
    """

    def __init__(self, code: str, *on: str, times: int = 1, reasons: Iterable[str] = ()) -> None:
        super().__init__(*on, times=times)
        self.code = code
        self.reasons = list(reasons)

    def before(self, client: Any, name: str, params: Params) -> Reply | None:
        reply: Reply = {"Error": {"Code": self.code, "Message": "by script"}}
        if self.reasons:
            reply["CancellationReasons"] = [{"Code": code} for code in self.reasons]
        raise client.exceptions.from_code(self.code)(reply, "".join(part.title() for part in name.split("_")))


def conflicts(times: int, items: int = 2) -> Refuses:
    """Another transaction has one of the items in hand."""
    reasons = ["TransactionConflict", *["None"] * (items - 1)]
    return Refuses("TransactionCanceledException", "transact_write_items", times=times, reasons=reasons)


class LosesReply(Failing):
    """The server does what it is asked to, and its answer does not arrive."""

    def after(self, client: Any, name: str, params: Params, reply: Reply) -> Reply:
        from botocore.exceptions import ReadTimeoutError

        raise ReadTimeoutError(endpoint_url="http://by.script")


class LeavesUnprocessed(Failing):
    """The server does the first half of a batch, and hands the rest back."""

    def __init__(self, *, times: int = 1) -> None:
        super().__init__("batch_write_item", "batch_get_item", times=times)
        self.rest: Params = {}

    def before(self, client: Any, name: str, params: Params) -> Reply | None:
        ((table, asked),) = params["RequestItems"].items()
        listed = asked if name == "batch_write_item" else asked["Keys"]
        done, rest = listed[: len(listed) // 2], listed[len(listed) // 2 :]
        part = (lambda some: some) if name == "batch_write_item" else (lambda some: {**asked, "Keys": some})
        self.rest = {table: part(rest)}
        if not done:
            key = "UnprocessedItems" if name == "batch_write_item" else "UnprocessedKeys"
            return {key: self.rest, "Responses": {}}
        params["RequestItems"] = {table: part(done)}
        return None

    def after(self, client: Any, name: str, params: Params, reply: Reply) -> Reply:
        return {**reply, "UnprocessedItems" if name == "batch_write_item" else "UnprocessedKeys": self.rest}


class IsBehind(Failing):
    """Reads that may be behind are: those of an index, and those of the table that do not say ConsistentRead.

    They are answered as the same question was answered first; a query of the table lacks its last item.
    """

    def __init__(self) -> None:
        super().__init__("get_item", "query", "batch_get_item", "scan", times=10**9)
        self.first: dict[str, Reply] = {}

    def wants(self, name: str, params: Params) -> bool:
        asked = [*params.get("RequestItems", {}).values()] or [params]
        return super().wants(name, params) and not all(each.get("ConsistentRead") for each in asked)

    def before(self, client: Any, name: str, params: Params) -> Reply | None:
        return self.first.get(repr((name, params)))

    def after(self, client: Any, name: str, params: Params, reply: Reply) -> Reply:
        if name == "query" and "IndexName" not in params:
            last = max(reply["Items"], key=lambda item: item["SK"]["S"], default=None)
            kept = [item for item in reply["Items"] if item is not last]
            return {
                **reply,
                "Items": kept,
                "Count": len(kept),
                "ScannedCount": reply["ScannedCount"] - (last is not None),
            }
        return self.first.setdefault(repr((name, params)), reply)


class KnowsTokens(Failing):
    """A transaction whose ClientRequestToken has come before is not done again, as on AWS; moto does not look at them."""

    def __init__(self) -> None:
        super().__init__("transact_write_items", times=10**9)
        self.done: dict[str, Params] = {}

    def before(self, client: Any, name: str, params: Params) -> Reply | None:
        token = params.get("ClientRequestToken", "")
        if token not in self.done:
            return None
        if self.done[token] == params:
            return {"ResponseMetadata": {}}
        return Refuses("IdempotentParameterMismatchException").before(client, name, params)

    def after(self, client: Any, name: str, params: Params, reply: Reply) -> Reply:
        if "ClientRequestToken" in params:
            self.done[params["ClientRequestToken"]] = params
        return reply


class Watched:
    """A client of either flavour that notes its calls, and has faults: `watched.faults.append(LosesReply("put_item"))`.

    It is as strict as AWS where stand-ins are not: see `refused`.

    `calls`: operation and parameters of each. `answered`: the same, with the reply, of those that had one. `trips`: the
    operations, those together that were under way at the same time.
    The first fault of the list is the nearest to the application. `meeting`: where calls of threads wait for each other,
    so that those which can be under way together are.
    """

    def __init__(self, client: Any) -> None:
        self._client = client
        self.faults: list[Failing] = []
        self.calls: list[tuple[str, Params]] = []
        self.answered: list[tuple[str, Params, Reply]] = []
        self.trips: list[list[str]] = []
        self.meeting: threading.Barrier | None = None
        self._under_way = 0
        self._lock = threading.Lock()

    def clear(self) -> None:
        self.calls.clear()
        self.answered.clear()
        self.trips.clear()

    def __getattr__(self, name: str) -> Any:
        send = getattr(self._client, name)
        if name not in self._client.meta.method_to_api_mapping:
            return send

        def call(**params: Any) -> Any:
            with self._exchange(name, params) as exchange:
                if self.meeting:
                    self.meeting.wait(10)
                return self._note(name, params, exchange.ended(exchange.early or send(**exchange.params)))

        async def async_call(**params: Any) -> Any:
            with self._exchange(name, params) as exchange:
                return self._note(name, params, exchange.ended(exchange.early or await send(**exchange.params)))

        return async_call if iscoroutinefunction(self._client._make_api_call) else call

    def _note(self, name: str, params: Params, reply: Reply) -> Reply:
        self.answered.append((name, params, reply))
        return reply

    @contextmanager
    def _exchange(self, name: str, params: Params) -> Iterator[_Exchange]:
        assert list(refused(name, params)) == []
        with self._lock:
            self.calls.append((name, deepcopy(params)))
            if not self._under_way:
                self.trips.append([])
            self.trips[-1].append(name)
            self._under_way += 1
        try:
            yield _Exchange(
                self._client, name, dict(params), [each for each in self.faults if each.wants(name, params)]
            )
        finally:
            with self._lock:
                self._under_way -= 1


class _Exchange:
    """One call, and the faults that it meets."""

    def __init__(self, client: Any, name: str, params: Params, faults: list[Failing]) -> None:
        self.params = params
        self.early: Reply | None = None
        self._of = (client, name, params)
        self._met: list[Failing] = []
        for fault in faults:
            self._met.append(fault)
            self.early = fault.before(*self._of)
            if self.early:
                break

    def ended(self, reply: Reply) -> Reply:
        for fault in reversed(self._met):
            reply = fault.after(*self._of, reply)
        return reply
