"""Which conversations are on a list."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

from session_store._core.extension import check_count
from session_store.conversations._core.arguments import checked_tags, checked_time, label
from session_store.conversations._core.values import ConversationInfo, ms_of


class Wanted:
    """What is asked of the conversations of a list. `label`, `value`: whose list it is. `labels`: of which there are lists."""

    def __init__(
        self,
        *,
        user: str | None,
        agent: str | None,
        status: str | None,
        tags: Iterable[str],
        created_after: datetime | None,
        created_before: datetime | None,
        limit: int,
        labels: Sequence[str] = ("user", "agent"),
    ) -> None:
        given = {"user": label(user, "user"), "agent": label(agent, "agent")}
        found = next(((name, value) for name in labels if (value := given[name]) is not None), None)
        if found is None:
            raise ValueError("a list is of a user or an agent: give one, of which there are lists")
        self.label, self.value = found
        if check_count(limit, "limit") == 0:
            raise ValueError("limit must be at least 1")
        self._user, self._agent, self._status = user, agent, status
        self._tags = set(checked_tags(tags))
        times = (("created_after", created_after), ("created_before", created_before))
        self.after_ms, self.before_ms = (None if at is None else checked_time(at, argument) for argument, at in times)

    def fits(self, info: ConversationInfo) -> bool:
        """Whether it is one of them."""
        created = ms_of(info.created_at)
        return (
            (self._user is None or info.user == self._user)
            and (self._agent is None or info.agent == self._agent)
            and (self._status is None or info.status == self._status)
            and (not self._tags or not self._tags.isdisjoint(info.tags))
            and (self.after_ms is None or created >= self.after_ms)
            and (self.before_ms is None or created <= self.before_ms)
        )
