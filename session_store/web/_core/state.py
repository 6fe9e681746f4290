"""What a handler sees of a session, a dict, and what it has changed in it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from session_store.web._core.policy import FLASHES

if TYPE_CHECKING:
    from typing_extensions import Self

_PLAIN = (str, int, float, bytes, type(None))  # a value that cannot be changed in place


class Change(NamedTuple):
    """What becomes of one key."""

    before: bytes | None  # what was stored when it was loaded
    value: Any  # None where it is gone
    is_gone: bool
    was_read: bool  # by the application, before it was changed


def same(one: Any, other: Any) -> bool:
    """Whether two values are equal and of the same types: 1, 1.0 and True are not the same."""
    if type(one) is not type(other):
        return False
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(value, other[key]) for key, value in one.items())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    return bool(one == other)


def differences(
    stored: Mapping[str, bytes], content: Mapping[str, Any], decode: Callable[[str, bytes], Any]
) -> dict[str, Change]:
    """What has become of what is stored: keys that are new, gone, or of another value."""
    found: dict[str, Change] = {}
    for key in stored.keys() | content.keys():
        if key in stored and key in content and same(decode(key, stored[key]), content[key]):
            continue
        found[key] = Change(stored.get(key), content.get(key), key not in content, was_read=False)
    return found


class SessionData(dict[str, Any]):
    """A dict that knows what was read, and what differs from what was stored; nested changes too. Its repr shows nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.accessed = False  # by the application
        self.was_cleared = False  # by `clear`
        self._stored: dict[str, bytes] = {}
        self._decode: Callable[[str, bytes], Any] = lambda key, data: None
        self._plain: dict[str, Any] = {}  # of what was loaded, what cannot be changed in place
        self._read: set[str] = set()
        self._written: set[str] = set()

    def _fill(self, stored: Mapping[str, bytes], decode: Callable[[str, bytes], Any]) -> None:
        """Takes what is stored for its content. What the codec cannot read raises, and changes nothing."""
        values = {key: decode(key, data) for key, data in stored.items()}
        super().clear()
        super().update(values)
        self._stored, self._decode = dict(stored), decode
        self._plain = {key: value for key, value in values.items() if isinstance(value, _PLAIN)}
        self._read, self._written = set(), set()

    def _took(self, stored: Mapping[str, bytes | None]) -> None:
        """Notes what is stored by now; the content stays as it is."""
        for key, data in stored.items():
            self._plain.pop(key, None)
            if data is None:
                self._stored.pop(key, None)
            else:
                self._stored[key] = data
                if isinstance(super().get(key), _PLAIN):
                    self._plain[key] = super().get(key)

    def _replace(self, content: dict[str, Any]) -> None:
        """Takes this for its content, and looks at all of it for changes."""
        super().clear()
        super().update(content)
        self._written = {*content, *self._stored}

    def _changes(self) -> dict[str, Change]:
        """What differs from what was stored, by key. A key that nobody has asked for or set is not looked at."""
        changed: dict[str, Change] = {}
        for key in self._stored.keys() | super().keys():
            is_gone = not super().__contains__(key)
            value = super().get(key)
            if not is_gone and key in self._stored and not self._differs(key, value):
                continue
            changed[key] = Change(self._stored.get(key), value, is_gone, key in self._read)
        return changed

    def _differs(self, key: str, value: Any) -> bool:
        if key not in self._read and key not in self._written:
            return False
        before = self._plain[key] if key in self._plain else self._decode(key, self._stored[key])
        return not same(before, value)

    @property
    def modified(self) -> bool:
        """Whether something differs from what is stored."""
        return bool(self._changes())

    def mark_accessed(self) -> None:
        """Called by Starlette when a request asks for its session."""
        self.accessed = True

    def mark_modified(self) -> None:
        """For frameworks that say so; what was modified is seen without."""
        self.accessed = True

    def _asked(self, *keys: str) -> None:
        self.accessed = True
        self._read.update(keys)

    def _asked_all(self) -> None:
        self._asked(*super().keys(), *self._stored)

    def __getitem__(self, key: str) -> Any:
        self._asked(key)
        return super().__getitem__(key)

    def __contains__(self, key: object) -> bool:
        self._asked(*([key] if isinstance(key, str) else []))
        return super().__contains__(key)

    def get(self, key: str, default: Any = None) -> Any:
        self._asked(key)
        return super().get(key, default)

    def setdefault(self, key: str, default: Any = None) -> Any:
        self._asked(key)
        if not super().__contains__(key):
            self[key] = default
        return super().__getitem__(key)

    def pop(self, key: str, *default: Any) -> Any:
        self._asked(key)
        self._check_open()
        return super().pop(key, *default)

    def popitem(self) -> tuple[str, Any]:
        self._asked_all()
        self._check_open()
        return super().popitem()

    def __setitem__(self, key: str, value: Any) -> None:
        if not isinstance(key, str):
            raise TypeError(f"a key of a session must be a str, got {type(key).__name__}")
        self.accessed = True
        self._check_open()
        self._written.add(key)
        super().__setitem__(key, value)

    def __delitem__(self, key: str) -> None:
        self._asked(key)
        self._check_open()
        super().__delitem__(key)

    def update(self, *given: Any, **named: Any) -> None:
        for key, value in dict(*given, **named).items():
            self[key] = value

    def __ior__(self, other: Mapping[str, Any] | Iterable[tuple[str, Any]]) -> Self:  # type: ignore[misc,override]
        self.update(other)
        return self

    def clear(self) -> None:
        self._asked_all()
        self._check_open()
        self.was_cleared = True
        super().clear()

    def __iter__(self) -> Iterator[str]:
        self._asked_all()
        return super().__iter__()

    def __len__(self) -> int:
        self.accessed = True
        return super().__len__()

    def keys(self) -> Any:
        self._asked_all()
        return super().keys()

    def values(self) -> Any:
        self._asked_all()
        return super().values()

    def items(self) -> Any:
        self._asked_all()
        return super().items()

    def copy(self) -> dict[str, Any]:
        self._asked_all()
        return dict(super().items())

    def __eq__(self, other: object) -> bool:
        self._asked_all()
        return super().__eq__(other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__}>"

    def _check_open(self) -> None:
        """Raises where a change could not be saved any more."""

    def flash(self, text: Any, category: str = "message") -> None:
        """Leave a message for the next page. Two requests that do so lose none."""
        self[FLASHES] = [*(self.get(FLASHES) or ()), [category, text]]

    def take_flashes(self) -> list[list[Any]]:
        """The messages, as [category, text]; they are gone when the session is saved."""
        return list(self.pop(FLASHES, None) or ())


_NOT_LOADED = "this session is not loaded: await load_session(request), or take SessionDep"


class NotLoaded(SessionData):
    """In place of a session that nobody has loaded: says how."""

    def _asked(self, *keys: str) -> None:
        raise RuntimeError(_NOT_LOADED)

    def _asked_all(self) -> None:
        self._asked()

    def mark_accessed(self) -> None:
        """Starlette's `request.session` asks for it."""
        self._asked()

    def __len__(self) -> int:
        raise RuntimeError(_NOT_LOADED)

    def __setitem__(self, key: str, value: Any) -> None:
        self._asked()
