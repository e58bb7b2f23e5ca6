"""Keras Tuner on a study, from the start to the model file.

    python -m benchmarks.study_arms.tuner_arm JOB.json

One process, as Keras Tuner is used on one machine: several of them need a server of its own protocol. It searches
alone: it neither confirms nor refits, so that it is measured on studies without these stages.
"""

from __future__ import annotations

import importlib
import sys
import time
from pathlib import Path
from typing import Any, Final

from benchmarks.study_arms.keras_trial import Rows, callbacks, compiled, judged
from benchmarks.study_arms.optuna_arm import Job
from benchmarks.study_arms.plan import Parameter, Plan
from benchmarks.study_arms.trials import TrialEnd, write_trials
from hpsearch.cli.stopping import stop_signals

_SEEDS_OF_A_RUN: Final = 100_000


def asked(space: Any, parameters: tuple[Parameter, ...]) -> dict[str, Any]:
    """Return the parameters of a trial from Keras Tuner's space; conditions are those of the study.

    Args:
        space: Keras Tuner's `HyperParameters`.
        parameters: Of the study.
    """
    params: dict[str, Any] = {}
    for one in parameters:
        if not one.is_active(params):
            continue
        sampling = "log" if one.log else "linear"
        if one.kind == "int":
            params[one.name] = space.Int(one.name, int(one.low), int(one.high), sampling=sampling)
        elif one.kind == "float":
            params[one.name] = space.Float(one.name, one.low, one.high, sampling=sampling)
        elif len(one.choices) == 1:
            params[one.name] = one.choices[0]
        else:
            params[one.name] = space.Choice(one.name, list(one.choices))
    return params


def run(job: Job) -> None:
    """Run the study of a job.

    Raises:
        SystemExit: The study has stages that Keras Tuner does not have.
    """
    tuners = importlib.import_module("keras_tuner")
    plan, rows = Plan.read(job.data), Rows(job.data)
    if plan.confirm_top or plan.refit:
        msg = "Keras Tuner neither confirms nor refits: measure it on studies without"
        raise SystemExit(msg)
    ends: list[TrialEnd] = []
    kept: dict[str, Any] = {}

    class Network(tuners.HyperModel):  # type: ignore[misc, name-defined]
        def build(self, space: Any) -> Any:
            return compiled(asked(space, plan.space), plan, _SEEDS_OF_A_RUN * job.seed + len(ends))

        def fit(self, space: Any, model: Any, *_data: Any, **options: Any) -> float:
            began_s = time.monotonic()
            history = model.fit(
                *rows.train,
                validation_data=rows.validation,
                epochs=plan.stop.max_epochs,
                batch_size=asked(space, plan.space).get("batch_size", 64),
                callbacks=[*callbacks(plan), *options.get("callbacks", [])],
                verbose=0,
            ).history
            fitted = judged(model, history, plan)
            ends.append(TrialEnd("search", fitted.score, fitted.epochs, time.monotonic() - began_s, time.time()))
            worst = float("-inf") if plan.maximize else float("inf")
            score = worst if fitted.score is None else fitted.score
            if not kept or (score > kept["score"] if plan.maximize else score < kept["score"]):
                kept.update(score=score, network=model)
            return score

    kind = tuners.RandomSearch if plan.algorithm == "random" else tuners.BayesianOptimization
    tuner = kind(
        Network(),
        objective=tuners.Objective("score", "max" if plan.maximize else "min"),
        max_trials=plan.n_trials,
        seed=job.seed,
        directory=str(job.scratch),
        project_name="tuner",
    )
    tuner.search()
    kept["network"].save(job.out)
    write_trials(ends, job.scratch / "trials.json")


if __name__ == "__main__":
    with stop_signals():
        run(Job.read(Path(sys.argv[1])))
