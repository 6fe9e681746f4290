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


class UnseenTaskError(SessionStoreError):
    """Tasks of an exploration that never sent a command to its server, so that nothing could be found out about them.

    As a rule they have a store of their own, a global of their module. Give `explore` a `handle` that makes the store,
    or the application, out of the client that it is given, and let the tasks use that. `tasks`: their names.
    """

    def __init__(self, tasks: list[str]) -> None:
        super().__init__(tasks)
        self.tasks = tasks

    def __str__(self) -> str:
        return (
            f"nothing was found out about {', '.join(map(repr, self.tasks))}: in no schedule did a command come to the "
            "server of explore. Let tasks use what they are given, and no store of their own or of their module: "
            "explore(..., handle=f), where f makes the store, or the whole application, out of the client that it is "
            "given. Leave out a task that needs no Redis"
        )


class NotDeterministicError(SessionStoreError):
    """The tasks of an exploration do something else when the same commands reach the server in the same order.

    Give them ids and a clock that are the same in every schedule, and begin anew in `setup` what outlives one (a cache in
    the process, say). `step`: the number of the step; `before`, `now`: what could be done there. If it is the end that
    was another: what tasks and slots ended with, of those that differ, and `schedule`, which was run twice.
    """

    def __init__(self, step: int, before: list[str], now: list[str], schedule: list[str] | None = None) -> None:
        super().__init__(step, before, now, schedule)
        self.step = step
        self.before = before
        self.now = now
        self.schedule = schedule

    def __str__(self) -> str:
        if self.schedule is not None:
            before, now = ("\n  ".join(lines) for lines in (self.before, self.now))
            return (
                f"the tasks are not deterministic: the same commands in the same order ended with\n  {before}\nand, run "
                f"again, with\n  {now}\n(v1, f1, ..: values and names of fields, unless show_values=True shows them.)\n"
                "Give tasks ids and a clock that are the same in every schedule, let them return what == can compare,\n"
                "and begin anew in setup what outlives a schedule. "
                f"To run it again: explore(..., schedule={self.schedule!r})"
            )
        return (
            f"the tasks are not deterministic: after the same {self.step - 1} steps there was to be done "
            f"{', '.join(self.before) or 'nothing'}, and now {', '.join(self.now) or 'nothing'}; take chance, time "
            "and what outlives a schedule out of them, or begin it anew in setup"
        )
