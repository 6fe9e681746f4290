"""The defects of `make mutants` can still be put into the library: that run is too long to be a part of every other."""

from __future__ import annotations

from pathlib import Path

import mutants
import pytest


@pytest.mark.parametrize("defect", mutants.DEFECTS)
def test_a_defect_fits(defect: str, tmp_path: Path) -> None:
    """Each text stands once in its file, and the flavours can be generated from the broken source."""
    mutants.copy_with(mutants.DEFECTS[defect], tmp_path, only=("session_store", "scripts", "tests/contract"))
    for file, old, new in mutants.DEFECTS[defect]:
        broken = (tmp_path / "session_store" / file).read_text()
        assert broken.count(old) == new.count(old)
        assert new in broken
