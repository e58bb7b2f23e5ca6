"""`python -m workers.training.fused.verify`: check the whole exactness contract on this device and print it."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

from workers.training.fused.graph.xla_flags import compile_exactly
from workers.training.fused.verify import Finding, curves, dropout, gradients, isolation, model_files, steady, updates
from workers.training.keras_networks import runtime

_DESCRIPTION: Final = "Compare fused training with plain Keras on this device, all points of the exactness contract."

_POINTS: Final[list[tuple[str, Callable[[], list[Finding]]]]] = [
    ("1  optimiser updates, float64", lambda: updates.check("float64", 200)),
    ("1  optimiser updates, float32", lambda: updates.check("float32", 200)),
    ("2  curves and weights against Keras, float64", curves.check),
    ("2  drift of float32, for information", curves.drift),
    ("3  members apart", isolation.check),
    ("4  dropout", dropout.check),
    ("5  gradients", gradients.check),
    ("6  model files", model_files.check),
    ("7  500 trials in one process", steady.check),
]


def main() -> int:
    """Return 0 when every point asked for holds, 1 otherwise."""
    known = sorted({title[0] for title, _ in _POINTS})
    parser = argparse.ArgumentParser(prog="python -m workers.training.fused.verify", description=_DESCRIPTION)
    parser.add_argument("--points", default=",".join(known), help="which, separated by commas (default: %(default)s)")
    parser.add_argument("--all", action="store_true", help="list every comparison, not the worst of each kind")
    options = parser.parse_args()
    asked = [point.strip() for point in options.points.split(",")]
    if unknown := [point for point in asked if point not in known]:
        parser.error(f"unknown point {unknown[0]!r}; known are {', '.join(known)}")
    # As a worker's trainer process does.
    compile_exactly()
    _say(runtime.configure())
    failed = 0
    for title, check in _POINTS:
        if title[0] not in asked:
            continue
        started_s = time.perf_counter()
        findings = check()
        _say(f"\n{title} ({len(findings)} comparisons, {time.perf_counter() - started_s:.0f} s)")
        for finding in findings if options.all else _worst_by_kind(findings):
            sign = "ok  " if finding.holds else "FAIL"
            _say(f"  {sign} {finding.worst:9.2e}  (bound {finding.bound:7.1e})  {finding.what}")
        failed += sum(not finding.holds for finding in findings)
    kept = "every point holds" if set(asked) == set(known) else "all that was asked for holds"
    _say(f"\n{f'{failed} comparisons exceed their bounds' if failed else kept}")
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _worst_by_kind(findings: Sequence[Finding]) -> list[Finding]:
    """Return the failures, and of comparisons of one kind (by their first words) the worst."""
    worst: dict[str, Finding] = {}
    for finding in findings:
        kind = finding.what.split(":")[0] if ":" in finding.what else finding.what
        if kind not in worst or not finding.worst <= worst[kind].worst:
            worst[kind] = finding
    chosen = {id(finding) for finding in worst.values()}
    return [finding for finding in findings if id(finding) in chosen or not finding.holds]


if __name__ == "__main__":
    raise SystemExit(main())
