"""The rows of one fold on the device, put there once and shared by all packs."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from hpsearch.domain.task import TaskName
from workers.training.engine.rows import StudyRows
from workers.training.engine.stacked_scores import Truth
from workers.training.engine.task import TrialTask


@dataclass(frozen=True)
class FoldData:
    """One fold of one study on the device.

    Attributes:
        tensors: Training inputs and targets, held-out inputs. The folds of a study are padded with rows of zeros to
            the same number, so that they share programs.
        n_rows: Training rows, without padding.
        n_held_out: Held-out rows, without padding.
        n_inputs: Width of the inputs.
        n_outputs: Width of the output.
        truth: Scores the held-out outputs.
    """

    tensors: tuple[Any, Any, Any]
    n_rows: int
    n_held_out: int
    n_inputs: int
    n_outputs: int
    truth: Truth

    @property
    def padded_rows(self) -> tuple[int, int]:
        """Training and held-out rows on the device, padding included."""
        return int(self.tensors[0].shape[0]), int(self.tensors[2].shape[0])


class FoldStore:
    """Keeps what is on the device as long as somebody uses the study's rows."""

    def __init__(self) -> None:
        self._folds: WeakKeyDictionary[StudyRows, dict[tuple[int, str], FoldData]] = WeakKeyDictionary()
        self._lock = threading.Lock()

    def of(self, task: TrialTask, study: StudyRows, fold: int) -> FoldData:
        """Return a fold's rows, put on the device the first time."""
        with self._lock:
            folds = self._folds.setdefault(study, {})
            place = (fold, task.study.metric)
            if place not in folds:
                folds[place] = device_fold(task.study.task, task.study.metric, study, fold)
            return folds[place]


def device_fold(task: TaskName, metric: str, study: StudyRows, fold: int) -> FoldData:
    """Return a fold's rows, put on the device.

    Args:
        task: Of the study.
        metric: The objective.
        study: Whose rows.
        fold: From 0.
    """
    prepared = study.fold(fold)
    held_out = prepared.held_out
    if held_out is None:
        msg = f"fold {fold} has no held-out rows"
        raise ValueError(msg)
    # Sizes of folds differ by one row at most.
    spare = 0 if study.n_folds == 1 else 1
    preparation = prepared.preparation
    truth = Truth(
        task,
        held_out.truth,
        n_classes=max(2, preparation.n_outputs),
        target_mean=preparation.target_mean,
        target_scale=preparation.target_scale,
        objective=metric,
    )
    n_rows, n_held_out = len(prepared.train.rows), len(held_out.rows)
    n_all = n_rows + n_held_out
    most_held_out = -(-n_all // study.n_folds) if spare else n_held_out
    most_rows = n_all - n_all // study.n_folds if spare else n_rows
    return FoldData(
        tensors=(
            tf.constant(_padded(prepared.train.inputs, most_rows)),
            tf.constant(_padded(prepared.train.targets, most_rows)),
            tf.constant(_padded(held_out.inputs, most_held_out)),
        ),
        n_rows=n_rows,
        n_held_out=n_held_out,
        n_inputs=preparation.n_inputs,
        n_outputs=preparation.n_outputs,
        truth=truth,
    )


def _padded(rows: npt.NDArray[Any], n_rows: int) -> npt.NDArray[Any]:
    return np.pad(rows, [(0, n_rows - len(rows)), *([(0, 0)] * (rows.ndim - 1))]) if n_rows > len(rows) else rows
