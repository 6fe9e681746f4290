"""Where PyInstaller finds its hook: the entry point `pyinstaller40`."""

from pathlib import Path


def hook_dirs() -> list[str]:
    """The folder of the hook."""
    return [str(Path(__file__).parent)]
