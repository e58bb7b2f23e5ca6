"""Runs chaos scenarios by hand.

python -m tests.chaos C1 --seed 7 --database postgresql     one run, to be repeated exactly
python -m tests.chaos all --seeds 20                        the whole table on both databases, seeds 0 to 19
"""

from __future__ import annotations

import argparse
import random
import shutil
import sys
import tempfile
from contextlib import ExitStack
from pathlib import Path

from hpsearch.cli.stopping import stop_signals
from tests.chaos.places import KINDS, Kind, NotHereError, own_postgres
from tests.chaos.scene import Scene
from tests.chaos.table import SCENARIOS, Report, run, stage
from tests.postgres import PostgresServer


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.chaos", description="Runs chaos scenarios by hand.")
    parser.add_argument("scenarios", nargs="+", help="C1 to C13, or all")
    parser.add_argument("--seed", type=int, help="of the first run; drawn if left out with a single run")
    parser.add_argument("--seeds", type=int, default=1, help="runs of each scenario, with rising seeds")
    parser.add_argument("--database", choices=(*KINDS, "both"), default="both")
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full load, such as 0.1")
    parser.add_argument("--patience", type=float, default=1.0, help="stretches promised seconds on a busy machine")
    parser.add_argument("--keep", action="store_true", help="keep the folder of each run; those of failed runs stay")
    return parser.parse_args()


def _one(name: str, kind: Kind, seed: int, server: PostgresServer | None, options: argparse.Namespace) -> Report:
    folder = Path(tempfile.mkdtemp(prefix=f"hpsearch-chaos-{name}-"))
    with stage(SCENARIOS[name], server if kind == "postgresql" else None, folder) as (place, disk):
        scene = Scene(seed, place, folder, scale=options.scale, patience=options.patience, disk=disk)
        report = run(SCENARIOS[name], scene)
        if not report.passed and disk is not None and (folder / "data").exists():
            shutil.copytree(folder / "data", folder / "data-kept", ignore=shutil.ignore_patterns("ballast"))
    if report.passed and not options.keep:
        shutil.rmtree(folder, ignore_errors=True)
    else:
        print(f"    logs and journals: {folder}")
    return report


def _show(name: str, kind: str, seed: int, report: Report) -> None:
    figures = ", ".join(f"{value} {what}" for what, value in report.figures.items())
    verdict = "ok    " if report.passed else "FAILED"
    counted = f"{len(report.violations)} violations, {figures}"
    print(f"{name:<4} {kind:<11} seed {seed:<6} {verdict} {report.seconds:6.1f} s  {counted}; "
          f"the machine stood still for {report.stalled_s:.2f} s at most", flush=True)  # fmt: skip
    for sentence in (*report.complaints, *report.violations[:20]):
        print(f"    {sentence}")
    if not report.passed:
        print(f"    again: python -m tests.chaos {name} --seed {seed} --database {kind}")


def main() -> int:
    """Run what is asked for and return 0 when all of it held."""
    options = _arguments()
    names = list(SCENARIOS) if "all" in options.scenarios else [name.upper() for name in options.scenarios]
    unknown = [name for name in names if name not in SCENARIOS]
    if unknown:
        print(f"there is no scenario {', '.join(unknown)}; there are {', '.join(SCENARIOS)} and all", file=sys.stderr)
        return 2
    kinds: list[Kind] = list(KINDS) if options.database == "both" else [options.database]
    first = options.seed if options.seed is not None else 0
    if options.seed is None and options.seeds == 1:
        first = random.SystemRandom().randrange(1_000_000)
    n_failed = n_run = 0
    with ExitStack() as stack:
        server = stack.enter_context(own_postgres()) if "postgresql" in kinds else None
        for seed in range(first, first + options.seeds):
            for name in names:
                for kind in kinds:
                    if kind not in SCENARIOS[name].kinds:
                        continue
                    try:
                        report = _one(name, kind, seed, server, options)
                    except NotHereError as error:
                        print(f"{name:<4} {kind:<11} NOT RUN: {error}")
                        continue
                    _show(name, kind, seed, report)
                    n_run += 1
                    n_failed += not report.passed
    print(f"{n_run} runs, {n_failed} failed")
    return 1 if n_failed else 0


if __name__ == "__main__":
    with stop_signals():  # so that what was started is ended, too
        sys.exit(main())
