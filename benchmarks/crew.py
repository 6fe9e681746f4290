"""Processes that work for the benchmark: started once, given job after job, and ended."""

from __future__ import annotations

import multiprocessing
import time
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection
from types import TracebackType
from typing import Any

import redis

from benchmarks.writers import OUR_SESSION, Writer, our_store
from session_store import SessionStore

START_S = 0.05  # from giving out a job to its beginning, so that all begin together
MOST_S = 150  # a job that takes longer is broken


@dataclass(frozen=True)
class Job:
    """Calls of one peer on one slot. `pause_s`: how long the closure takes; `name`: of our namespace.

    `begin`: `time.monotonic()`, the same for all; the crew sets it.
    """

    peer: str
    slot: str
    calls: int
    pause_s: float = 0
    name: str = OUR_SESSION
    begin: float = 0


@dataclass
class Report:
    """What one process did. `moments`: of its commits, and `end`, as `time.monotonic()`, the same in all processes."""

    moments: list[float] = field(default_factory=list)
    given_up: int = 0
    runs: int = 0
    end: float = 0


class Crew(AbstractContextManager["Crew"]):
    """Some processes, each with a client of its own, for as long as the `with` lasts."""

    def __init__(self, size: int, port: int) -> None:
        spawn = multiprocessing.get_context("spawn")
        self._pipes: list[Connection[Any, Any]] = []
        self._processes = []
        for _ in range(size):
            here, there = spawn.Pipe()
            process = spawn.Process(target=_serve, args=(there, port), daemon=True)
            process.start()
            there.close()
            self._pipes.append(here)
            self._processes.append(process)
        for pipe in self._pipes:
            self._answer(pipe)  # it has started

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        for pipe in self._pipes:
            pipe.close()
        for process in self._processes:
            process.join(5)
            if process.is_alive():
                process.kill()

    def do(self, job: Job, count: int | None = None) -> list[Report]:
        """All, or so many, do the job at once; a report of each."""
        begun = replace(job, begin=time.monotonic() + START_S)
        chosen = self._pipes[:count]
        for pipe in chosen:
            pipe.send(begun)
        return [self._answer(pipe) for pipe in chosen]

    def _answer(self, pipe: Connection[Any, Any]) -> Report:
        if not pipe.poll(MOST_S):
            raise TimeoutError(f"a process did not answer within {MOST_S} s")
        report: Report = pipe.recv()
        return report


def _serve(pipe: Connection[Any, Any], port: int) -> None:
    with redis.Redis(port=port) as client:
        client.ping()
        store = our_store(client)
        pipe.send(Report())
        while True:
            try:
                job: Job = pipe.recv()
            except EOFError:
                return
            pipe.send(_done(client, store, job))


def _done(client: redis.Redis, store: SessionStore, job: Job) -> Report:
    writer, report = Writer(job.peer, client, store, job.pause_s, job.name), Report()
    time.sleep(max(job.begin - time.monotonic(), 0))
    for _ in range(job.calls):
        if writer.commit(job.slot):
            report.moments.append(time.monotonic())
        else:
            report.given_up += 1
    report.runs, report.end = writer.runs, time.monotonic()
    return report
