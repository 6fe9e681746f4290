"""An example that runs, and a real browser that shows it.

Needs the dependency group "browser" and a Chromium.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
PATIENCE = 20_000  # milliseconds
CHROMIUM = os.environ.get("CHROMIUM") or next(
    filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None
)
OPTIONS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"]
OPTIONS += ["--disable-component-update", "--disable-sync"]


def playwright() -> Any:
    """What drives the browser. A run that counts must not pass over it."""
    try:
        from playwright.async_api import async_playwright
    except ImportError:
        async_playwright = None
    if async_playwright is None or CHROMIUM is None:
        missing = (
            "no Playwright: make .venv/browser"
            if async_playwright is None
            else ("no Chromium: apt-get install chromium, or set CHROMIUM")
        )
        if os.environ.get("CI") == "true":
            pytest.fail(missing)
        pytest.skip(missing)
    return async_playwright()


@contextmanager
def running(example: str) -> Iterator[str]:
    """The address of an example, which runs as its make target has it."""
    command = [sys.executable, "-m", example, "--port", "0"]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        said = process.stdout.readline()
        server = process.stdout.readline().split()[-1]
        try:
            yield said.split(" at ")[1].split()[0]
        finally:
            process.terminate()
            process.wait()
    assert not Path(server).exists()  # it has ended the server that it started


@pytest.fixture
async def browser() -> AsyncIterator[Any]:
    """A Chromium without a window."""
    async with playwright() as started:
        browser = await started.chromium.launch(
            executable_path=CHROMIUM, args=OPTIONS, ignore_default_args=["--disable-back-forward-cache"]
        )
        yield browser
        await browser.close()


async def tabs_of(browser: Any, address: str, count: int = 2) -> list[Any]:
    """Tabs of one browser, all on the page."""
    context = await browser.new_context()
    context.set_default_timeout(PATIENCE)
    tabs = [await context.new_page() for _ in range(count)]
    for tab in tabs:
        await tab.goto(address)
    return tabs
