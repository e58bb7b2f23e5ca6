"""What a user would run instead: plain Keras in a loop, under Keras Tuner, under Optuna.

Nothing of the product is imported here, so that these arms start as quickly as they can.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any

import keras
import numpy as np

from benchmarks.training_arms.job import Job
from benchmarks.training_arms.ledger import Ledger
from benchmarks.training_arms.workload import MAX_EPOCHS, Facts, Trial


class Rows:
    """The prepared rows of a set, as arrays.

    Args:
        folder: Where they were prepared.
    """

    def __init__(self, folder: Path) -> None:
        self.facts = Facts.read(folder)
        with np.load(folder / "arrays.npz") as arrays:
            self.train = (arrays["train_inputs"], arrays["train_targets"])
            self.validation = (arrays["validation_inputs"], arrays["validation_targets"])

    def fit_options(self, trial: Trial) -> dict[str, Any]:
        """Return what `fit` is given beside the training rows."""
        return {
            "validation_data": self.validation,
            "epochs": MAX_EPOCHS,
            "batch_size": trial.batch_size,
            "callbacks": [best_weights()],
            "verbose": 0,
        }


def best_weights() -> Any:
    """Return the callback that goes back to the best epoch; its patience never ends a trial, so all do equal work."""
    return keras.callbacks.EarlyStopping(
        monitor="val_accuracy", mode="max", patience=MAX_EPOCHS, restore_best_weights=True
    )


def build(trial: Trial, facts: Facts) -> Any:
    """Return the compiled network of a trial, its initial weights decided by the trial's seed.

    Not `keras.utils.set_random_seed`: after it `fit` goes through the rows in one and the same order in every epoch,
    which costs a percent or two of accuracy at high learning rates.
    """
    dense, he = keras.layers.Dense, keras.initializers.HeUniform
    hidden = [
        dense(width, activation="relu", kernel_initializer=he(seed=1_000 * trial.seed + place))
        for place, width in enumerate(trial.units)
    ]
    output = dense(facts.n_outputs, kernel_initializer=he(seed=1_000 * trial.seed + len(trial.units)))
    model = keras.Sequential([keras.Input((facts.n_inputs,)), *hidden, output])
    optimizer = keras.optimizers.AdamW(trial.learning_rate, weight_decay=trial.weight_decay)
    if facts.task == "binary":
        loss: Any = keras.losses.BinaryCrossentropy(from_logits=True)
        metric: Any = keras.metrics.BinaryAccuracy(name="accuracy", threshold=0.0)
    else:
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        metric = keras.metrics.SparseCategoricalAccuracy(name="accuracy")
    model.compile(optimizer, loss, metrics=[metric])
    return model


def train_one(trial: Trial, rows: Rows) -> tuple[float, int]:
    """Return the best validation accuracy of a trial and the epochs it trained."""
    keras.utils.clear_session()
    history = build(trial, rows.facts).fit(*rows.train, **rows.fit_options(trial)).history["val_accuracy"]
    return max(history), len(history)


def loop(job: Job, ledger: Ledger) -> None:
    """Train the trials one after the other."""
    rows = Rows(job.data)
    for trial in job.trials:
        ledger.add(trial.number, *train_one(trial, rows))


def with_tuner(job: Job, ledger: Ledger) -> None:
    """Train them under Keras Tuner: its grid search over the numbers of the list takes each entry once."""
    tuners = importlib.import_module("keras_tuner")
    rows, listed = Rows(job.data), {trial.number: trial for trial in job.trials}
    tuner = tuners.GridSearch(
        lambda space: build(listed[space.Choice("trial", list(listed))], rows.facts),
        objective=tuners.Objective("val_accuracy", "max"),
        max_trials=len(listed),
        directory=str(job.scratch),
        project_name="tuner",
    )
    own = tuner.on_trial_end

    def ended(trial: Any) -> None:
        own(trial)
        ledger.add(trial.hyperparameters.values["trial"], trial.score, MAX_EPOCHS)

    tuner.on_trial_end = ended
    tuner.search(*rows.train, **rows.fit_options(job.trials[0]))


def with_optuna(job: Job, ledger: Ledger) -> None:
    """Train them under Optuna, its study in SQLite; the list is what the study is told to try."""
    import optuna

    optuna.logging.set_verbosity(optuna.logging.WARNING)
    rows = Rows(job.data)
    study = optuna.create_study(storage=f"sqlite:///{job.scratch / 'optuna.db'}", direction="maximize")
    for trial in job.trials:
        widths = {f"units_{layer}": width for layer, width in enumerate(trial.units)}
        rates = {"learning_rate": trial.learning_rate, "weight_decay": trial.weight_decay}
        study.enqueue_trial({"layers": len(trial.units), **widths, **rates})

    def objective(asked: optuna.Trial) -> float:
        depth = asked.suggest_int("layers", 1, 4)
        trial = Trial(
            number=job.trials[asked.number].number,
            units=tuple(asked.suggest_int(f"units_{layer}", 16, 384) for layer in range(depth)),
            learning_rate=asked.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            weight_decay=asked.suggest_float("weight_decay", 1e-6, 1e-2, log=True),
            batch_size=job.trials[asked.number].batch_size,
        )
        assert trial == job.trials[asked.number], "Optuna tries something else than the list"
        score, n_epochs = train_one(trial, rows)
        ledger.add(trial.number, score, n_epochs)
        return score

    study.optimize(objective, n_trials=len(job.trials))
