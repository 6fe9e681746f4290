"""The table of back ends that the contract runs on."""

from __future__ import annotations

from typing import NamedTuple


class Backend(NamedTuple):
    """A kind of client."""

    real: bool  # on a real server, or in memory
    protocol: int
    decode_responses: bool

    @property
    def name(self) -> str:
        place = "server" if self.real else "memory"
        return f"{place}-resp{self.protocol}-{'str' if self.decode_responses else 'bytes'}"


BACKENDS = tuple(
    Backend(real, protocol, decode) for real in (False, True) for protocol in (2, 3) for decode in (False, True)
)
