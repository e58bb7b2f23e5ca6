"""`python -m workers.training.conformance ENGINE`: check the whole contract of an engine on this machine."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence
from typing import Final

# One thread for each product, as in a worker; read when BLAS is loaded.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

from workers.training.conformance import Finding
from workers.training.conformance.arena import Arena
from workers.training.conformance.engines import ENGINES, make_engine

_DESCRIPTION: Final = "Check an engine against plain Keras and against itself, all points of the contract."


def main() -> int:
    """Return 0 when every point asked for holds, 1 otherwise."""
    parser = argparse.ArgumentParser(prog="python -m workers.training.conformance", description=_DESCRIPTION)
    parser.add_argument("engine", choices=ENGINES)
    parser.add_argument("--points", default="", help="which, separated by commas (default: all)")
    parser.add_argument("--every", type=int, default=1, help="only each so manieth case of the curves (default: 1)")
    parser.add_argument("--seeds", type=int, default=40, help="seeds of the dropout's test (default: 40)")
    parser.add_argument("--trials", type=int, default=500, help="trials of the test of steadiness (default: 500)")
    parser.add_argument("--all", action="store_true", help="list every comparison, not the worst of each kind")
    options = parser.parse_args()
    checks = _checks(options.engine, options.every, options.seeds, options.trials)
    asked = [point.strip() for point in options.points.split(",") if point.strip()] or list(checks)
    if unknown := [point for point in asked if point not in checks]:
        parser.error(f"unknown point {unknown[0]!r}; known are {', '.join(checks)}")
    failed = 0
    for name in asked:
        started_s = time.perf_counter()
        with Arena() as arena:
            findings = checks[name](arena)
        _say(f"\n{name} ({len(findings)} comparisons, {time.perf_counter() - started_s:.0f} s)")
        for finding in findings if options.all else _worst_by_kind(findings):
            sign = "ok  " if finding.holds else "FAIL"
            _say(f"  {sign} {finding.worst:9.2e}  (bound {finding.bound:7.1e})  {finding.what}")
        failed += sum(not finding.holds for finding in findings)
    _say(f"\n{f'{failed} comparisons exceed their bounds' if failed else 'all that was asked for holds'}")
    return 1 if failed else 0


def _checks(name: str, every: int, n_seeds: int, n_trials: int) -> dict[str, Callable[[Arena], list[Finding]]]:
    from workers.training.conformance import points
    from workers.training.conformance.cases import BATCHES
    from workers.training.conformance.dropout import dropout
    from workers.training.conformance.model_files import model_files
    from workers.training.conformance.steady import steady

    def curves(arena: Arena) -> list[Finding]:
        engine, truth = make_engine(name, "float64"), make_engine("reference", "float64")
        return [finding for data in BATCHES for finding in points.curves(arena, engine, truth, data, every=every)]

    def endings(arena: Arena) -> list[Finding]:
        return points.endings(arena, make_engine(name, "float64"), make_engine("reference", "float64"))

    return {
        "curves": curves,
        "endings": endings,
        "isolation": lambda arena: points.isolation(arena, make_engine(name)),
        "cancellation": lambda arena: points.cancellation(arena, make_engine(name)),
        "dropout": lambda arena: dropout(arena, make_engine(name), make_engine("reference"), n_seeds),
        "model_files": lambda arena: model_files(arena, make_engine(name)),
        "steady": lambda arena: steady(arena, make_engine(name), n_trials),
        "device_time": lambda arena: points.device_time(arena, make_engine(name)),
    }


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _worst_by_kind(findings: Sequence[Finding]) -> list[Finding]:
    """Return the failures, and of comparisons of one kind (by their first words) the worst."""
    worst: dict[str, Finding] = {}
    for finding in findings:
        kind = finding.what.split(":")[0]
        if kind not in worst or not finding.worst <= worst[kind].worst:
            worst[kind] = finding
    chosen = {id(finding) for finding in worst.values()}
    return [finding for finding in findings if id(finding) in chosen or not finding.holds]


if __name__ == "__main__":
    raise SystemExit(main())
