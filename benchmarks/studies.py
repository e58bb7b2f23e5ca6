"""Whole studies as people write them, from the command to the model file, against Optuna + Keras on all cores.

    python -m benchmarks.studies [--studies digits-random,full,…] [--arms hpsearch-later,optuna] [--repeat 5]
    python -m benchmarks.studies --studies digits-random --repeat 1        # three minutes on two cores
    python -m benchmarks.studies --studies digits-random --trials 512 --arms hpsearch-later    # coordination

Studies are the files of `examples`, digits.yaml by random search, too, and the space of full.yaml on 20,000 x 50 rows.
Both sides search the same space for the same number of trials, train on the same rows with the same rules of stopping,
and end with a model file. Ours trains two baselines besides, as always.

Arms take turns, A B A B …, each in processes of its own; a repeat has a seed of its own on both sides. A first start
has an empty data directory and with it empty caches; what was compiled at installation is kept. A later start finds
the data directory of a first start. Figures are medians of the repeats; a ratio compares neighbours in time and is
printed only where both sides' scores differ by no more than chance. `cores without a trial` is the share of the wall
time of all cores that no trial had, see `StudyRun.idle_share`. No network is needed.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import os
import platform
import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks.study_arms.arms import ABOUT, Bench, StudyRun
from benchmarks.study_arms.definitions import STUDIES
from benchmarks.study_arms.tables import BASE, print_study
from hpsearch.cli.stopping import stop_signals
from workers.devices import cpu_cores

_ARMS: Final = ("hpsearch-first", "hpsearch-later", "hpsearch-reference", BASE)
_TUNER: Final = "keras-tuner"
# Keras Tuner asks for TensorBoard while it runs.
_TUNER_NEEDS: Final = ("keras_tuner", "tensorboard")
_LEAST_TRIALS: Final = 2


@dataclass(frozen=True)
class Asked:
    """What to measure.

    Attributes:
        studies: Names of studies.
        arms: In the order in which they take turns.
        repeats: Of each arm.
        n_trials: Of every study; None for its own.
        engine: For `--engine` of the product's arms that name none.
        tuner: Whether Keras Tuner is measured, once a study.
        out: Takes a JSON line for every run.
    """

    studies: tuple[str, ...]
    arms: tuple[str, ...]
    repeats: int
    n_trials: int | None = None
    engine: str | None = None
    tuner: bool = False
    out: Path | None = None

    def turns(self) -> Iterator[tuple[int, str]]:
        """Yield repeat, from 1, and arm in the order in which they are run."""
        for repeat in range(1, self.repeats + 1):
            yield from ((repeat, arm) for arm in self.arms)
            if self.tuner and repeat == 1:
                yield repeat, _TUNER


def asked(arguments: Sequence[str] | None = None) -> Asked:
    """Return what the command line asks for; a mistake in it ends the process with a sentence."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--studies", default=",".join(STUDIES), help="separated by commas")
    parser.add_argument("--arms", default=",".join(_ARMS), help="separated by commas, in the order of their turns")
    parser.add_argument("--repeat", type=int, default=5, help="how often each arm runs")
    parser.add_argument("--trials", type=int, help="of every study, instead of its own number")
    parser.add_argument("--engine", help="of `hpsearch run` where the arm names none")
    parser.add_argument("--keras-tuner", action="store_true", help="measure Keras Tuner, too, once a study")
    parser.add_argument("--out", type=Path, help="append every single run to this file, a JSON line each")
    options = parser.parse_args(arguments)
    found = Asked(
        studies=_known(parser, "study", options.studies, tuple(STUDIES)),
        arms=_known(parser, "arm", options.arms, _ARMS),
        repeats=options.repeat,
        n_trials=options.trials,
        engine=options.engine,
        tuner=options.keras_tuner,
        out=options.out,
    )
    if found.repeats < 1:
        parser.error(f"--repeat must be at least 1, received {found.repeats}")
    if found.n_trials is not None and found.n_trials < _LEAST_TRIALS:
        parser.error(f"--trials must be at least {_LEAST_TRIALS}, received {found.n_trials}")
    if found.out is not None and not found.out.absolute().parent.is_dir():
        parser.error(f"--out needs a folder that exists, received {found.out}")
    return found


def _known(parser: argparse.ArgumentParser, what: str, given: str, known: Sequence[str]) -> tuple[str, ...]:
    names = tuple(dict.fromkeys(name.strip() for name in given.split(",")))
    for name in names:
        if name not in known:
            parser.error(f"unknown {what} {name!r}; known are {', '.join(known)}")
    return names


def _missing(asked_for: Asked) -> list[str]:
    """Return the modules that Keras Tuner lacks, if it is asked for."""
    return [name for name in _TUNER_NEEDS if asked_for.tuner and importlib.util.find_spec(name) is None]


def measure(bench: Bench, what: Asked, study: str) -> dict[str, list[StudyRun]]:
    """Run every arm as often as asked, in turns, and return the runs of each; every run is written at once."""
    runs: dict[str, list[StudyRun]] = {}
    plan = bench.prepare(study)
    for repeat, arm in what.turns():
        if arm == _TUNER and (plan.confirm_top or plan.refit):
            print(f"Skipped: {ABOUT[arm]} neither confirms nor refits.")
            continue
        run = bench.run(arm, study, repeat)
        runs.setdefault(arm, []).append(run)
        print(
            f"  {time.strftime('%H:%M:%S')} {study}, repeat {repeat}, {ABOUT[arm]}: {run.wall_s:.1f} s to the model, "
            f"{run.cpu_s:.1f} CPU-s, {run.epochs:,} epochs, best {run.best:.5g}, mean {run.mean:.5g}, first result "
            f"after {run.first_s:.1f} s, load {os.getloadavg()[0]:.1f}",
            flush=True,
        )
        if what.out is not None:
            line = {"study": study, "arm": arm, "repeat": repeat, "cores": cpu_cores(), **run.document()}
            with what.out.open("a", encoding="utf-8") as file:
                file.write(json.dumps(line) + "\n")
    return runs


def _is_measured(bench: Bench, what: Asked, study: str) -> bool:
    """Measure a study and print it; where an arm fails, say why, and leave the other studies their turn."""
    try:
        print_study(study, bench.prepare(study), measure(bench, what, study))
    except SystemExit as failure:
        print(f"\n### {study}\n\nNo figures, for an arm failed. {failure}", flush=True)
        return False
    return True


def main() -> None:
    """Measure what was asked for and print it."""
    what = asked()
    missing = _missing(what)
    if missing:
        print(f"Skipped: {ABOUT[_TUNER]} is not installed here (no module {' and no '.join(missing)}).")
        what = Asked(**{**vars(what), "tuner": False})
    print(
        f"{time.strftime('%Y-%m-%d %H:%M')}, {platform.machine()}, {cpu_cores()} cores, Python "
        f"{platform.python_version()}; load at the start {os.getloadavg()[0]:.1f}; {what.repeats} repeats",
        flush=True,
    )
    with tempfile.TemporaryDirectory(prefix="hpsearch-studies-", ignore_cleanup_errors=True) as folder:
        bench = Bench(Path(folder), cpu_cores(), n_trials=what.n_trials, engine=what.engine)
        failed = [study for study in what.studies if not _is_measured(bench, what, study)]
    print(f"\nLoad at the end {os.getloadavg()[0]:.1f}.")
    if failed:
        msg = f"Not measured to the end: {', '.join(failed)}"
        raise SystemExit(msg)


if __name__ == "__main__":
    with stop_signals():  # so that what was started is ended, too
        main()
