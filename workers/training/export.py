"""The model file: a plain Keras model that takes raw rows, its card, and the proof that it scores what was reported."""

from __future__ import annotations

import os
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np
import numpy.typing as npt

from hpsearch.data.prepare import Preparation
from hpsearch.data.table import Table
from hpsearch.domain.metrics import METRICS, Task
from hpsearch.domain.mlp import MlpConfig, count_weights
from hpsearch.domain.trial import Outcome
from hpsearch.model_card import CardColumn, ModelCard, write_card
from workers.training.failures import UntrainableError
from workers.training.judge import predictions_of
from workers.training.raw_inputs import RawForm
from workers.training.scores import score
from workers.training.task import TrialTask
from workers.training.trials import Source

# Largest difference between the file's score and the reported value, relative to values above 1.
TOLERANCE: Final = 1e-5
# Rows per call when a file is checked or used: bounds memory, also for wide networks.
ROWS_AT_ONCE: Final = 4_096


@dataclass(frozen=True)
class Exported:
    """A written and proven model file.

    Attributes:
        path: Of the file.
        outcome: The trial's, with the file's own score.
    """

    path: Path
    outcome: Outcome


def export(task: TrialTask, table: Table, source: Source, outcome: Outcome, path: Path) -> Exported:
    """Write the model file, load it again, score it on the raw rows behind the value, and return what it scores.

    Args:
        task: The trial.
        table: Its data.
        source: Network and preparation.
        outcome: COMPLETE, as trained.
        path: Where to write; appears complete or not at all.

    Raises:
        UntrainableError: The loaded file does not score what was reported; no file is left.
        OSError: The file can not be written; no file is left.
    """
    draft = path.with_name(f"{path.stem}.draft.keras")
    try:
        form = RawForm.of(source.preparation.columns, [layer.name for layer in source.fitted.network.layers])
        raw_model(source, task.study.task, form).save(draft)
        outcome = _proven(task, table, source, outcome, form, draft)
        write_card(draft, _card(task, table, source, outcome, form))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return Exported(path, outcome)


def raw_model(source: Source, task: Task, form: RawForm) -> Any:
    """Return the `keras.Model` from raw rows to predictions, float64, made of the trained network's own layers.

    Outputs: multiclass (n, n_classes) probabilities; binary (n, 1) probability of the second class; regression (n, 1)
    in the target's unit. Dropout is left out: it does nothing in inference.
    """
    network, preparation = source.fitted.network, source.preparation
    inputs, x = form.build(network.compute_dtype)
    for layer in network.layers[1:]:
        if not isinstance(layer, keras.layers.Dropout):
            x = layer(x)
    # Computed in float64, so that probabilities near 1 keep their digits and large targets their decimals.
    if task == "regression":
        scale, mean = preparation.target_scale, preparation.target_mean
        outputs = keras.layers.Rescaling(scale, mean, dtype="float64", name="prediction")(x)
    else:
        kind = "softmax" if task == "multiclass" else "sigmoid"
        outputs = keras.layers.Activation(kind, dtype="float64", name="prediction")(x)
    return keras.Model(inputs, outputs, name="hpsearch_mlp")


def predict_raw(model: Any, raw: npt.NDArray[Any] | dict[str, npt.NDArray[Any]]) -> npt.NDArray[np.float64]:
    """Return the outputs of a model file for raw rows in its form, (n, n_outputs) float64, block by block."""
    n_rows = len(next(iter(raw.values()))) if isinstance(raw, dict) else len(raw)
    outputs = []
    for start in range(0, n_rows, ROWS_AT_ONCE):
        block = slice(start, start + ROWS_AT_ONCE)
        rows = {name: values[block] for name, values in raw.items()} if isinstance(raw, dict) else raw[block]
        outputs.append(keras.ops.convert_to_numpy(model(rows, training=False)))
    return np.concatenate(outputs).astype(np.float64) if outputs else np.zeros((0, model.output_shape[-1]))


def _proven(task: TrialTask, table: Table, source: Source, outcome: Outcome, form: RawForm, draft: Path) -> Outcome:
    """Return the outcome with the file's score, having compared file and network row by row."""
    judged, network = source.judged, source.fitted.network
    if judged is None:
        rows, inputs = source.fitted_rows, source.fitted_inputs
    else:
        rows, inputs = judged.rows, judged.inputs
    loaded = keras.models.load_model(draft, compile=False)
    raw = form.rows({column.name: table.columns[column.name][rows] for column in form.columns})
    from_file = _shaped(task.study.task, predict_raw(loaded, raw))
    del loaded
    return outcome
