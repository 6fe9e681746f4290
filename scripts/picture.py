"""Draws docs/parts.svg: how the parts stand on each other.

python scripts/picture.py            writes the file
python scripts/picture.py --check    compares it
"""

from __future__ import annotations

import sys
from html import escape
from pathlib import Path
from typing import NamedTuple

TARGET = Path(__file__).parent.parent / "docs" / "parts.svg"
WIDTH, LEFT, GAP, HEIGHT, SPACE = 920, 14, 10, 62, 16  # pixels; SPACE: between two rows
USERS, ADAPTERS, LAYERS, PRIMITIVE, CLIENTS, SERVERS = "#e8e8ec", "#dbe7f6", "#cfe8d5", "#f7dfae", "#e6dcf3", "#f3d6d3"


class Box(NamedTuple):
    """A part: its name, what it is, its colour, and how many of twelve columns it takes."""

    name: str
    says: str
    colour: str
    columns: int


ROWS = (
    (
        Box("Web handlers", "FastAPI, Starlette, Flask, Django", USERS, 4),
        Box("Agents and assistants", "and what streams their answers", USERS, 5),
        Box("Somebody on call", "the command line", USERS, 3),
    ),
    (
        Box("ASGI, Flask, Django", "middleware, session interfaces", ADAPTERS, 4),
        Box("integrations", "openai-agents, claude-agent-sdk, LangGraph, mcp", ADAPTERS, 8),
    ),
    (
        Box("web", "logins, devices, cookies", LAYERS, 4),
        Box("conversations", "messages in order", LAYERS, 3),
        Box("snapshots", "an agent's state", LAYERS, 2),
        Box("channels", "streams to follow and resume", LAYERS, 3),
    ),
    (
        Box(
            "SessionStore and Namespace", "slots, with_cas, TTL, fences, directories: one script a write", PRIMITIVE, 9
        ),
        Box("codecs", "text, JSON, encrypted", PRIMITIVE, 3),
    ),
    (
        Box("redis-py", "standalone, Sentinel, cluster", CLIENTS, 5),
        Box("InMemoryClient, explore()", "in tests: every order, every fault", CLIENTS, 4),
        Box("boto3, aiobotocore", "for conversations only", CLIENTS, 3),
    ),
    (
        Box("Redis from 6.2, Valkey", "no modules", SERVERS, 5),
        Box("your process", "its memory", SERVERS, 4),
        Box("DynamoDB", "one table", SERVERS, 3),
    ),
)
STYLE = (
    "text{font-family:system-ui,'Segoe UI',Helvetica,Arial,sans-serif;fill:#1d2330;text-anchor:middle}"
    ".name{font-size:15px;font-weight:600}.says{font-size:12.5px}rect{stroke:#6b7280;stroke-width:1}"
)


def picture() -> str:
    """The whole file."""
    height = 2 * LEFT + len(ROWS) * HEIGHT + (len(ROWS) - 1) * SPACE
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" width="{WIDTH}" height="{height}" role="img">',
        "<title>How the parts of session_store stand on each other; each row uses the rows below it</title>",
        f"<style>{STYLE}</style>",
        f'<rect x="0.5" y="0.5" width="{WIDTH - 1}" height="{height - 1}" rx="10" fill="#ffffff"/>',
    ]
    column = (WIDTH - 2 * LEFT + GAP) / 12
    for number, row in enumerate(ROWS):
        top, at = LEFT + number * (HEIGHT + SPACE), 0
        for box in row:
            left, width = LEFT + at * column, box.columns * column - GAP
            middle = left + width / 2
            parts += [
                f'<rect x="{left:g}" y="{top}" width="{width:g}" height="{HEIGHT}" rx="7" fill="{box.colour}"/>',
                f'<text class="name" x="{middle:g}" y="{top + 27}">{escape(box.name)}</text>',
                f'<text class="says" x="{middle:g}" y="{top + 47}">{escape(box.says)}</text>',
            ]
            at += box.columns
    return "\n".join([*parts, "</svg>", ""])


def main() -> int:
    if sys.argv[1:] != ["--check"]:
        TARGET.write_text(picture(), encoding="utf-8")
    elif TARGET.read_text(encoding="utf-8") != picture():
        print(f"{TARGET.name} is not what this script draws: run it")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
