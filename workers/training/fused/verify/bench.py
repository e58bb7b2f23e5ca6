"""Training the same trials twice, fused and by plain Keras, and how far the two are apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import sklearn.datasets

from hpsearch.data.table import Table
from hpsearch.domain.dataset import Column, ColumnKind, DatasetProfile
from hpsearch.domain.mlp import MlpConfig
from hpsearch.domain.objective import Objective
from hpsearch.domain.study import Split
from hpsearch.domain.task import TASKS, TaskName, task_for
from hpsearch.domain.training import Training
from hpsearch.domain.trial import Params
from workers.training.engine.epoch_callbacks import EpochCallbacks
from workers.training.engine.fitted import Recipe
from workers.training.engine.member import Member
from workers.training.engine.numerics import Arrays, DType
from workers.training.engine.rows import StudyRows, as_float32
from workers.training.engine.schedule import Schedule
from workers.training.engine.stacked_scores import Metrics
from workers.training.engine.task import TrialTask
from workers.training.fused.fold_data import FoldData, device_fold
from workers.training.fused.graph.program import Program
from workers.training.fused.graph.program_key import Features, Mode, ProgramKey
from workers.training.fused.pack import Pack
from workers.training.fused.planning.program_set import padded
from workers.training.reference.fit import fit

_LOADERS: dict[str, Any] = {
    "iris": sklearn.datasets.load_iris,
    "digits": sklearn.datasets.load_digits,
    "breast_cancer": sklearn.datasets.load_breast_cancer,
    "diabetes": sklearn.datasets.load_diabetes,
}


@dataclass(frozen=True)
class Case:
    """One trial to train both ways.

    Attributes:
        params: Its parameters.
        seed: Its seed.
        training: Limits and schedules.
    """

    params: Params
    seed: int = 1
    training: Training = field(default_factory=lambda: Training(max_epochs=3, early_stopping=None))

    @property
    def config(self) -> MlpConfig:
        """The network."""
        return MlpConfig.from_params(self.params)


@dataclass(frozen=True)
class Curve:
    """What training a case came to.

    Attributes:
        history: Metrics of each epoch.
        best_epoch: From 1.
        stop_reason: Why it ended.
        weights: Of the best epoch, in Keras's order.
    """

    history: tuple[Metrics, ...]
    best_epoch: int
    stop_reason: str | None
    weights: Arrays


class Bench:
    """A small data set on which both ways can be compared, without a server.

    Args:
        name: `iris`, `digits` (multiclass), `breast_cancer` (binary) or `diabetes` (regression).
        dtype: Of weights and computation.
    """

    def __init__(self, name: str, dtype: DType = "float64") -> None:
        table = _table(name)
        self.task: TaskName = table.profile.task
        self.dtype: DType = dtype
        self.metric = TASKS[self.task].default_metric
        self.rows = StudyRows(as_float32(table), self.task, Split(), dtype)
        self.data: FoldData = device_fold(self.task, self.metric, self.rows, 0)
        self._programs: dict[ProgramKey, Program] = {}

    @property
    def objective(self) -> Objective:
        """What decides when a member stops."""
        return Objective(metric=self.metric)

    def member(self, case: Case) -> Member:
        """Return a case as a member of a pack."""
        return Member(
            case.config,
            Schedule.of(case.config, case.training),
            objective=self.objective,
            trial_seed=case.seed,
            data_order_seed=0,
            fold=0,
            dtype=self.dtype,
        )

    def key(self, cases: Sequence[Case], n_slots: int, *, mode: Mode = "xla") -> ProgramKey:
        """Return the key of one program that trains all of the cases, at least one, whatever their depths and widths.

        Args:
            cases: Of any networks.
            n_slots: Of its packs.
            mode: How it runs.
        """
        configs = [case.config for case in cases]
        depths = [len(config.units) for config in configs]
        n_train, n_held_out = self.data.padded_rows
        widest = max(max(config.units, default=0) for config in configs)
        return ProgramKey(
            task=self.task,
            n_inputs=self.data.n_inputs,
            n_outputs=self.data.n_outputs,
            n_train=n_train,
            n_held_out=n_held_out,
            depth=max(depths),
            width=padded(max(widest, self.data.n_outputs)) if max(depths) else 0,
            batch_size=min(max(config.batch_size for config in configs), n_train),
            n_slots=n_slots,
            features=union(cases),
            least_depth=min(depths),
            dtype=self.dtype,
            mode=mode,
        )

    def pack(self, key: ProgramKey, cases: Sequence[Case]) -> Pack:
        """Return a pack of a program that holds the cases, as many as its slots at most, before its first epoch."""
        pack = Pack(self._programs.setdefault(key, Program(key)), self.data)
        pack.admit([self.member(case) for case in cases])
        return pack

    def fused(
        self, cases: Sequence[Case], n_slots: int = 8, *, mode: Mode = "xla", like: Sequence[Case] | None = None
    ) -> list[Curve]:
        """Return the curves of cases trained in one pack, those beyond the slots refilling freed ones.

        Args:
            cases: Of any networks.
            n_slots: Of the pack.
            mode: How its program runs.
            like: The program is the one for these cases; None for those to train.
        """
        pack = self.pack(self.key(like or cases, n_slots, mode=mode), cases[:n_slots])
        members = [pack.members[slot] for slot in sorted(pack.members)]
        later = [self.member(case) for case in cases[n_slots:]]
        members += later
        weights: dict[Member, Arrays] = {}
        while pack.members:
            pack.record(pack.run())
            for slot, member in sorted(pack.members.items()):
                if member.is_over:
                    weights[member] = pack.best_weights(slot)()
                    pack.release(slot)
            if later and pack.n_free:
                fresh, later = later[: pack.n_free], later[pack.n_free :]
                pack.admit(fresh)
        return [
            Curve(tuple(member.history), member.best_epoch, member.stop_reason, weights[member]) for member in members
        ]

    def reference(self, case: Case) -> Curve:
        """Return the curve of a case trained by plain Keras."""
        recipe = Recipe(case.config, self.task, self.objective, case.seed, self.dtype)
        callbacks = EpochCallbacks(
            report=lambda _: None,
            should_stop=lambda: False,
            epochs_before=0,
            fold=None,
            trial_seed=case.seed,
            data_order_seed=0,
        )
        with keras_floats(self.dtype):
            fitted = fit(recipe, Schedule.of(case.config, case.training), self.rows.fold(0), callbacks)
            weights = fitted.weights()
        return Curve(fitted.history, fitted.best_epoch, fitted.stop_reason, weights)


class SameRows:
    """Stands for an engine's cache of rows: gives every task the same, which are in memory already.

    Args:
        rows: Given.
    """

    def __init__(self, rows: StudyRows) -> None:
        self._rows = rows

    def of(self, task: TrialTask) -> StudyRows:
        """Return the rows."""
        del task
        return self._rows


@contextmanager
def keras_floats(dtype: DType) -> Iterator[None]:
    """Make Keras keep learning rates and optimiser slots in the type; put its own setting back afterwards."""
    before = keras.config.floatx()
    keras.config.set_floatx(dtype)
    try:
        yield
    finally:
        keras.config.set_floatx(before)


def union(cases: Sequence[Case]) -> Features:
    """Return what a program for all cases needs."""
    features = Features.of(cases[0].config)
    for case in cases[1:]:
        features |= Features.of(case.config)
    return features


def apart(left: Curve, right: Curve) -> dict[str, float]:
    """Return the largest difference of weights, of losses and of other metrics; infinite where the epochs differ."""
    same = (
        len(left.history) == len(right.history)
        and left.best_epoch == right.best_epoch
        and left.stop_reason == right.stop_reason
    )
    if not same:
        return dict.fromkeys(("weights", "loss", "metrics"), float("inf"))
    return {
        "weights": gap(_telling(left.weights), _telling(right.weights)),
        "loss": _largest(left, right, ("loss", "train_loss")),
        "metrics": _largest(left, right, tuple(set(left.history[0]) - {"loss", "train_loss"})),
    }


def gap(left: Sequence[npt.NDArray[Any]], right: Sequence[npt.NDArray[Any]]) -> float:
    """Return the largest difference between arrays of the same shapes; infinite where a number is none.

    Python's `max` passes over a NaN that does not come first.
    """
    worst = np.max([np.abs(one - other).max() for one, other in zip(left, right, strict=True)])
    return float(worst) if np.isfinite(worst) else float("inf")


def _telling(weights: Arrays) -> Arrays:
    """Return the weights but for biases that batch normalisation takes away again.

    Nothing depends on such a bias, its gradient is rounding noise, and adam makes steps of that. What counts is the
    moving mean less the bias.
    """
    telling: Arrays = []
    for place, weight in enumerate(weights):
        is_layer = weight.ndim > 1
        if is_layer and all(other.ndim == 1 for other in weights[place + 1 : place + 6]) and len(weights) > place + 6:
            bias, gamma, beta, mean, variance = weights[place + 1 : place + 6]
            telling += [weight, gamma, beta, mean - bias, variance]
        elif is_layer:
            telling += weights[place : place + 2]
    return telling


def _largest(left: Curve, right: Curve, names: tuple[str, ...]) -> float:
    worst = 0.0
    for one, other in zip(left.history, right.history, strict=True):
        for name in names:
            first, second = one[name], other[name]
            if first is None or second is None:
                worst = max(worst, 0.0 if first is second else float("inf"))
            else:
                worst = max(worst, abs(first - second) / max(1.0, abs(first)))
    return worst


def _table(name: str) -> Table:
    loaded = _LOADERS[name]()
    inputs: npt.NDArray[np.float64] = loaded.data
    target = np.asarray(loaded.target)
    classes = () if name == "diabetes" else tuple(str(label) for label in loaded.target_names)
    task = task_for(len(classes))
    names = [f"x{number}" for number in range(inputs.shape[1])]
    profile = DatasetProfile(
        n_rows=len(inputs),
        columns=tuple(Column(name=column, kind=ColumnKind.REAL) for column in names),
        target="target",
        task=task.name,
        classes=classes,
        class_counts=tuple(int(count) for count in np.bincount(target)) if classes else (),
    )
    columns = {column: inputs[:, number] for number, column in enumerate(names)}
    kind = np.int64 if task.has_classes else np.float64
    return Table(profile, columns, target.astype(kind), len(inputs), name)
