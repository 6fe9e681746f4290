"""What an exploration ends with when it does not end well."""

from __future__ import annotations

from session_store.errors import SessionStoreError


class InterleavingError(SessionStoreError, AssertionError):
    """An order of commands in which the check fails. Its text is a table of that order.

    Raised by `explore`. To look at the same order again, or to keep it as a test: `explore(..., schedule=error.schedule)`.
    `schedules` is how many were run before and while the shortest one was looked for.
    """

    def __init__(self, report: str, schedule: list[str], seed: int, schedules: int) -> None:
        super().__init__(report, schedule, seed, schedules)
        self.report = report
        self.schedule = schedule
        self.seed = seed
        self.schedules = schedules

    def __str__(self) -> str:
        return self.report


class StuckTaskError(SessionStoreError):
    """A task of an exploration does not come to its next command, nor to its end; or it never stops sending.

    It spins, waits for another task by other means than Redis, or takes real time: `reason` says which, `place` where it
    is in the code (None when that is not known), `commands` what it has sent last.
    """

    def __init__(self, task: str, reason: str, place: str | None, commands: list[str]) -> None:
        super().__init__(task, reason, place, commands)
        self.task = task
        self.reason = reason
        self.place = place
        self.commands = commands

    def __str__(self) -> str:
        where = f", at {self.place}" if self.place else ""
        sent = "".join(f"\n  {command}" for command in self.commands) or " nothing"
        return f"task {self.task!r} {self.reason}{where}; it has sent last:{sent}"


class NotDeterministicError(SessionStoreError):
    """The tasks of an exploration do something else when the same commands reach the server in the same order.

    Take chance, the time, and what outlives a schedule (a cache in the process, say) out of them, or begin it anew in
    `setup`. `step`: the number of the step; `before`, `now`: what could be done there.
    """

    def __init__(self, step: int, before: list[str], now: list[str]) -> None:
        super().__init__(step, before, now)
        self.step = step
        self.before = before
        self.now = now

    def __str__(self) -> str:
        return (
            f"the tasks are not deterministic: after the same {self.step - 1} steps there was to be done "
            f"{', '.join(self.before) or 'nothing'}, and now {', '.join(self.now) or 'nothing'}; take chance, time "
            "and what outlives a schedule out of them, or begin it anew in setup"
        )
