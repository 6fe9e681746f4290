"""What the numbers were measured with and on; no names of hosts, no paths."""

from __future__ import annotations

import os
import platform
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import redis

LIBRARIES = (
    "session-store",
    "redis",
    "hiredis",
    "valkey-glide",
    "coredis",
    "starsessions",
    "Flask-Session",
    "Django",
    "django-redis",
    "litestar",
    "openai-agents",
    "google-adk",
)


def machine(load: float) -> dict[str, str]:
    """Cores, CPU model, memory, OS and Python, and the load before the run: what else went on beside it."""
    return {
        "cores": str(os.cpu_count()),
        "CPU": _line("/proc/cpuinfo", "model name") or platform.processor() or platform.machine(),
        "memory": _memory(),
        "OS": _system(),
        "Python": f"{platform.python_implementation()} {platform.python_version()}",
        "busy before the run": f"{load:.1f} processes on average of a minute",
    }


def versions(port: int) -> dict[str, str]:
    """The server's, and those of the libraries that are installed."""
    with redis.Redis(port=port) as client:
        info: Any = client.info("server")
    name = info.get("server_name", "redis")
    found = {"server": f"{name} {info.get(f'{name}_version') or info['redis_version']}"}
    return found | {library: _version(library) for library in LIBRARIES}


def _version(library: str) -> str:
    try:
        return version(library)
    except PackageNotFoundError:
        return "not installed"


def _line(file: str, name: str) -> str:
    """The value of the first line of that name."""
    path = Path(file)
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _memory() -> str:
    kibibytes = _line("/proc/meminfo", "MemTotal").split()
    return f"{int(kibibytes[0]) / 1024**2:.0f} GiB" if kibibytes else "unknown"


def _system() -> str:
    try:
        return platform.freedesktop_os_release()["PRETTY_NAME"]
    except (OSError, KeyError):
        return platform.system()
