"""What conversations cost on DynamoDB, on demand: units by what DynamoDB counts, and money by the prices that you give.

    python -m benchmarks.dynamodb_costs --write-price 0.70 --read-price 0.14 --storage-price 0.30

Prices differ by region and year: take those of your own, for a million write units, a million read units, and a GB-month.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from math import ceil

WRITE_UNIT, READ_UNIT = 1024, 4096  # bytes
OF_A_MESSAGE, OF_A_CONVERSATION, OF_AN_INDEX = 120, 300, 100  # bytes beside the content; of an entry of an index
OVERHEAD = 100  # bytes of each item, and of each entry of an index, that are stored and no read or write counts


@dataclass(frozen=True)
class Chat:
    """A conversation of questions and answers. A request adds a question, reads the latest 50 and adds the answer.

    `size`: bytes of a message's content. `labels`: 2 with a user and an agent. `days`: how long it is kept.
    """

    messages: int = 40
    size: int = 500
    labels: int = 1
    days: int = 90

    @property
    def writes(self) -> int:
        """Write units: creating it, also on the lists; two items in a transaction for each append. Its end costs none."""
        return 1 + self.labels + self.messages * 2 * (1 + ceil((self.size + OF_A_MESSAGE) / WRITE_UNIT))

    @property
    def reads(self) -> int:
        """Read units, consistent: the conversation twice for each request, once with up to 50 messages."""
        lengths = (min(at, 50) * (self.size + OF_A_MESSAGE) for at in range(1, self.messages, 2))
        return sum(2 + ceil(each / READ_UNIT) for each in lengths)

    @property
    def stored(self) -> int:
        """Bytes that are stored at its end."""
        items = self.messages * (self.size + OF_A_MESSAGE + OVERHEAD) + OF_A_CONVERSATION + OVERHEAD
        return items + self.labels * (OF_AN_INDEX + OVERHEAD)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.dynamodb_costs")
    for name, value in (("conversations", 1_000_000), ("messages", 40), ("size", 500), ("labels", 1), ("days", 90)):
        parser.add_argument(f"--{name}", type=int, default=value)
    for name in ("write", "read", "storage"):
        parser.add_argument(f"--{name}-price", type=float, required=True)
    told = parser.parse_args()
    chat = Chat(told.messages, told.size, told.labels, told.days)
    gigabytes = chat.stored / 2**30 * chat.days / 30
    print(f"{'':8} {'of one':>12} {'of ' + format(told.conversations, ','):>16} {'price':>8} {'cost':>10}")
    for what, unit, one, scale, price in (
        ("writes", "units", chat.writes, 1e6, told.write_price),
        ("reads", "units", chat.reads, 1e6, told.read_price),
        ("storage", "GB-months", gigabytes, 1, told.storage_price),
    ):
        every = one * told.conversations
        shown = f"{one:,}" if isinstance(one, int) else f"{one:.7f}"
        print(f"{what:8} {shown:>12} {every:>16,.0f} {price:>8.2f} {every / scale * price:>10,.2f}  {unit}")


if __name__ == "__main__":
    main()
