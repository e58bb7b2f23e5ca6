"""One of the processes that share a study of Optuna + Keras.

    python -m benchmarks.study_arms.optuna_process JOB.json PLACE

Trials are taken one by one until the study has as many as asked for, so that no process waits while another has work.
Where the study confirms its top and refits the winner, the processes share the trainings of the confirmation and the
first of them refits.
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path
from statistics import fmean
from typing import Any, Final

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import FrozenTrial, TrialState

from benchmarks.study_arms.keras_trial import Fitted, Rows, fit, refit
from benchmarks.study_arms.optuna_arm import Job
from benchmarks.study_arms.plan import Parameter, Plan
from benchmarks.study_arms.trials import TrialEnd, write_trials

_PAUSE_S: Final = 0.05
# Seeds of networks: each run has so many, search trials count from 0, confirmations from half of it.
_SEEDS_OF_A_RUN: Final = 100_000
_CONFIRMING: Final = 50_000
_NAME: Final = "study"


def suggested(trial: optuna.Trial, space: tuple[Parameter, ...]) -> dict[str, Any]:
    """Return the parameters of a trial: what is fixed is set, what is not active is left out, the rest is Optuna's."""
    params: dict[str, Any] = {}
    for one in space:
        if not one.is_active(params):
            continue
        if one.kind == "int":
            params[one.name] = trial.suggest_int(one.name, int(one.low), int(one.high), log=one.log)
        elif one.kind == "float":
            params[one.name] = trial.suggest_float(one.name, one.low, one.high, log=one.log)
        elif len(one.choices) == 1:
            params[one.name] = one.choices[0]
        else:
            params[one.name] = trial.suggest_categorical(one.name, one.choices)
    return params


class Process:
    """Its part of the study.

    Args:
        job: Of the arm.
        place: Which of the processes, from 0.
    """

    def __init__(self, job: Job, place: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self._job, self._place = job, place
        self._plan, self._rows = Plan.read(job.data), Rows(job.data)
        seed = job.seed * job.n_processes + place
        samplers = optuna.samplers
        self._study = optuna.create_study(
            storage=JournalStorage(JournalFileBackend(str(job.scratch / "journal.log"))),
            sampler=samplers.RandomSampler(seed)
            if self._plan.algorithm == "random"
            else samplers.TPESampler(seed=seed),
            study_name=_NAME,
            direction="maximize" if self._plan.maximize else "minimize",
            load_if_exists=True,
        )
        self._ends: list[TrialEnd] = []
        self._best: tuple[float, int, Any] | None = None

    def run(self) -> None:
        """Search, confirm and refit as the study says, and leave what became of it."""
        self._search()
        finished = self._finished()
        winner, epochs = finished[0], finished[0].user_attrs["best_epoch"]
        if self._plan.confirm_top:
            winner, epochs = self._confirmed(finished[: self._plan.confirm_top])
        if self._plan.refit:
            if self._place == 0:
                self._refit(winner, epochs)
        elif self._best is not None and self._best[1] == winner.number:
            self._leave(self._best[2])
        write_trials(self._ends, self._job.scratch / f"{self._place}.trials.json")

    def _search(self) -> None:
        while True:
            trial = self._study.ask()
            if trial.number >= self._plan.n_trials:
                self._study.tell(trial, state=TrialState.FAIL)  # one too many: not run, not counted
                return
            params = suggested(trial, self._plan.space)
            trial.set_user_attr("params", params)
            fitted, took_s = self._fit(params, self._seed(trial.number))
            self._tell(trial, fitted)
            self._ended("search", fitted.score, fitted.epochs, took_s)
            if fitted.score is not None and (self._best is None or self._is_better(fitted.score, self._best[0])):
                self._best = (fitted.score, trial.number, fitted.network)

    def _tell(self, trial: optuna.Trial, fitted: Fitted) -> None:
        if fitted.score is None:
            self._study.tell(trial, state=TrialState.FAIL)
        else:
            trial.set_user_attr("best_epoch", fitted.best_epoch)
            self._study.tell(trial, fitted.score)

    def _fit(self, params: dict[str, Any], seed: int) -> tuple[Fitted, float]:
        """Return the trained network and the seconds that it took."""
        began_s = time.monotonic()
        return fit(params, self._plan, self._rows, seed), time.monotonic() - began_s

    def _ended(self, kind: str, score: float | None, epochs: int, took_s: float) -> None:
        self._ends.append(TrialEnd(kind, score, epochs, took_s, time.time()))

    def _finished(self) -> list[FrozenTrial]:
        """Return the trials with a score, best first, as soon as all processes have ended theirs."""
        n_trials = self._plan.n_trials
        while True:
            trials = [trial for trial in self._study.get_trials(deepcopy=False) if trial.number < n_trials]
            if len(trials) == n_trials and all(trial.state.is_finished() for trial in trials):
                break
            time.sleep(_PAUSE_S)
        scored = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        if not scored:
            msg = "no trial came to a score"
            raise SystemExit(msg)
        return sorted(scored, key=lambda trial: trial.value or 0.0, reverse=self._plan.maximize)

    def _confirmed(self, top: list[FrozenTrial]) -> tuple[FrozenTrial, int]:
        """Return the best by the mean over further seeds, and its mean best epoch; trains this process's share."""
        n_seeds = self._plan.confirm_seeds
        for number in range(self._place, len(top) * n_seeds, self._job.n_processes):
            params = top[number // n_seeds].user_attrs["params"]
            fitted, took_s = self._fit(params, self._seed(_CONFIRMING + number))
            self._ended("confirmation", fitted.score, fitted.epochs, took_s)
            _write(self._confirmation(number), {"score": fitted.score, "best_epoch": fitted.best_epoch})
        means: list[tuple[float, int, int]] = []
        for place in range(len(top)):
            told = [_awaited(self._confirmation(place * n_seeds + repeat)) for repeat in range(n_seeds)]
            told = [one for one in told if one["score"] is not None]
            if told:
                mean, epochs = fmean(one["score"] for one in told), fmean(one["best_epoch"] for one in told)
                means.append((mean, place, max(1, round(epochs))))
        _, place, epochs = max(means) if self._plan.maximize else min(means)
        return top[place], epochs

    def _confirmation(self, number: int) -> Path:
        return self._job.scratch / f"confirmed-{number}.json"

    def _refit(self, winner: FrozenTrial, epochs: int) -> None:
        began_s = time.monotonic()
        network = refit(winner.user_attrs["params"], self._plan, self._rows, self._seed(winner.number), epochs)
        self._ended("refit", None, epochs, time.monotonic() - began_s)
        self._leave(network)

    def _leave(self, network: Any) -> None:
        network.save(self._job.scratch / "winner.keras")
        _write(self._job.scratch / "winner.json", {"model": "winner.keras"})

    def _seed(self, number: int) -> int:
        return _SEEDS_OF_A_RUN * self._job.seed + number

    def _is_better(self, score: float, other: float) -> bool:
        return score > other if self._plan.maximize else score < other


def _write(path: Path, told: dict[str, Any]) -> None:
    """Write a file that appears whole: another process may be waiting for it."""
    draft = path.with_suffix(".draft")
    draft.write_text(json.dumps(told))
    draft.replace(path)


def _awaited(path: Path) -> dict[str, Any]:
    while not path.exists():
        time.sleep(_PAUSE_S)
    return dict(json.loads(path.read_text()))


if __name__ == "__main__":
    Process(Job.read(Path(sys.argv[1])), int(sys.argv[2])).run()
