"""A worker in the same process; its objective is an exact function of the parameters."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.service.context import Caller, Context
from hpsearch.service.fleet import workers
from hpsearch.service.ids import new_uid
from hpsearch.service.queue import claims, reports
from hpsearch.service.queue.filling import fill
from hpsearch.service.studies import crud
from hpsearch.wire.claims import ClaimedTrial, ClaimReply, ClaimRequest
from hpsearch.wire.pages import StudyView
from hpsearch.wire.reports import ReportRequest, ReportResult, TrialReport
from hpsearch.wire.workers import RegisterRequest

ADMIN = Caller(token_id="admin-token", scopes=frozenset({"admin"}))


def objective(params: dict[str, Any]) -> float:
    """An accuracy between 0 and 1 that depends on the learning rate and dropout alone."""
    rate = float(params.get("learning_rate", 1e-3))
    return round(1.0 / (1.0 + abs(math.log10(rate) + 2.0)) - 0.1 * float(params.get("dropout", 0.0)), 12)


def definition(**changes: Any) -> StudyDefinition:
    """A small random study on iris, with some fields replaced."""
    plain: dict[str, Any] = {
        "name": "iris",
        "dataset": {"builtin": "iris"},
        "space": {
            "layers": 1,
            "units": 8,
            "learning_rate": {"type": "float", "low": 1e-4, "high": 1e-1, "log": True},
            "dropout": {"type": "float", "low": 0.0, "high": 0.5},
        },
        "algorithm": {"kind": "random", "seed": 1},
        "budget": {"max_trials": 6},
        "training": {"max_epochs": 5},
        "baselines": False,
        "refit": "off",
    }
    return StudyDefinition.model_validate({**plain, **changes})


def grid(**changes: Any) -> StudyDefinition:
    """A grid of twelve points on iris."""
    space = {
        "layers": {"values": [1, 2]},
        "units": 8,
        "learning_rate": {"values": [1e-3, 1e-2, 1e-1]},
        "dropout": {"values": [0.0, 0.5]},
    }
    return definition(**{"space": space, "algorithm": {"kind": "grid", "seed": 3}, "budget": {}, **changes})


def complete(value: float, **more: Any) -> Outcome:
    """A COMPLETE outcome."""
    return Outcome(state="COMPLETE", value=value, metrics={"accuracy": value}, best_epoch=1, epochs=1, **more)


@dataclass
class StubWorker:
    """One registered worker."""

    ctx: Context
    caller: Caller = ADMIN
    name: str = "stub"
    worker_id: str = field(init=False)

    def __post_init__(self) -> None:
        self.worker_id = workers.register(self.ctx, self.caller, RegisterRequest(name=self.name)).worker_id

    def claim(self, n: int = 1, claim_id: str | None = None) -> ClaimReply:
        """Claim up to n trials."""
        return claims.claim(
            self.ctx, self.caller, self.worker_id, ClaimRequest(claim_id=claim_id or new_uid(), max_trials=n)
        )

    def one(self) -> ClaimedTrial:
        """Claim exactly one trial."""
        (trial,) = self.claim().trials
        return trial

    def report(
        self, trial: ClaimedTrial, outcome: Outcome | None = None, epochs: tuple[int, ...] = (), **changes: Any
    ) -> ReportResult:
        """Report on one trial."""
        measurements = tuple(Measurement(epoch=epoch, metrics={"accuracy": 0.5}) for epoch in epochs)
        entry = {"trial_id": trial.trial_id, "attempt": trial.attempt, "measurements": measurements, "outcome": outcome}
        request = ReportRequest(reports=(TrialReport.model_validate({**entry, **changes}),))
        (result,) = reports.report(self.ctx, self.caller, self.worker_id, request).results
        return result

    def finish(self, trial: ClaimedTrial) -> ReportResult:
        """Report the trial's exact result."""
        return self.report(trial, complete(objective(trial.params), device_seconds=1.0), epochs=(1,))

    def work(self, study: StudyView, *, limit: int = 1000) -> StudyView:
        """Train the study's trials until it ends or nothing can be claimed; create trials as the server would."""
        for _ in range(limit):
            for study_id in open_studies(self.ctx):
                fill(self.ctx, study_id)
            claimed = self.claim().trials
            if not claimed:
                break
            for trial in claimed:
                assert self.finish(trial).status == "accepted"
        return crud.get(self.ctx, study.study_id)


def open_studies(ctx: Context) -> list[int]:
    """Internal ids of the studies that have not ended."""
    with ctx.store.read() as tx:
        return tx.studies.open_ids()
