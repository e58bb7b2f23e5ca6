"""A study on disk before any clock starts: its plan, and its rows as the arrays that a user of Keras would have.

    python -m benchmarks.study_arms.prepare DEFINITION FOLDER

Split and preparation are the product's own, so that both sides train on the very same rows. Our side does that work
again, on the clock; the other side finds it done.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path
from typing import Any, Final

from benchmarks.study_arms.plan import Parameter, Plan, Stop
from hpsearch.client.files import file_sha256
from hpsearch.domain.metrics import direction_of
from hpsearch.domain.mlp import count_weights
from hpsearch.domain.parameters import FloatParameter, IntParameter
from hpsearch.domain.parameters import Parameter as SpaceParameter
from hpsearch.domain.space import Space
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.task import TASKS
from hpsearch.domain.training import Training
from hpsearch.ingest.intake import Ingested, ingest_named, ingest_upload
from hpsearch.studyfile.reader import StudyFile, load_study

METRICS: Final = ("accuracy", "roc_auc", "mse", "loss")
# Parameters that the other side's networks do not have.
_UNKNOWN: Final = frozenset({"lr_decay_factor", "lr_decay_patience", "early_stopping_patience"})


class UnfairError(SystemExit):
    """The study has something that the other side can not do the same way."""

    def __init__(self, what: object) -> None:
        super().__init__(f"the study has {what}, which the other side can not do the same way")


def prepare(path: Path, folder: Path) -> Plan:
    """Write the plan and the rows of a study into a folder, and return the plan.

    Args:
        path: Of the definition.
        folder: Takes `plan.json` and `rows.npz`.

    Raises:
        UnfairError: The study has something that the other side can not do the same way; the message names it.
    """
    import numpy as np

    from hpsearch.data.table import read_table
    from workers.training.engine.rows import StudyRows, as_float32

    file = load_study(path)
    definition = file.definition()
    ingested = _ingested(file, definition, folder)
    digest, profile = file_sha256(ingested.content), ingested.profile
    task = definition.task or profile.task
    table = as_float32(read_table(ingested.content, profile, digest))
    rows = StudyRows(table, task, definition.split, "float32")
    if rows.n_folds != 1:
        raise UnfairError(definition.split)
    fold, whole = rows.fold(0), rows.development(test=False)
    assert fold.held_out is not None
    metric = definition.objective.metric if definition.objective else TASKS[task].default_metric
    if metric not in METRICS or (metric == "roc_auc" and task != "binary"):
        raise UnfairError(definition.objective)
    n_inputs, n_outputs = fold.preparation.n_inputs, fold.preparation.n_outputs
    _check_limit(definition, n_inputs, n_outputs)
    np.savez(
        folder / "rows.npz",
        train_inputs=fold.train.inputs,
        train_targets=fold.train.targets,
        validation_inputs=fold.held_out.inputs,
        validation_targets=fold.held_out.targets,
        development_inputs=whole.train.inputs,
        development_targets=whole.train.targets,
    )
    plan = Plan(
        digest=digest,
        task=task,
        metric=metric,
        maximize=direction_of(metric) == "maximize",
        n_inputs=n_inputs,
        n_outputs=n_outputs,
        n_train=len(fold.train.rows),
        n_validation=len(fold.held_out.rows),
        target_scale=float(fold.preparation.target_scale),
        space=_space(definition.space),
        algorithm=definition.algorithm.kind,
        n_trials=definition.max_trials or 0,
        stop=_stop(definition.training),
        confirm_top=definition.confirm.top_k,
        confirm_seeds=definition.confirm.seeds,
        refit=definition.refit == "auto",
    )
    if plan.algorithm == "grid":
        raise UnfairError(definition.algorithm)
    if plan.confirm_top and not plan.refit:  # the confirmed winner's own network is not kept
        raise UnfairError(definition.confirm)
    plan.write(folder)
    return plan


def _ingested(file: StudyFile, definition: StudyDefinition, folder: Path) -> Ingested:
    if file.upload is not None:
        # The content is written beside the file.
        copied = Path(shutil.copy(file.upload.path, folder))
        return ingest_upload(copied, target=file.upload.target)
    reference = definition.dataset
    if reference.builtin is not None:
        return ingest_named("builtin", reference.builtin, folder)
    if reference.generated is not None:
        return ingest_named("generated", reference.generated, folder)
    raise UnfairError(reference)


def _space(space: Space) -> tuple[Parameter, ...]:
    unknown = _UNKNOWN & set(space.flat())
    if unknown:
        raise UnfairError(min(unknown))
    return tuple(_parameter(name, parameter) for name, parameter in space.ordered())


def _parameter(name: str, parameter: SpaceParameter) -> Parameter:
    when: dict[str, tuple[Any, ...]] = {parent: tuple(wanted) for parent, wanted in (parameter.when or {}).items()}
    is_range = isinstance(parameter, IntParameter | FloatParameter) and parameter.steps is None
    if isinstance(parameter, IntParameter | FloatParameter) and is_range and parameter.low < parameter.high:
        kind, choices = parameter.type, ()
        return Parameter(name, kind, parameter.low, parameter.high, log=parameter.log, choices=choices, when=when)
    return Parameter(name, "choice", 0, 0, log=False, choices=tuple(parameter.values or ()), when=when)


def _stop(training: Training) -> Stop:
    early, decay = training.early_stopping, training.lr_decay
    return Stop(
        max_epochs=training.max_epochs,
        patience=None if early is None else early.patience,
        min_delta=0.0 if early is None else early.min_delta,
        decay=None if decay is None else (decay.factor, decay.patience, decay.floor),
    )


def _check_limit(definition: StudyDefinition, n_inputs: int, n_outputs: int) -> None:
    """Refuse a limit on the weights that some network of the space exceeds: the two sides would sample otherwise."""
    limit = definition.constraints.max_weights
    if limit is None:
        return
    flat = definition.space.flat()
    widths = [int(getattr(p, "high", 0)) for name, p in flat.items() if name.startswith("units")]
    largest = count_weights(
        (max(widths, default=64),) * definition.space.max_layers,
        n_inputs=n_inputs,
        n_outputs=n_outputs,
        batch_norm="batch_norm" in flat,
    )
    if largest > limit:
        raise UnfairError(definition.constraints)


def main() -> None:
    """Prepare what the arguments say."""
    prepare(Path(sys.argv[1]), Path(sys.argv[2]))


if __name__ == "__main__":
    main()
