"""The arms, and Bench: runs each of them on a study and says what it came to."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import asdict, dataclass
from itertools import count
from pathlib import Path
from statistics import fmean
from typing import Any, Final

from benchmarks.study_arms import hpsearch_arm
from benchmarks.study_arms.definitions import write_definition
from benchmarks.study_arms.measured import Cost, measure
from benchmarks.study_arms.optuna_arm import Job
from benchmarks.study_arms.plan import Plan
from benchmarks.study_arms.trials import TrialEnd, read_trials
from benchmarks.training_arms.launch import QUIET

# Those of the product, and what each gives to `--engine`.
ENGINES: Final[dict[str, str | None]] = {
    "hpsearch-first": None,
    "hpsearch-later": None,
    "hpsearch-reference": "reference",
}
# What users would run instead: what it is, and the module that does it.
OTHERS: Final = {"optuna": "benchmarks.study_arms.optuna_arm", "keras-tuner": "benchmarks.study_arms.tuner_arm"}
ABOUT: Final = {
    "hpsearch-first": "`hpsearch run`, first start",
    "hpsearch-later": "`hpsearch run`, later start",
    "hpsearch-reference": "`hpsearch run --engine reference`",
    "optuna": "Optuna + Keras, a process a core",
    "keras-tuner": "Keras Tuner, one process",
}


@dataclass(frozen=True)
class StudyRun:
    """What an arm did with a study once.

    Attributes:
        wall_s: From the start of the command until its model file lay there.
        exit_s: Until the command had ended.
        cpu_s: User and system time of all its processes, until they had ended.
        first_s: Until the first result was stored.
        n_trials: Of the search.
        n_others: Baselines, confirmations and the refit.
        epochs: Trained, over all trials.
        scores: Of the search trials that came to one.
        best: Of them.
        mean: Of them.
        training_s: Seconds that a core or device was busy with a trial, over all trials.
        idle_share: Share of the wall time of all cores that no trial had: 1 - training_s / (cores x wall_s). Starting,
            importing, searching, reporting, compiling, writing the model, and cores that wait for the last trials.
            Where several trials share the time of all cores as one program, it is divided among them, so that one
            lane that uses two cores counts as one.
        peak_process_bytes: Largest resident memory of one process.
        peak_tree_bytes: Of all processes together.
        largest: Peak of each process by what it runs.
        model_bytes: Size of the model file.
    """

    wall_s: float
    exit_s: float
    cpu_s: float
    first_s: float
    n_trials: int
    n_others: int
    epochs: int
    scores: tuple[float, ...]
    best: float
    mean: float
    training_s: float
    idle_share: float
    peak_process_bytes: int
    peak_tree_bytes: int
    largest: dict[str, int]
    model_bytes: int

    def document(self) -> dict[str, Any]:
        """Return the run as JSON holds it."""
        return asdict(self)


def study_run(trials: list[TrialEnd], cost: Cost, model: Path, plan: Plan, n_cores: int) -> StudyRun:
    """Return the figures of a run.

    Args:
        trials: All that ended.
        cost: Of the command.
        model: The file that it wrote.
        plan: Of the study.
        n_cores: That it could use.

    Raises:
        SystemExit: There is no model, no score, or another number of trials than asked for.
    """
    search = [trial for trial in trials if trial.kind == "search"]
    scores = tuple(trial.score for trial in search if trial.score is not None)
    if len(search) != plan.n_trials or not scores or not model.is_file():
        msg = f"{len(search)} of {plan.n_trials} trials ended, {len(scores)} with a score; model: {model.is_file()}"
        raise SystemExit(msg)
    # The change of the inode, not of the content: the file is moved to its place when it is whole.
    wall_s = model.stat().st_ctime - cost.started_at
    training_s = sum(trial.device_s for trial in trials)
    return StudyRun(
        wall_s=wall_s,
        exit_s=cost.exit_s,
        cpu_s=cost.cpu_s,
        first_s=min(trial.ended_at for trial in trials if trial.score is not None) - cost.started_at,
        n_trials=len(search),
        n_others=len(trials) - len(search),
        epochs=sum(trial.epochs for trial in trials),
        scores=scores,
        best=max(scores) if plan.maximize else min(scores),
        mean=fmean(scores),
        training_s=training_s,
        idle_share=1 - training_s / (n_cores * wall_s),
        peak_process_bytes=cost.peak_process_bytes,
        peak_tree_bytes=cost.peak_tree_bytes,
        largest=cost.largest,
        model_bytes=model.stat().st_size,
    )


class Bench:
    """Runs arms, each in a folder of its own.

    Args:
        folder: Empty.
        n_cores: Of this machine: the other side gets a process for each.
        n_trials: Of every study; None for its own.
        engine: For `--engine` of the product's arms that name none; None leaves it out.
    """

    def __init__(self, folder: Path, n_cores: int, *, n_trials: int | None = None, engine: str | None = None) -> None:
        self._folder = folder
        self._n_cores = n_cores
        self._n_trials = n_trials
        self._engine = engine
        self._numbers = count(1)
        self._later: dict[str, Path] = {}

    def prepare(self, study: str) -> Plan:
        """Return the plan of a study, its rows made if they are not there yet."""
        folder = self._folder / study
        if not folder.exists():
            folder.mkdir()
            definition = write_definition(study, folder / "study.yaml", seed=0, n_trials=self._n_trials)
            command = [sys.executable, "-m", "benchmarks.study_arms.prepare", str(definition), str(folder)]
            subprocess.run(command, env=os.environ | QUIET, check=True)
        return Plan.read(folder)

    def run(self, arm: str, study: str, repeat: int) -> StudyRun:
        """Return what an arm came to.

        Args:
            arm: One of `ABOUT`.
            study: One of `STUDIES`.
            repeat: From 1; the seed of both sides' search.

        Raises:
            SystemExit: It failed.
        """
        plan = self.prepare(study)
        scratch = self._folder / f"{next(self._numbers)}-{study}-{arm}"
        scratch.mkdir()
        model = scratch / "model.keras"
        if arm in ENGINES:
            cost, data_dir = self._run_product(arm, study, repeat, scratch, model)
            trials = hpsearch_arm.ends(data_dir, plan.digest)
        else:
            cost = self._run_other(arm, study, repeat, scratch, model)
            trials = read_trials(scratch / "trials.json")
        return study_run(trials, cost, model, plan, self._n_cores)

    def _run_product(self, arm: str, study: str, repeat: int, scratch: Path, model: Path) -> tuple[Cost, Path]:
        if arm == "hpsearch-later" and study not in self._later:
            # Not measured: leaves behind what a later start finds.
            self.run("hpsearch-first", study, repeat)
        data_dir = self._later[study] if arm == "hpsearch-later" else scratch / "data"
        if arm == "hpsearch-first":
            self._later[study] = data_dir
        definition = write_definition(study, scratch / "study.yaml", seed=repeat, n_trials=self._n_trials)
        engine = ENGINES[arm] or self._engine
        return hpsearch_arm.run(definition, model, data_dir, engine=engine, log=scratch / "log"), data_dir

    def _run_other(self, arm: str, study: str, repeat: int, scratch: Path, model: Path) -> Cost:
        job = Job(self._folder / study, scratch, model, repeat, self._n_cores)
        job.write(scratch / "job.json")
        command = [sys.executable, "-m", OTHERS[arm], str(scratch / "job.json")]
        return measure(ABOUT[arm], command, scratch / "log", os.environ | QUIET)
