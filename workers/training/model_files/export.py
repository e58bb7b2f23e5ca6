"""The model file: a plain Keras model that takes raw rows, its card, and the proof that it scores what was reported."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from hpsearch import __version__
from hpsearch.data.prepare import Preparation
from hpsearch.data.table import Table
from hpsearch.domain.mlp import MlpConfig, count_weights
from hpsearch.domain.task import TASKS, TaskName
from hpsearch.domain.trial import Outcome
from hpsearch.model_card import CardColumn, Evaluation, ModelCard, write_card
from workers.training.engine.failures import UntrainableError
from workers.training.engine.rows import Part, StudyRows
from workers.training.engine.scores import score
from workers.training.engine.task import TrialTask
from workers.training.engine.trial_kinds import Source, rows_of
from workers.training.keras_networks.network import build_network
from workers.training.model_files.evaluation import evaluation_of
from workers.training.model_files.outputs import predict_raw
from workers.training.model_files.raw_inputs import RawForm

# Largest difference between the file's score and the reported value, relative to values above 1.
TOLERANCE: Final = 1e-5
# Largest difference between a prediction of the file and one of the network, of probabilities or in standard deviations
# of a regression target. Rounding stays far below, a misplaced column far above.
MAX_DIFFERENCE: Final = 1e-3

_USAGE: Final = {
    "matrix": (
        "keras.models.load_model(path)(rows): rows is a float array (n, number of columns), raw values in the order of "
        "`columns`, NaN where missing."
    ),
    "columns": (
        "keras.models.load_model(path)(rows): rows is a dictionary from each column's `input` to an array (n, 1) of "
        'raw values; numbers NaN and texts "" where missing.'
    ),
}


@dataclass(frozen=True)
class Exported:
    """A written and proven model file.

    Attributes:
        path: Of the file.
        outcome: The trial's, with the file's own score.
    """

    path: Path
    outcome: Outcome


@dataclass(frozen=True)
class _Made:
    """What is known while a file is made: the trial, its rows, the source, and the Keras network of its weights."""

    task: TrialTask
    source: Source
    table: Table
    preparation: Preparation
    part: Part
    n_training_rows: int
    network: Any


def export(task: TrialTask, study: StudyRows, source: Source, outcome: Outcome, path: Path) -> Exported:
    """Write the model file, load it again, score it on the raw rows behind the value, and return what it scores.

    Args:
        task: The trial.
        study: Its rows.
        source: Weights, and what the network that was trained says of the rows.
        outcome: COMPLETE, as trained.
        path: Where to write; appears complete or not at all.

    Raises:
        UntrainableError: The loaded file does not predict what the trained network does; no file is left.
        OSError: The file can not be written; no file is left.
    """
    if outcome.value is None:
        msg = "a trial without a value has no model to write"
        raise UntrainableError(msg)
    draft = path.with_name(f"{path.stem}.draft.keras")
    try:
        made = _made(task, study, source)
        form = RawForm.of(made.preparation.columns, [layer.name for layer in made.network.layers])
        raw_model(made.network, made.preparation, task.study.task, form).save(draft)
        outcome, evaluation = _proven(made, outcome, form, draft)
        write_card(draft, _card(made, outcome, form, evaluation))
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)
    return Exported(path, outcome)


def _made(task: TrialTask, study: StudyRows, source: Source) -> _Made:
    prepared = rows_of(study, source.division)
    network = build_network(
        MlpConfig.from_params(task.trial.params),
        n_inputs=prepared.preparation.n_inputs,
        n_outputs=prepared.preparation.n_outputs,
        seed=task.trial.seed,
        dtype=source.dtype,
    )
    network.set_weights(source.weights)
    return _Made(
        task=task,
        source=source,
        table=study.table,
        preparation=prepared.preparation,
        part=prepared.held_out or prepared.train,
        n_training_rows=len(prepared.train.rows),
        network=network,
    )


def raw_model(network: Any, preparation: Preparation, task: TaskName, form: RawForm) -> Any:
    """Return the `keras.Model` from raw rows to predictions, float64, made of the trained network's own layers.

    Outputs: multiclass (n, n_classes) probabilities; binary (n, 1) probability of the second class; regression (n, 1)
    in the target's unit. Dropout is left out: it does nothing in inference.

    Args:
        network: From prepared inputs to raw outputs.
        preparation: That makes its inputs.
        task: Of the study.
        form: How the model takes raw rows.
    """
    inputs, x = form.build(network.compute_dtype)
    for layer in network.layers[1:]:
        if not isinstance(layer, keras.layers.Dropout):
            x = layer(x)
    # Computed in float64, so that probabilities near 1 keep their digits and large targets their decimals.
    if TASKS[task].has_classes:
        outputs = keras.layers.Activation(TASKS[task].link, dtype="float64", name="prediction")(x)
    else:
        # Arrays, because Keras rounds a plain number to float32 on its way to float64.
        scale, mean = np.array([preparation.target_scale]), np.array([preparation.target_mean])
        outputs = keras.layers.Rescaling(scale, mean, dtype="float64", name="prediction")(x)
    return keras.Model(inputs, outputs, name="hpsearch_mlp")


def _proven(made: _Made, outcome: Outcome, form: RawForm, draft: Path) -> tuple[Outcome, Evaluation | None]:
    """Return the outcome with the file's score, and its evaluation where its score is the trial's value.

    Before that, the file's predictions are compared with the trained network's.
    """
    kind, part, preparation = made.task.study.task, made.part, made.preparation
    expected = preparation.predictions(made.source.outputs.astype(np.float64))
    loaded = keras.models.load_model(draft, compile=False)
    raw = form.rows({column.name: made.table.columns[column.name][part.rows] for column in form.columns})
    predictions = predict_raw(loaded, raw)
    difference = float(np.abs(predictions - expected).max()) / preparation.target_scale
    # Not `difference > …`: NaN must fail.
    if not difference <= MAX_DIFFERENCE:
        msg = f"the exported model predicts otherwise than the trained network: the largest difference is {difference}"
        raise UntrainableError(msg)
    if not made.source.is_judged:
        return outcome, None
    metric = made.task.study.metric
    scores = score(kind, predictions, part.truth, target_scale=preparation.target_scale, objective=metric)
    return _with_scores(outcome, scores, metric, made.source.prefix), evaluation_of(kind, predictions, part.truth)


def _with_scores(outcome: Outcome, scores: Mapping[str, float | None], metric: str, prefix: str) -> Outcome:
    """Return the outcome with the file's scores where they differ by more than rounding.

    Predictions agree to many digits, but two rows that the network holds for equal may change places in a ranking, or
    one at the border may change class: then what the file scores is what is reported.
    """
    reported, value = outcome.value, scores[metric]
    if reported is None or value is None or abs(value - reported) <= TOLERANCE * max(1.0, abs(reported)):
        return outcome
    named = {f"{prefix}{name}": score for name, score in scores.items()}
    return outcome.model_copy(update={"value": value, "metrics": {**outcome.metrics, **named}})


def _card(made: _Made, outcome: Outcome, form: RawForm, evaluation: Evaluation | None) -> ModelCard:
    task, source, preparation = made.task, made.source, made.preparation
    config = MlpConfig.from_params(task.trial.params)
    names = form.names or (None,) * len(form.columns)
    columns = tuple(
        CardColumn(name=column.name, kind=column.kind, input=name, categories=column.categories)
        for column, name in zip(form.columns, names, strict=True)
    )
    return ModelCard(
        hpsearch_version=__version__,
        study_id=task.study.study_id,
        study_name=task.study.name,
        trial_id=task.trial.trial_id,
        trial_number=task.trial.number,
        trial_kind=task.trial.kind.value,
        dataset_digest=task.study.dataset_digest,
        task=task.study.task,
        target=made.table.profile.target,
        classes=preparation.classes,
        form="matrix" if form.names is None else "columns",
        columns=columns,
        params=task.trial.params,
        seed=task.trial.seed,
        n_weights=count_weights(
            config.units,
            n_inputs=preparation.n_inputs,
            n_outputs=preparation.n_outputs,
            batch_norm=config.batch_norm,
        ),
        n_training_rows=made.n_training_rows,
        best_epoch=source.best_epoch,
        metric=task.study.metric,
        direction=task.study.direction,
        value=outcome.value or 0.0,
        metrics=outcome.metrics,
        judged_on=source.judged_on,
        n_judged_rows=len(made.part.rows) if source.is_judged else None,
        trained_on=source.trained_on,
        selection=task.trial.selection,
        evaluation=evaluation,
        usage=_USAGE["matrix" if form.names is None else "columns"],
    )
