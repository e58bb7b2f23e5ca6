"""The files of the checkout that are ours, as the other tests here look at them."""

from __future__ import annotations

import shutil
import subprocess
from functools import cache
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[2]
SOURCE_FOLDERS: Final = ("hpsearch", "api", "workers", "migrations", "benchmarks", ".ci")
_MADE: Final = {".git", ".venv", "__pycache__", "node_modules", "dist", "build", "htmlcov"}


@cache
def tracked_files() -> tuple[Path, ...]:
    """Return every file that is or could be committed, as git lists them; without git, all that no tool has made."""
    candidates = [path for path in ROOT.rglob("*") if not _MADE & set(path.relative_to(ROOT).parts)]
    if shutil.which("git") and (ROOT / ".git").exists():
        listed = subprocess.run(
            ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        )  # fmt: skip
        candidates = [ROOT / name for name in listed.stdout.split("\0") if name]
    return tuple(sorted(path for path in candidates if path.is_file()))


@cache
def python_sources() -> tuple[Path, ...]:
    """Return the Python files of the product, tests left out."""
    return tuple(
        path for path in tracked_files() if path.suffix == ".py" and path.relative_to(ROOT).parts[0] in SOURCE_FOLDERS
    )


def relative(path: Path) -> str:
    """Return the path as people write it."""
    return path.relative_to(ROOT).as_posix()
