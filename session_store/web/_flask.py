"""What `flask.session` is, and errors that Flask knows an answer to."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import flask
from flask.json.tag import TaggedJSONSerializer
from flask.sessions import SessionMixin
from redis.exceptions import ConnectionError, TimeoutError
from werkzeug.exceptions import HTTPException, default_exceptions

from session_store.web._core.http import refusal_of
from session_store.web._core.policy import FLASHES
from session_store.web._sync.session import WebSession
from session_store.web.errors import SessionConflictError, SessionEndedError, SessionSupersededError

REFUSED = (SessionConflictError, SessionEndedError, SessionSupersededError, ConnectionError, TimeoutError)

_TAGS = TaggedJSONSerializer()


@functools.cache
def _kind(error: type[Exception], status: int) -> type[HTTPException]:
    return type(error.__name__, (error, default_exceptions[status]), {})


def answerable(error: Exception) -> HTTPException:
    """The same error as one that Flask knows an answer to: `errorhandler` finds it by its class, and by its status."""
    if isinstance(error, HTTPException):
        return error
    status, text, headers = refusal_of(error)
    of: Any = type(error)
    kind = _kind(of, status)
    refused = kind.__new__(kind)
    response = flask.Response(text, status, [(name.decode(), value.decode()) for name, value in headers])
    default_exceptions[status].__init__(refused, text.decode(), response)
    refused.__dict__.update(error.__dict__)
    return refused


class FlaskSession(WebSession, SessionMixin):
    """A `WebSession` as Flask expects it. `permanent` is a key like others: how long it lives, the policy says."""

    away: HTTPException | None = None  # why it could not be loaded
    is_told = True  # of that

    @property
    def modified(self) -> bool:
        """Whether something differs from what is stored, nested values too. To set it does no harm, and nothing else."""
        return super().modified

    @modified.setter
    def modified(self, value: bool) -> None:
        self.mark_modified()

    def _asked(self, *keys: str) -> None:
        super()._asked(*keys)
        if self.away is not None and not self.is_told:
            self.is_told = True  # the page that says so may ask, too
            raise self.away

    def _check_open(self) -> None:
        self._asked()
        super()._check_open()

    def __len__(self) -> int:
        self._asked()
        return super().__len__()

    def __setitem__(self, key: str, value: Any) -> None:
        if key == FLASHES:  # Flask adds tuples, perhaps of Markup: neither is JSON
            value = [[each[0], _TAGS.tag(each[1])] if isinstance(each, tuple) else each for each in value]
        super().__setitem__(key, value)

    def pop(self, key: str, *default: Any) -> Any:
        value = super().pop(key, *default)
        if key == FLASHES and value:
            return [(category, _TAGS.loads(json.dumps(text))) for category, text in value]
        return value

    def finish(self, status: int) -> list[tuple[str, str]]:
        if self.id is None and dict.keys(self) == {"_permanent"}:
            dict.clear(self)  # many applications set it in each request: that alone is no session for every bot
        return super().finish(status)


def _answering(method: Callable[..., Any]) -> Callable[..., Any]:
    @functools.wraps(method)
    def answering(self: FlaskSession, *args: Any, **kwargs: Any) -> Any:
        if self.away is not None:
            self.is_told = True
            raise self.away
        try:
            return method(self, *args, **kwargs)
        except HTTPException:
            raise
        except REFUSED as error:
            raise answerable(error) from error

    return answering


for _name in ("login", "rotate", "logout", "transaction", "namespace", "save", "refresh", "alive"):
    setattr(FlaskSession, _name, _answering(getattr(WebSession, _name)))
