"""Deciding what a definition leaves open: task, metric, widths of the network, size of the budget."""

from __future__ import annotations

from dataclasses import dataclass

from hpsearch.data.objective import check_objective
from hpsearch.data.prepare import fit_preparation
from hpsearch.data.split import split_rows
from hpsearch.data.table import read_table
from hpsearch.domain.objective import Objective
from hpsearch.domain.strict import visible
from hpsearch.domain.study import ResolvedStudy, Split, StudyDefinition
from hpsearch.domain.task import TASKS, TaskName
from hpsearch.domain.training import MAX_EPOCHS
from hpsearch.errors import InvalidStudyError
from hpsearch.lru_cache import LruCache
from hpsearch.sampling.grid_walk import GridWalk, grid_walk
from hpsearch.sampling.request import NetworkShape, SuggestRequest
from hpsearch.sampling.suggest import suggest
from hpsearch.service import datasets
from hpsearch.service.context import Context
from hpsearch.storage.records import DatasetRecord


@dataclass(frozen=True)
class Widths:
    """What the data contribute to the shape of a network, and how many rows train, validate and test it."""

    n_inputs: int
    n_outputs: int
    n_train: int
    n_validation: int
    n_test: int


@dataclass(frozen=True)
class Resolution:
    """A definition with everything decided.

    Attributes:
        resolved: To be stored with the study.
        dataset: The data set's row.
        widths: From the prepared training rows.
        walk: The points of a finite algorithm in their order; None for others.
    """

    resolved: ResolvedStudy
    dataset: DatasetRecord
    widths: Widths
    walk: GridWalk | None

    def shape(self, definition: StudyDefinition) -> NetworkShape:
        """Return the widths with the definition's weight limit."""
        return NetworkShape(self.widths.n_inputs, self.widths.n_outputs, definition.constraints.max_weights)


_widths: LruCache[tuple[str, TaskName, str, str], Widths] = LruCache(64)


def _measure(ctx: Context, record: DatasetRecord, task: TaskName, split: Split, metric: str) -> Widths:
    def make() -> Widths:
        table = read_table(ctx.content.path(record.digest), datasets.profile_of(record), record.digest)
        rows = split_rows(table, task, split)
        check_objective(table, task, rows, metric)
        exclude = frozenset({split.column} if split.column else ())
        first = rows.folds[0]
        structure = rows.development if len(rows.folds) > 1 else None
        preparation = fit_preparation(table, task, first.train, structure_rows=structure, exclude=exclude)
        n_validation = sum(len(fold.validation) for fold in rows.folds)
        return Widths(preparation.n_inputs, preparation.n_outputs, len(first.train), n_validation, len(rows.test))

    return _widths.get((record.digest, task, split.model_dump_json(), metric), make)


def _metric_of(definition: StudyDefinition, task: TaskName) -> Objective:
    objective = definition.objective or Objective(metric=TASKS[task].default_metric)
    if objective.metric not in TASKS[task].metrics:
        msg = (
            f"objective.metric {objective.metric!r} does not fit the task {task} of this data set; "
            f"choose one of {', '.join(TASKS[task].metrics)}"
        )
        raise InvalidStudyError(msg)
    return objective


def resolve(ctx: Context, definition: StudyDefinition) -> Resolution:
    """Return the definition with everything decided, after checking it against its data.

    Raises:
        InvalidStudyError: It can not work: the metric does not fit, the split is impossible, no network obeys the
            weight limit, the grid is too large, …
        NotFoundError: There is no such data set.
    """
    _check_name(definition.name)
    _check_length(definition)
    record = datasets.named(ctx, definition.dataset)
    task: TaskName = definition.task or record.task  # type: ignore[assignment]
    objective = _metric_of(definition, task)
    widths = _measure(ctx, record, task, definition.split, objective.metric)
    shape = NetworkShape(widths.n_inputs, widths.n_outputs, definition.constraints.max_weights)
    walk = grid_walk(definition.space, definition.algorithm, shape) if definition.algorithm.is_finite else None
    if walk is None:
        _check_feasible(definition, shape)
    grid_size = None if walk is None else walk.grid.size
    wanted = definition.max_trials
    max_trials = wanted if grid_size is None else min(grid_size if wanted is None else wanted, grid_size)
    if max_trials is None:
        msg = "budget.max_trials is missing"
        raise InvalidStudyError(msg)
    return Resolution(
        resolved=ResolvedStudy(
            dataset_id=record.uid,
            dataset_digest=record.digest,
            task=task,
            metric=objective.metric,
            direction=objective.resolved_direction,
            n_inputs=widths.n_inputs,
            n_outputs=widths.n_outputs,
            n_validation=widths.n_validation,
            n_test=widths.n_test,
            grid_size=grid_size,
            max_trials=max_trials,
        ),
        dataset=record,
        widths=widths,
        walk=walk,
    )


def _check_name(name: str) -> None:
    try:
        visible(name)
    except ValueError as error:
        msg = f"name {error}"
        raise InvalidStudyError(msg, details={"field": "name"}) from None


def _check_length(definition: StudyDefinition) -> None:
    """Refuse a study whose trials would fill the database: every epoch of every fold is a row."""
    n_epochs = definition.training.max_epochs * (definition.split.folds or 1)
    if n_epochs > MAX_EPOCHS:
        msg = (
            f"a trial may have {MAX_EPOCHS:,} epochs over all folds, received training.max_epochs "
            f"{definition.training.max_epochs} times split.folds {definition.split.folds}: lower one of them"
        )
        raise InvalidStudyError(msg, details={"field": "training.max_epochs"})


def _check_feasible(definition: StudyDefinition, shape: NetworkShape) -> None:
    """Draw one point at random: a space without any feasible point is refused here, not found out later."""
    suggest(
        SuggestRequest(
            space=definition.space,
            algorithm=definition.algorithm.as_random(),
            shape=shape,
            direction="minimize",
            n=1,
            first_index=0,
            max_trials=1,
        )
    )
