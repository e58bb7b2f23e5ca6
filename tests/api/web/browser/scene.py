"""The scene of the browser tests: a server's data a finished study, one under way, names that mean harm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Self

import httpx2

from benchmarks.filling import make_history, new_study
from hpsearch.service.context import Context
from hpsearch.service.studies import steering
from hpsearch.settings import Settings
from tests.api.conftest import Worker, ending

HOSTILE: Final = "<script>window.harm=1</script><img src=x onerror=window.harm=1>{{7*7}}${7*7}"
N_TRIALS: Final = 130
_SPACE: Final = {
    "units": {"type": "int", "low": 2, "high": 16},
    "activation": {"type": "categorical", "choices": ["relu", "tanh"]},
    "learning_rate": {"type": "float", "low": 0.001, "high": 0.1, "log": True},
}


@dataclass(frozen=True)
class Prepared:
    """Ids of what the database holds before its server starts."""

    finished: str


def set_up(folder: Path) -> Prepared:
    """Fill a data directory and return what is in it."""
    context = Context.open(Settings(data_dir=folder))
    try:
        study_id = new_study(context, name="long ago", budget={"max_trials": N_TRIALS + 20}, parallelism=4)
        make_history(context, study_id, N_TRIALS, n_epochs=20)
        steering.stop(context, study_id)
    finally:
        context.close()
    return Prepared(study_id)


@dataclass
class Scene:
    """A server with its studies, and a worker that trains nothing and says what the tests want.

    Attributes:
        finished: Id of a study of `N_TRIALS` trials.
        hostile: Id of a study under way, of which every text means harm.
        failed_trial: Id of a trial of that study that failed with a hostile text.
    """

    url: str
    token: str
    client: httpx2.Client
    worker: Worker
    finished: str
    hostile: str = ""
    failed_trial: str = ""
    n_studies: int = 0

    @classmethod
    @contextmanager
    def open(cls, prepared: Prepared, url: str, folder: Path) -> Iterator[Self]:
        """Give the scene of a running server with this data directory."""
        token = (folder / "token").read_text(encoding="utf-8").strip()
        headers = {"Authorization": f"Bearer {token}"}
        with httpx2.Client(base_url=url, headers=headers, timeout=30) as client:
            made = client.post("/v1/workers", json={"name": HOSTILE[:200]})
            assert made.status_code == 201, made.text
            scene = cls(url, token, client, Worker(client, {}, made.json()["worker_id"]), prepared.finished)
            scene._do_harm()
            yield scene

    def _do_harm(self) -> None:
        self.hostile = self.new_study(name=HOSTILE, max_trials=20)
        trials = self.claim(5)
        for trial in trials[:3]:
            self.complete(trial)
        broken = ending(trials[3], state="FAILED", value=None, cause="training_error", detail=HOSTILE * 3)
        assert self.worker.report(broken).status_code == 200
        self.failed_trial = trials[3]["trial_id"]
        self.tell_epoch(trials[4], 1, 0.5)

    def new_study(self, name: str, max_trials: int = 10, **changes: Any) -> str:
        """Return the id of a study of small networks on iris."""
        definition = {
            "name": name,
            "dataset": {"builtin": "iris"},
            "space": _SPACE,
            "algorithm": {"kind": "random", "seed": 3},
            "budget": {"max_trials": max_trials},
            "training": {"max_epochs": 30},
            "baselines": False,
            "refit": "off",
            **changes,
        }
        made = self.client.post("/v1/studies", json=definition)
        assert made.status_code == 201, made.text
        study_id: str = made.json()["study_id"]
        # The newest is served first, so that a test claims the trials of its own study.
        self.n_studies += 1
        assert self.client.patch(f"/v1/studies/{study_id}", json={"priority": self.n_studies}).status_code == 200
        return study_id

    def claim(self, n: int) -> list[dict[str, Any]]:
        """Return so many trials to pretend to train."""
        found: list[dict[str, Any]] = []
        while len(found) < n:
            found += self.worker.claim(n - len(found), wait_s=5.0)
        return found

    def tell_epoch(self, trial: dict[str, Any], epoch: int, value: float) -> None:
        """Report one epoch."""
        told = {"epoch": epoch, "metrics": {"accuracy": value, "loss": 1 - value, "train_loss": 0.9 - value}}
        answer = self.worker.report(
            {"trial_id": trial["trial_id"], "attempt": trial["attempt"], "measurements": [told]}
        )
        assert answer.status_code == 200, answer.text

    def complete(self, trial: dict[str, Any], **changes: Any) -> None:
        """Report that a trial is complete."""
        answer = self.worker.report({**ending(trial, **changes), "measurements": []})
        assert answer.status_code == 200, answer.text
