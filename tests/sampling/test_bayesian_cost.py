"""Bayesian search costs no more than it may, says nothing, and answers the same each time."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any

import pytest

from hpsearch.sampling.suggest import suggest
from hpsearch.sampling.tpe import MAX_TAUGHT, TpeModel, most_telling, taught_at_most
from tests.sampling.asking import (
    COMPLETE,
    STEP,
    asking,
    history,
    observe,
    shares,
)
from tests.sampling.spaces import space


def test_many_results_are_cut_to_the_best_and_the_newest():
    found = [observe(COMPLETE, float((i * 7_919) % 5_000), batch_size=1 + i) for i in range(5_000)]
    kept = most_telling(found, "minimize", 1_000)
    assert len(kept) == 1_000
    assert kept == sorted(kept, key=lambda o: int(o.params["batch_size"]))
    best = sorted(found, key=lambda o: o.value or 0)[:200]
    assert all(o in kept for o in best)
    assert kept[-1] is found[-1]
    assert sum(o in kept for o in found[-800:]) == 800
    assert most_telling(found, "maximize", 1_000) != kept
    assert most_telling(found[:1_000], "minimize", 1_000) == found[:1_000]


def test_large_batches_are_made_from_fewer_results():
    assert taught_at_most(1) == taught_at_most(32) == MAX_TAUGHT
    assert taught_at_most(64) == MAX_TAUGHT // 2
    assert taught_at_most(100_000) == 125


def test_the_model_is_fitted_to_no_more_than_the_cap(monkeypatch: pytest.MonkeyPatch):
    import optuna

    sizes = []
    original = optuna.Study.ask

    def counted(study: optuna.Study, *args: Any, **named: Any) -> optuna.Trial:
        sizes.append(sum(t.state.name == "COMPLETE" for t in study.get_trials(deepcopy=False)))
        return original(study, *args, **named)

    monkeypatch.setattr(optuna.Study, "ask", counted)
    done = history(STEP, 3_000, lambda u: abs(u - 0.7))
    picked = shares(suggest(asking(STEP, *done, n=1)))
    assert sizes == [MAX_TAUGHT]
    assert abs(picked[0] - 0.7) < 0.1


def test_nothing_is_printed_or_warned(capfd: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder):
    suggest(asking(STEP, *history(STEP, 30, lambda u: u), n=3))
    assert capfd.readouterr() == ("", "")
    assert not recwarn.list


def test_answers_do_not_depend_on_the_order_of_hashes():
    program = (
        "from hpsearch.testing.sampler_conformance import *\n"
        "from hpsearch.sampling.suggest import suggest\n"
        "done = results(suggest(request('random', n=30)))\n"
        "print(suggest(replace(request('bayesian', n=3), first_index=30, observations=done)))\n"
    )
    answers = {
        subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ, "PYTHONHASHSEED": seed},
        ).stdout
        for seed in ("1", "2")
    }
    assert len(answers) == 1
    assert "learning_rate" in answers.pop()


def test_the_model_speaks_for_itself():
    """`TpeModel` keeps to the space even without the repairs around it."""
    from hpsearch.sampling.compiled_space import compile_space

    of = space({"layers": {"type": "int", "low": 0, "high": 3}, "units": {"values": [8, 4], "per_layer": True}})
    model = TpeModel(compile_space(of), "minimize", [])
    for seed in range(10):
        point, drawn = model.ask(seed)
        assert of.complete(point) == point
        assert set(drawn) == {"layers", "units_1", "units_2", "units_3"}
