"""`hpsearch verify`: the stored curve of a trial beside the one plain Keras makes."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from hpsearch.cli.actions import verify
from hpsearch.cli.display.curve_comparison import Comparison
from hpsearch.domain.trial import Measurement
from hpsearch.errors import InvalidInputError
from tests.workers.training.fused.ledger import Ledger

if TYPE_CHECKING:
    from tests.workers.training.memory import Builtin, MakeTask
    from workers.training.engine.task import TrialTask
    from workers.training.fused.engine import FusedEngine


class _Server:
    """Answers what `verify` asks of a client, for one trial."""

    def __init__(self, task: TrialTask, measurements: list[Measurement]) -> None:
        self.trial = SimpleNamespace(**task.trial.model_dump(), state="COMPLETE", epochs=len(measurements), attempts=())
        brief = task.study
        definition = SimpleNamespace(
            split=brief.split, training=brief.training, algorithm=SimpleNamespace(seed=brief.data_order_seed)
        )
        self.study = SimpleNamespace(study_id=brief.study_id, name=brief.name, resolved=brief, definition=definition)
        self.trials = SimpleNamespace(get=lambda _: self.trial, all_measurements=lambda _: iter(measurements))
        self.studies = SimpleNamespace(get=lambda _: self.study)
        self.datasets = SimpleNamespace(
            download=lambda _, target, **__: shutil.copy(task.content, target), profile=lambda _: task.profile
        )


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, builtin: Builtin, make_task: MakeTask, fused: FusedEngine) -> Any:
    """Return a function that trains a trial fused, changes its stored curve, and verifies it."""

    def ask(params: dict[str, Any], change: Any = None, **options: Any) -> int:
        task = make_task(builtin("iris"), {"layers": 1, "units": 12, "batch_size": 16} | params, epochs=4)
        ledger = Ledger(keep=False)
        fused.train([task], ledger)
        stored = ledger.epochs[task.trial.trial_id]
        server = _Server(task, change(stored) if change else stored)

        @contextmanager
        def connected(*_: Any) -> Iterator[_Server]:
            yield server

        monkeypatch.setattr(verify, "connected", connected)
        return verify.verify("x", None, None, None, **({"within": None, "as_json": False} | options))

    return ask


def test_a_trial_of_the_fused_engine_is_confirmed(asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked({"optimizer": "adamw", "weight_decay": 0.01}, within=1e-3) == 0
    out = capsys.readouterr().out
    assert "4 epochs stored, 4 by plain Keras" in out
    assert len([line for line in out.splitlines() if line[:5].strip().isdigit()]) == 4
    assert "accuracy" in out
    assert "mask" not in out


def test_a_curve_that_is_not_the_trials_is_found_out(asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    def forged(stored: list[Measurement]) -> list[Measurement]:
        last = stored[-1]
        value = last.metrics["accuracy"] or 0.0
        return [*stored[:-1], last.model_copy(update={"metrics": last.metrics | {"accuracy": value - 0.2}})]

    assert asked({}, forged, within=0.01, as_json=True) == 1
    document = json.loads(capsys.readouterr().out)
    assert document["differences"]["accuracy"] == {"largest": pytest.approx(0.2, abs=1e-3), "epoch": 4}
    assert document["differences"]["loss"]["largest"] < 1e-3
    assert len(document["stored"]) == len(document["reference"]) == 4
    assert asked({}, lambda stored: stored[:-1], within=10.0) == 1


def test_dropout_is_explained(asked: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert asked({"dropout": 0.5}) == 0
    assert "other dropout masks" in capsys.readouterr().out


def test_a_trial_without_epochs_is_refused(asked: Any) -> None:
    with pytest.raises(InvalidInputError, match="no stored epoch"):
        asked({}, lambda _: [])


def test_curves_of_unequal_length_are_shown_to_the_end() -> None:
    def curve(*losses: float | None) -> list[Measurement]:
        return [Measurement(epoch=n, metrics={"loss": loss}) for n, loss in enumerate(losses, start=1)]

    comparison = Comparison("trial 1", "loss", False, curve(1.0, 0.5, None), curve(1.0, 0.25))
    assert comparison.differences() == {"loss": (0.25, 2)}
    assert comparison.objective_difference == float("inf")
    assert any(line.startswith("    3") for line in comparison.lines())
    assert Comparison("", "loss", False, curve(None), curve(1.0)).objective_difference == float("inf")
