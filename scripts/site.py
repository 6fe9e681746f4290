"""Makes a site of the documentation: python scripts/site.py [FOLDER]; needs zensical.

The pages stand where their links expect them, so they are the same here and in the repository. A link or an anchor that
leads nowhere ends it with 1.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = ("*.md", "LICENSE", "docs/*.md", "docs/*.svg", "benchmarks/README.md", "benchmarks/*.svg", "examples/**/*.py")


def main(folder: Path) -> int:
    sources = folder / "pages"
    shutil.rmtree(sources, ignore_errors=True)
    for pattern in PAGES:
        for page in ROOT.glob(pattern):
            target = sources / page.relative_to(ROOT)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(page, target)
    settings = (ROOT / "mkdocs.yml").read_text(encoding="utf-8")
    (folder / "mkdocs.yml").write_text(settings, encoding="utf-8")
    built = subprocess.run(
        [Path(sys.executable).with_name("zensical"), "build", "--clean", "--strict"], cwd=folder, check=False
    )
    print(f"{folder / 'site' / 'index.html'}")
    return built.returncode


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / ".venv-docs").absolute()))
