"""The search: ask the sampler, train, tell, until the budget is spent; then train the best on all rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hpsearch import _layout
from hpsearch.domain.lifecycle import TrialKind, TrialState
from hpsearch.domain.metrics import Direction, direction_of
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.task import TASKS, TaskName
from hpsearch.domain.trial import Outcome, Params
from hpsearch.embedded.network import TrainedNetwork
from hpsearch.errors import HpsearchError
from hpsearch.sampling.baselines import linear_baseline, mlp_baseline
from hpsearch.sampling.grid_walk import grid_walk
from hpsearch.sampling.suggest import NetworkShape, Observation, SuggestRequest, suggest
from hpsearch.service.ids import derived_seed
from hpsearch.settings import default_data_dir
from hpsearch.wire.claims import StudyBrief

if TYPE_CHECKING:
    from hpsearch.data.table import Table

_TRAINER: Final = "workers.training.native.in_process"
_STUDY: Final = "embedded"


@dataclass(frozen=True)
class Tried:
    """One trial.

    Attributes:
        number: From 0.
        kind: `search` or `baseline`.
        seed: Decides initial weights, shuffling and dropout.
        outcome: How it ended.
    """

    number: int
    kind: TrialKind
    params: Params
    seed: int
    outcome: Outcome

    @property
    def value(self) -> float | None:
        """The objective; None when it came to no result."""
        return self.outcome.value if self.outcome.state == "COMPLETE" else None


@dataclass(frozen=True)
class Found:
    """What a search came to.

    Attributes:
        trials: In the order of their numbers.
        best: The best of them.
        network: Trained with its parameters on all rows.
        metric: What their values are, of the validation rows.
        direction: Which way it is better.
    """

    trials: tuple[Tried, ...]
    best: Tried
    network: TrainedNetwork
    metric: str
    direction: Direction


def search(table: Table, task: TaskName, definition: StudyDefinition, *, n_at_once: int = 1) -> Found:
    """Return what a search of this definition finds on these rows.

    The same rows, definition and number at once give the same result. Nothing is stored.

    Args:
        table: All rows.
        task: What is predicted.
        definition: Space, algorithm, budget, split, objective and training. Its data set is not looked at.
        n_at_once: Trials trained at the same time, each in a thread.

    Raises:
        InvalidStudyError: The definition does not work on these rows.
        HpsearchError: With code `study.no_result`: no trial came to a result; the message says why.
    """
    metric = definition.objective.metric if definition.objective else TASKS[task].default_metric
    brief = StudyBrief(
        study_id=_STUDY, name=definition.name, dataset_id=_STUDY, dataset_digest=table.digest, task=task,
        split=definition.split, metric=metric, direction=direction_of(metric), training=definition.training,
        data_order_seed=definition.algorithm.seed,
    )  # fmt: skip
    trainer = _layout.load(_TRAINER).InProcessTrainer(table, brief, kernels=_kernels())
    run = _Run(trainer, definition, brief, n_at_once)
    trials = run.trials()
    ranked = [trial for trial in trials if trial.value is not None]
    if not ranked:
        why = next((trial.outcome.detail for trial in trials if trial.outcome.detail), "all diverged")
        msg = f"none of the {len(trials)} trials came to a result: {why}"
        raise HpsearchError(msg, code="study.no_result")
    best = min(ranked, key=lambda trial: brief.objective.sort_key(trial.value or 0.0))
    weights, preparation = trainer.train_on_all_rows(best.params, best.seed, max(1, best.outcome.best_epoch or 1))
    network = TrainedNetwork(MlpConfig.from_params(best.params), tuple(weights), preparation, table.profile)
    return Found(tuple(trials), best, network, metric, brief.direction)


class _Run:
    def __init__(self, trainer: Any, definition: StudyDefinition, brief: StudyBrief, n_at_once: int) -> None:
        self._trainer = trainer
        self._definition = definition
        self._brief = brief
        self._n_at_once = n_at_once
        n_inputs, n_outputs = trainer.widths
        self._shape = NetworkShape(n_inputs, n_outputs, definition.constraints.max_weights)
        self._tried: list[Tried] = []

    def trials(self) -> list[Tried]:
        with ThreadPoolExecutor(self._n_at_once, thread_name_prefix="hpsearch") as pool:
            for kind, points in self._batches():
                numbers = range(len(self._tried), len(self._tried) + len(points))
                self._tried.extend(pool.map(partial(self._train, kind), numbers, points))
        return self._tried

    def _batches(self) -> Iterator[tuple[TrialKind, list[Params]]]:
        definition = self._definition
        if definition.baselines:
            yield TrialKind.BASELINE, [linear_baseline(definition), mlp_baseline(definition, self._shape)]
        n_done, n_wanted = 0, definition.max_trials or 0
        algorithm = definition.algorithm
        walk = grid_walk(definition.space, algorithm, self._shape) if algorithm.is_finite else None
        if walk is not None:
            n_wanted = min(n_wanted or walk.grid.size, walk.grid.size)
        while n_done < n_wanted:
            n = min(self._n_at_once, n_wanted - n_done)
            points = suggest(self._request(n, n_done, n_wanted)) if walk is None else walk.points(n_done, n)
            yield TrialKind.SEARCH, points
            n_done += n

    def _request(self, n: int, first_index: int, max_trials: int) -> SuggestRequest:
        seen = (Observation(one.params, TrialState(one.outcome.state), one.value) for one in self._tried)
        return SuggestRequest(
            space=self._definition.space, algorithm=self._definition.algorithm, shape=self._shape,
            direction=self._brief.direction, n=n, first_index=first_index, max_trials=max_trials,
            observations=tuple(seen),
        )  # fmt: skip

    def _train(self, kind: TrialKind, number: int, params: Params) -> Tried:
        # As the server numbers and seeds its trials.
        n_baselines = sum(one.kind is TrialKind.BASELINE for one in self._tried)
        index = number - n_baselines if kind is TrialKind.SEARCH else number
        seed = derived_seed(self._definition.algorithm.seed, kind.value, index)
        return Tried(number, kind, params, seed, self._trainer.train(number, params, seed, _SILENT))


class _Silent:
    """A sink nobody listens at."""

    def epoch(self, task: object, measurement: object) -> None:
        pass

    def finished(self, task: object, outcome: object, model: object) -> None:
        pass

    def should_stop(self, _task: object) -> bool:
        return False

    def keeps_model(self, _task: object, _value: float) -> bool:
        return False


_SILENT: Final = _Silent()


def _kernels() -> Path:
    """Return where compiled kernels are kept if the package's own folder can not be written."""
    return Path(os.environ.get("HPSEARCH_DATA_DIR") or default_data_dir()) / "cache"
