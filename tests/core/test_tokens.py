"""What makes a call that is sent twice happen once: who a process is, and how its calls are numbered."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import re
import subprocess
import sys
import textwrap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from session_store._core import tokens
from session_store._core.tokens import Ticket, Token

INDEX, OTHER = b"shop:u:~index", b"shop:v:~index"


@pytest.fixture(autouse=True)
def alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """An identity of this test's: calls of others are not under way."""
    monkeypatch.setattr(tokens, "_identity", tokens._Identity())


def writers(tickets: list[Ticket]) -> list[int]:
    """Their numbers, of one and the same identity."""
    names = {ticket.token.producer[:7] for ticket in tickets}
    assert len(names) == 1
    return [int(ticket.token.producer[7:]) for ticket in tickets]


def number(token: Token) -> int:
    return int(token.sequence[4:], 16)


def test_a_token_has_the_form_that_the_scripts_expect() -> None:
    one, other = Ticket(INDEX).token, Ticket(INDEX).token
    for token in (one, other):
        assert re.fullmatch(rb"~[A-Za-z0-9+/]{6}\d+", token.producer)
        assert re.fullmatch(rb"[A-Za-z0-9+/]{4}[0-9a-f]+", token.sequence)
    assert one.producer != other.producer
    assert number(one) < number(other)


def test_a_writer_has_one_call_under_way() -> None:
    """The n-th call that is under way in a namespace is of writer n, so its index has as many records, and no more."""
    tickets = [Ticket(INDEX) for _ in range(70)]  # more than a machine word has bits
    assert writers(tickets) == list(range(70))
    for at in (66, 3):
        tickets[at].give_back()
    assert writers([Ticket(INDEX) for _ in range(3)]) == [3, 66, 70]


def test_namespaces_have_writers_of_their_own() -> None:
    """Whatever else a process does: a quiet namespace keeps the record of one writer."""
    busy = [Ticket(INDEX) for _ in range(200)]
    for _ in range(20):
        quiet = Ticket(OTHER)
        assert writers([quiet]) == [0]
        quiet.give_back()
    assert writers(busy) == list(range(200))


def test_numbers_go_up_over_all_namespaces() -> None:
    """Those of a writer, too, so an old call that was long on its way can be told."""
    found = []
    for turn in range(50):
        ticket = Ticket((INDEX, OTHER)[turn % 2])
        found.append(number(ticket.token))
        ticket.give_back()
    assert found == sorted(set(found))


def test_nothing_is_kept_of_calls_that_were_answered() -> None:
    for turn in range(1_000):
        Ticket(b"shop:%d:~index" % turn).give_back()
    assert tokens._identity.taken == {}


def test_after_a_call_without_an_answer_the_process_goes_on_as_another() -> None:
    """It may still be on its way, and must not meet a later one of its writer. Those under way stay who they are."""
    under_way, lost = Ticket(INDEX), Ticket(INDEX)
    lost.abandon()
    after = Ticket(INDEX)
    assert after.token.producer[:7] != lost.token.producer[:7]
    assert writers([after]) == [0]
    under_way.give_back()
    assert writers([after, Ticket(INDEX)]) == [0, 1]


def test_many_calls_without_an_answer_make_one_change_of_identity() -> None:
    lost = [Ticket(INDEX) for _ in range(50)]
    lost[0].abandon()
    name = tokens._identity.name
    for ticket in lost[1:]:
        ticket.abandon()
    assert tokens._identity.name == name


def test_threads_share_an_identity_and_never_a_writer() -> None:
    meet = threading.Barrier(8, timeout=30)

    def work() -> list[bytes]:
        meet.wait()
        calls = []
        for _ in range(200):
            ticket = Ticket(INDEX)
            with lock:
                assert ticket.token.producer not in under_way
                under_way.add(ticket.token.producer)
            calls.append(ticket.token.sequence)
            with lock:
                under_way.remove(ticket.token.producer)
            ticket.give_back()
        return calls

    lock, under_way = threading.Lock(), set()
    with ThreadPoolExecutor(8) as pool:
        found = [call for calls in [pool.submit(work) for _ in range(8)] for call in calls.result()]
    assert len({call[4:] for call in found}) == len(found) == 1_600
    assert tokens._identity.taken == {}


def test_processes_of_one_image_are_told_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    """Identity and numbers were copied, as a snapshot of a virtual machine does; the rest of a call is random."""
    copied = tokens._Identity()
    calls = []
    for _ in range(2):
        copied.numbers = iter([7])  # type: ignore[assignment]  # both take the same number
        monkeypatch.setattr(tokens, "_identity", copied)
        ticket = Ticket(INDEX)
        ticket.give_back()
        calls.append(ticket.token)
    assert calls[0].producer == calls[1].producer
    assert calls[0].sequence != calls[1].sequence
    assert number(calls[0]) == number(calls[1]) == 7


def _tokens_of_a_child(queue: multiprocessing.Queue[Token]) -> None:
    queue.put(Ticket(INDEX).token)


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded, use of fork:DeprecationWarning")  # meant here
def test_a_forked_process_is_another_writer() -> None:
    """Though the lock was held, and calls were under way, while it was forked."""
    under_way = Ticket(INDEX)
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    process = context.Process(target=_tokens_of_a_child, args=(queue,))
    with tokens._identity.lock:
        process.start()
    token = queue.get(timeout=30)
    process.join(30)
    assert token.producer[:7] != under_way.token.producer[:7]
    assert token.producer[7:] == b"0"
    assert writers([under_way, Ticket(INDEX)]) == [0, 1]


FORK = textwrap.dedent(
    """
    import ctypes, os, sys
    from session_store._core.tokens import Ticket

    def tell():
        os.write(1, Ticket(b"shop:u:~index").token.producer + b"\\n")  # as a whole: both processes tell

    tell()
    process = ctypes.PyDLL(None).fork()  # as a server written in C does: none of Python's hooks are run
    tell()
    if process == 0:
        os._exit(0)
    os.waitpid(process, 0)
    """
)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="processes do not fork here")
def test_a_process_that_was_forked_without_hooks_is_another_writer() -> None:
    assert ctypes.PyDLL(None).fork
    run = subprocess.run([sys.executable, "-c", FORK], capture_output=True, text=True, check=True, timeout=60)
    before, *after = run.stdout.split()
    same = [writer for writer in after if writer[:7] == before[:7]]
    assert (len(after), same) == (2, [f"{before[:7]}1"])
    (child,) = set(after) - set(same)
    assert child[7:] == "0"
