"""What a user would run instead: plain Keras in a loop, under Keras Tuner, under Optuna.

Nothing of the product is imported here, so that these arms start as quickly as they can.
"""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Any, Final

import keras
import numpy as np

from benchmarks.training_arms.job import Job
from benchmarks.training_arms.keras_network import build_network, build_optimizer, loss_and_metric
from benchmarks.training_arms.ledger import Ledger
from benchmarks.training_arms.workload import MAX_EPOCHS, Facts, Trial

# What the lists choose from, for Optuna, which wants to know all choices beforehand.
_CHOICES: Final[dict[str, tuple[Any, ...]]] = {
    "activation": ("relu", "tanh", "sigmoid"),
    "optimizer": ("sgd", "momentum", "nesterov", "adagrad", "rmsprop", "adam", "adamw"),
    "batch_norm": (True, False),
    "init": ("glorot_uniform",),
}


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
    """Return the compiled network of a trial, its initial weights decided by the trial's seed."""
    params = trial.params
    model = build_network(params, n_inputs=facts.n_inputs, n_outputs=facts.n_outputs, seed=trial.seed)
    loss, metric = loss_and_metric(facts.task, "accuracy")
    model.compile(build_optimizer(params, model), loss, metrics=[metric])
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

    class Listed(tuners.HyperModel):  # type: ignore[misc, name-defined]
        def build(self, space: Any) -> Any:
            return build(listed[space.Choice("trial", list(listed))], rows.facts)

        def fit(self, space: Any, model: Any, *data: Any, **options: Any) -> Any:
            trial = listed[space.values["trial"]]
            return model.fit(*data, **{**options, "batch_size": trial.batch_size})

    tuner = tuners.GridSearch(
        Listed(),
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
        study.enqueue_trial(trial.params)

    def objective(asked: optuna.Trial) -> float:
        number = asked.number
        params = {name: _suggested(asked, name, value) for name, value in job.trials[number].params.items()}
        trial = Trial.of_params(job.trials[number].number, params)
        assert trial == job.trials[number], "Optuna tries something else than the list"
        score, n_epochs = train_one(trial, rows)
        ledger.add(trial.number, score, n_epochs)
        return score

    study.optimize(objective, n_trials=len(job.trials))


def _suggested(asked: Any, name: str, value: Any) -> Any:
    """Return Optuna's suggestion for a parameter, from a range around whatever the lists hold."""
    if name in _CHOICES:
        return asked.suggest_categorical(name, _CHOICES[name])
    if isinstance(value, int):
        return asked.suggest_int(name, 1, 512)
    return asked.suggest_float(name, 0.0, 1.0)
