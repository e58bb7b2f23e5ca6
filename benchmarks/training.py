"""Our engines against what a user would run instead: trials per hour, cost and scores, on a fixed list of trials.

    python -m benchmarks.training [--sets digits,churn,medium,large] [--list plain,full] [--trials 64,512] [--arms …]
    python -m benchmarks.training --quick        # digits, 64 trials, one repeat: a few minutes

The plain list has one optimiser, one activation and one batch size; the full list is drawn from the space of
`examples/full.yaml`. What people wait for is a whole study: `python -m benchmarks.studies`.

The clock starts at process start (imports, data, compiling) and stops when all results are stored in a file; every arm
runs in a process of its own, arms take turns, and figures are medians of the repeats. The arms: a plain Keras loop in
one process and in one a core, Keras Tuner, Optuna + Keras, our reference engine, the native engine from process start
and warm (in a process that has trained the list before), and fused training at its first start ever (no compiled
programs on disk), at a later start, and warm.

The arms of plain Keras and the reference train the first `--keras-trials` of the list and are scaled: they cost the
same for every trial of the plain list. The full list has three batch sizes, so that scaling is rougher there and
`--keras-trials 0` better. Keras Tuner is measured where it is installed. On a machine with a GPU the same command uses
it and adds throughput against pack size. No network is needed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from itertools import product
from pathlib import Path
from typing import Final

from benchmarks.training_arms.figures import LEAST_COMPARED
from benchmarks.training_arms.job import NATIVE_ARMS
from benchmarks.training_arms.launch import ARMS, QUICK_ARMS, Laboratory, Run
from benchmarks.training_arms.tables import ABOUT, print_case
from benchmarks.training_arms.workload import LISTS, SETS, ListName, Trial, trial_list
from hpsearch.cli.stopping import stop_signals
from workers.devices import cpu_cores

_PACK_SIZES: Final = tuple(2**power for power in range(11))
_PACK_DEPTH: Final = 2
_NATIVE: Final = "workers.training.native.engine"
# Keras Tuner asks for TensorBoard while it runs.
_NEEDS: Final = {"keras-tuner": ("keras_tuner", "tensorboard"), "optuna": ("optuna",)}


@dataclass(frozen=True)
class Plan:
    """What to measure.

    Attributes:
        sets: Names of data sets.
        lists: Of trials.
        lengths: Of the list of trials.
        arms: In the order in which they take turns.
        repeats: Of each arm.
        n_keras: Trials that the arms of plain Keras train; 0 for the whole list.
        pack_sizes: For throughput against pack size; None for 1 to 1,024 on a GPU and none on a CPU.
    """

    sets: tuple[str, ...]
    lists: tuple[ListName, ...]
    lengths: tuple[int, ...]
    arms: tuple[str, ...]
    repeats: int
    n_keras: int
    pack_sizes: tuple[int, ...] | None


def plan() -> tuple[Plan, Path | None]:
    """Return what the command line asks for, and where to save every single run."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--sets", default="digits,churn,medium,large", help="data sets, separated by commas")
    parser.add_argument("--list", default="plain", help="plain, full or both, separated by a comma")
    parser.add_argument("--trials", default="64,512", help="lengths of the list")
    parser.add_argument("--arms", default=",".join(ARMS))
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--keras-trials", type=int, default=16, help="trained by plain Keras, the rest scaled; 0: all")
    parser.add_argument("--pack-sizes", help="throughput in packs of these sizes; none for no such table")
    parser.add_argument("--quick", action="store_true", help="digits, 64 trials, one repeat, Keras on 12 trials")
    parser.add_argument("--save", type=Path, help="write every single run to this JSON file")
    options = parser.parse_args()
    if options.quick:
        options.sets, options.trials, options.repeats, options.keras_trials = "digits", "64", 1, 12
    sizes = options.pack_sizes
    found = Plan(
        sets=_known(parser, "set", options.sets, tuple(SETS)),
        lists=tuple(name for name in LISTS if name in _known(parser, "list", options.list, LISTS)),
        lengths=tuple(int(length) for length in options.trials.split(",")),
        arms=_known(parser, "arm", options.arms, ARMS),
        repeats=options.repeats,
        n_keras=options.keras_trials,
        pack_sizes=None if sizes is None else tuple(int(s) for s in sizes.split(",") if s != "none"),
    )
    if found.repeats < 1 or min(found.lengths) < 1:
        parser.error(f"--repeats and --trials must be at least 1, received {found.repeats} and {options.trials}")
    if found.n_keras != 0 and found.n_keras < LEAST_COMPARED:
        parser.error(
            f"--keras-trials must be at least {LEAST_COMPARED}, or 0 for the whole list, received {found.n_keras}"
        )
    if options.save is not None and not options.save.absolute().parent.is_dir():
        parser.error(f"--save needs a folder that exists, received {options.save}")
    return found, options.save


def _known(parser: argparse.ArgumentParser, what: str, given: str, known: Sequence[str]) -> tuple[str, ...]:
    names = tuple(name.strip() for name in given.split(","))
    for name in names:
        if name not in known:
            parser.error(f"unknown {what} {name!r}; known are {', '.join(known)}")
    return names


def _installed(arms: Sequence[str]) -> list[str]:
    """Return the arms whose packages are here; say which are left out."""
    left = []
    for arm in arms:
        if arm in NATIVE_ARMS and importlib.util.find_spec(_NATIVE) is None:
            print(f"Skipped: {ABOUT[arm]} is not part of this version (no module {_NATIVE}).")
            continue
        missing = [name for name in _NEEDS.get(arm, ()) if importlib.util.find_spec(name) is None]
        if missing:
            print(f"Skipped: {ABOUT[arm]} is not installed here (no module {' and no '.join(missing)}).")
        else:
            left.append(arm)
    return left


def _n_measured(arm: str, asked: Plan, n_trials: int) -> int:
    """Return how many trials of the list an arm trains."""
    if arm in QUICK_ARMS or asked.n_keras == 0:
        return n_trials
    # Three for each process: the first of each is warm-up.
    return min(n_trials, max(asked.n_keras, 3 * cpu_cores() if arm == "keras-cores" else 0))


def _measure(
    laboratory: Laboratory, asked: Plan, name: str, trials: Sequence[Trial], arms: Sequence[str]
) -> dict[str, list[Run]]:
    """Run every arm as often as asked, in turns."""
    data, _ = laboratory.prepare(name)
    runs: dict[str, list[Run]] = {arm: [] for arm in arms}
    for repeat in range(1, asked.repeats + 1):
        laboratory.measure_rate()
        for arm in arms:
            run = laboratory.run(arm, data, trials[: _n_measured(arm, asked, len(trials))])
            runs[arm].append(run)
            print(
                f"  {time.strftime('%H:%M:%S')} {name} {len(trials)}, repeat {repeat}, {ABOUT[arm]}: "
                f"{run.n_trials} trials in {run.wall_s:.1f} s, {run.cpu_s:.1f} CPU-s, first result after "
                f"{run.first_s:.1f} s, load {os.getloadavg()[0]:.1f}",
                flush=True,
            )
    return runs


def _pack_sizes(laboratory: Laboratory, sizes: Sequence[int]) -> None:
    """Print throughput against pack size, on the churn-size set with networks of one depth."""
    data, facts = laboratory.prepare("churn")
    alike = [trial for trial in trial_list("churn", 4 * max(sizes)) if len(trial.units) == _PACK_DEPTH]
    print(
        f"\n### Throughput against pack size\n\nchurn-size, {facts.n_train:,} training rows, {_PACK_DEPTH} layers of "
        "384 units, warm, as many packs side by side as the device has lanes\n\n| pack | trials/h |\n|---|---|"
    )
    for size, rate in laboratory.pack_sizes(data, alike, sizes):
        print(f"| {size:,} | {rate:,.0f} |", flush=True)


def main() -> None:
    """Measure what was asked for and print it."""
    asked, save = plan()
    arms = _installed(asked.arms)
    saved = []
    with tempfile.TemporaryDirectory(prefix="hpsearch-training-", ignore_cleanup_errors=True) as folder:
        laboratory = Laboratory(Path(folder), cpu_cores())
        laboratory.measure_rate()
        print(
            f"{time.strftime('%Y-%m-%d %H:%M')}, {platform.machine()}, {cpu_cores()} cores, Python "
            f"{platform.python_version()}, trains on {laboratory.device_name}; load at the start "
            f"{os.getloadavg()[0]:.1f}; {asked.repeats} repeats",
            flush=True,
        )
        for name in asked.sets:
            _, facts = laboratory.prepare(name)
            for which, length in product(asked.lists, asked.lengths):
                trials = trial_list(name, length, which)
                runs = _measure(laboratory, asked, name, trials, arms)
                print_case(name, which, trials, facts, runs, laboratory)
                saved += [
                    {"set": name, "list": which, "trials": length, "arm": arm, **asdict(run)}
                    for arm in runs
                    for run in runs[arm]
                ]
                if save is not None:
                    save.write_text(json.dumps(saved, indent=1))
        sizes = asked.pack_sizes
        if sizes is None:
            sizes = _PACK_SIZES if laboratory.device_kind == "gpu" else ()
        if sizes:
            _pack_sizes(laboratory, sizes)
    print(f"\nLoad at the end {os.getloadavg()[0]:.1f}.")


if __name__ == "__main__":
    with stop_signals():  # so that what was started is ended, too
        main()
