"""Says how many branches of each package the tests took, and fails below the threshold."""

from __future__ import annotations

import json
import sys
import tempfile
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import coverage

THRESHOLD_PERCENT: Final = 90.0
PACKAGES: Final = ("hpsearch", "api")


def shares(report: Mapping[str, Any]) -> dict[str, float]:
    """Return, for each package, the branches taken in percent of those there are.

    Args:
        report: What `coverage json` writes.
    """
    taken: Counter[str] = Counter()
    there: Counter[str] = Counter()
    for path, entry in report["files"].items():
        package = Path(path).parts[0]
        taken[package] += entry["summary"]["covered_branches"]
        there[package] += entry["summary"]["num_branches"]
    return {package: 100.0 * taken[package] / there[package] if there[package] else 0.0 for package in PACKAGES}


def main() -> int:
    """Print the table of files with gaps and one line per package; return 1 below the threshold."""
    measured = coverage.Coverage()
    leftover = list(Path().glob(".coverage.*"))  # written by processes that ended after the run
    if leftover:
        measured.combine(keep=False, data_paths=[str(path) for path in (*leftover, *Path().glob(".coverage"))])
        measured.save()
    measured.load()
    measured.report(skip_covered=True)
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "report.json"
        measured.json_report(outfile=str(target))
        report = json.loads(target.read_text())
    failed = False
    for package, percent in shares(report).items():
        failed |= percent < THRESHOLD_PERCENT
        print(f"branches of {package}/: {percent:.1f} % taken, at least {THRESHOLD_PERCENT:.0f} % wanted")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
