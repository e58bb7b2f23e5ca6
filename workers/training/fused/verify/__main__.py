"""`python -m workers.training.fused.verify`: check the whole exactness contract on this device and print it."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Sequence

from workers.training import runtime
from workers.training.fused.verify import Finding, curves, dropout, gradients, isolation, model_files, steady, updates
from workers.training.xla_flags import compile_exactly


def main() -> int:
    """Return 0 when every point of the contract holds, 1 otherwise."""
    # As a worker's trainer process does.
    compile_exactly()
    _say(runtime.configure())
    points: list[tuple[str, Callable[[], list[Finding]]]] = [
        ("1  optimiser updates, float64", lambda: updates.check("float64", 200)),
        ("1  optimiser updates, float32", lambda: updates.check("float32", 200)),
        ("2  curves and weights against Keras, float64", curves.check),
        ("2  drift of float32, for information", curves.drift),
        ("3  members apart", isolation.check),
        ("4  dropout", dropout.check),
        ("5  gradients", gradients.check),
        ("6  model files", model_files.check),
        ("   500 trials in one process", steady.check),
    ]
    failed = 0
    for title, check in points:
        started_s = time.perf_counter()
        findings = check()
        _say(f"\n{title} ({len(findings)} comparisons, {time.perf_counter() - started_s:.0f} s)")
        failed += _show(findings)
    _say(f"\n{'every point holds' if not failed else f'{failed} comparisons exceed their bounds'}")
    return 1 if failed else 0


def _say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


def _show(findings: Sequence[Finding]) -> int:
    shown = findings if "--all" in sys.argv else _worst_by_kind(findings)
    for finding in shown:
        sign = "ok  " if finding.holds else "FAIL"
        _say(f"  {sign} {finding.worst:9.2e}  (bound {finding.bound:7.1e})  {finding.what}")
    return sum(not finding.holds for finding in findings)


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
