# ruff: noqa: N999  # the name that PyInstaller looks for
"""What PyInstaller adds to a program: the Lua scripts. The modules that load on first use it finds by their type hints."""

from pathlib import Path

_PACKAGE = Path(__file__).parents[1]
datas = [(str(folder), str(folder.relative_to(_PACKAGE.parent))) for folder in _PACKAGE.rglob("lua")]
