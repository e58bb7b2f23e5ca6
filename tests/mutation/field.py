"""Copies of the code in which bugs are planted, and the run of the proofs over one of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.databases import PID_VARIABLE
from tests.mutation.bugs import Bug

ROOT: Final = Path(__file__).parents[2]
# The fast proofs, the fastest first; the first that is red ends a run.
PROOFS: Final = (
    "tests/queue_properties/test_promises.py",
    "tests/queue_properties/test_faults.py",
    "tests/storage/test_group_writer.py",
    "tests/queue_properties/test_interleavings.py",
    "tests/queue_properties/test_model.py",
)
_PARTS: Final = ("hpsearch", "migrations", "tests", "benchmarks")
_LEFT_OUT: Final = shutil.ignore_patterns("node_modules", ".*")
_LIMIT_S: Final = 600.0
_RED: Final = re.compile(r"^(?:FAILED|ERROR) (\S+(?: \S+)*?)(?: - .*)?$", re.MULTILINE)


@dataclass(frozen=True)
class Finding:
    """What a run of the proofs said.

    Attributes:
        first: The first test that is red, and red again when run alone; None when there was none.
        seconds: The run took, with the start of the interpreter.
        output: What it printed.
    """

    first: str | None
    seconds: float
    output: str


@contextmanager
def planted(bug: Bug | None) -> Iterator[Path]:
    """Yield a copy of the code with a bug in it, or without one; it is gone afterwards.

    Raises:
        StaleEditError: The bug's edits do not fit the code any more.
    """
    with tempfile.TemporaryDirectory(prefix="hpsearch-planted-") as name:
        root = Path(name)
        for part in _PARTS:
            shutil.copytree(ROOT / part, root / part, ignore=_LEFT_OUT)
        shutil.copy2(ROOT / "pyproject.toml", root)
        if bug is not None:
            bug.plant(root)
        yield root


def prove(root: Path, tests: Sequence[str], *, seed: int) -> Finding:
    """Run tests over a copy until one is red, and red again by itself: a busy machine is no proof.

    Args:
        root: The copy.
        tests: As pytest takes them.
        seed: Of the model test.

    Raises:
        RuntimeError: The run did not import the copy, or ended otherwise than green or red.
    """
    # Nothing of the run that plants must reach the run that finds: each has its own databases and its own seed.
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("COVERAGE_", "COV_CORE_", "PYTEST_", "HPSEARCH_TEST_RUN")) and name != PID_VARIABLE
    }
    environment = {**kept, "PYTHONPATH": str(root), "CI": "", "HPSEARCH_TEST_NO_SHRINK": "1"}
    _check_imports(root, environment)
    began_s = time.monotonic()
    doubtful: list[str] = []
    while True:
        red, output = _run(root, environment, [*tests, *(f"--deselect={name}" for name in doubtful)], seed)
        seconds = time.monotonic() - began_s
        if red is None or _run(root, environment, [red], seed)[0] is not None:
            return Finding(red, seconds, output)
        doubtful.append(red)


def _run(root: Path, environment: dict[str, str], arguments: Sequence[str], seed: int) -> tuple[str | None, str]:
    """Return the first red test and what pytest printed."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-rfE", "--tb=short", "--no-header", "-p", "no:randomly"]
    done = subprocess.run(
        [*command, "-p", "no:cacheprovider", f"--hypothesis-seed={seed}", *arguments],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
        timeout=_LIMIT_S,
        check=False,
    )
    red = _RED.search(done.stdout)
    if (done.returncode == 0) == (red is not None) or done.returncode not in (0, 1):
        msg = f"pytest ended with {done.returncode}, neither green nor red:\n{done.stdout[-3000:]}{done.stderr[-3000:]}"
        raise RuntimeError(msg)
    return red and red.group(1), done.stdout


def _check_imports(root: Path, environment: dict[str, str]) -> None:
    """See that the interpreter takes the copy, not the checkout it stems from."""
    look = "import hpsearch, tests.mutation; print(hpsearch.__path__[0]); print(tests.mutation.__path__[0])"
    found = subprocess.run(
        [sys.executable, "-c", look], cwd=root, env=environment, capture_output=True, text=True, check=True
    )
    if not all(Path(line).is_relative_to(root) for line in found.stdout.splitlines()):
        msg = f"the copy in {root} is not what Python imports, but {found.stdout.splitlines()}"
        raise RuntimeError(msg)
