"""What the page on operations shows of spans, metrics and settings is what there is."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis
from docs.pages import DOCS, clean, code_words
from opentelemetry import trace
from support.servers import Server

PAGE = DOCS["operations"]
INFO = re.compile(r"[a-z]+(?:_[a-z]+)+")
OF_REPLICAS = {"master_link_status", "offset"}  # what a primary without replicas does not tell


class Span(trace.NonRecordingSpan):
    """Says that it records, and does."""

    def __init__(self, name: str, kind: trace.SpanKind, attributes: Any) -> None:
        super().__init__(trace.INVALID_SPAN_CONTEXT)
        self.name, self.kind, self.attributes, self.failed = name, kind, dict(attributes or {}), False
        self.events: list[str] = []

    def is_recording(self) -> bool:
        return True

    def set_attribute(self, key: str, value: Any) -> None:
        self.attributes[key] = value

    def set_status(self, status: Any, description: str | None = None) -> None:
        self.failed = getattr(status, "status_code", status) is trace.StatusCode.ERROR

    def add_event(self, name: str, *args: Any, **kwargs: Any) -> None:
        self.events.append(name)


class Tracer(trace.Tracer, trace.TracerProvider):
    """Keeps the spans that were started, its own provider."""

    def __init__(self) -> None:
        self.spans: list[Span] = []

    def get_tracer(self, *args: Any, **kwargs: Any) -> Tracer:
        return self

    def start_span(self, name: str, context: Any = None, kind: Any = None, attributes: Any = None, **_: Any) -> Span:
        self.spans.append(Span(name, kind or trace.SpanKind.INTERNAL, attributes))
        return self.spans[-1]

    @contextmanager
    def start_as_current_span(self, name: str, *args: Any, **kwargs: Any) -> Iterator[Span]:
        kwargs = {key: value for key, value in kwargs.items() if key in ("context", "kind", "attributes")}
        span = self.start_span(name, *args, **kwargs)
        with trace.use_span(span):
            yield span


class Meter:
    """What was counted by its counters: their names, and the attributes."""

    def __init__(self) -> None:
        self.counted: list[tuple[str, dict[str, str]]] = []

    def create_counter(self, name: str) -> Any:
        meter = self

        class Counter:
            def add(self, amount: int, attributes: dict[str, str]) -> None:
                meter.counted += [(name, attributes)] * amount

        return Counter()


@pytest.fixture(scope="module")
def names(server: Server) -> Iterator[dict[str, Any]]:
    """What the page defines."""
    names = PAGE.run(server)
    yield names
    names["client"].close()
    names["logger"].handlers.clear()
    clean(server)


def test_the_spans_are_those_of_the_page(names: dict[str, Any]) -> None:
    """Which there are, which failed, what each has; and nothing of what was stored."""
    own, tracer = Server(), Tracer()  # a server that knows no script yet
    try:
        with redis.Redis(port=own.port) as client:
            names["checkout"](client, tracer)
    finally:
        own.stop()
    shown = [block.code for block in PAGE.blocks if block.language == "text"][-1]
    lines = [
        f"  {span.name}{'  ERROR' * span.failed}" if span.kind is trace.SpanKind.CLIENT else span.name
        for span in tracer.spans
    ]
    last = tracer.spans[-1]
    attributes = [f"  {key} = {value}" for key, value in sorted({**last.attributes, "net.peer.port": 6379}.items())]
    lines += ["", f"the last one, of kind {last.kind.name}", *attributes]
    assert shown.splitlines() == lines
    told = repr([span.attributes for span in tracer.spans])
    assert [secret for secret in ("shop", "user-42", "basket", "tea") if secret in told] == []


def test_events_are_counted_and_noted(names: dict[str, Any], server: Server) -> None:
    """By the handler of the page: with their names, and without those of sessions."""
    meter, tracer = Meter(), Tracer()
    logger = names["logger"]
    logger.addHandler(names["Events"](meter))
    with tracer.start_as_current_span("logout") as span:
        names["audited"].namespace("user-42").purge()
    assert meter.counted == [("session_store.events", {"event": "session-store: purge"})]
    assert span.events == ["session-store: purge"] * len(logger.handlers)


def test_the_signals_exist(server: Server) -> None:
    """Each name of INFO that the table has, each setting, and each event."""
    signals = [name for row in PAGE.table("signal") for name in code_words(row[0])]
    with redis.Redis(port=server.port, decode_responses=True) as client:
        known = {**client.info("everything"), **client.config_get("*")}
    events = [name for name in signals if name.startswith("session-store: ")]
    fields = [name for name in signals if INFO.fullmatch(name)]
    told = [
        *code_words(DOCS["events"].prose),
        *(f"session-store: {word}" for word in code_words(DOCS["web-reference"].prose)),
    ]
    assert len(events) == 5
    assert len(fields) >= 12
    assert {*fields} - OF_REPLICAS - {"with_cas"} <= known.keys()
    assert {*events} <= {*told}


def test_the_settings_exist(server: Server) -> None:
    with redis.Redis(port=server.port, decode_responses=True) as client:
        for row in PAGE.table("setting"):
            for name in code_words(row[0]):
                assert client.config_get(name) or client.config_get(name.replace("listpack", "ziplist")), (
                    name
                )  # Redis 6.2
