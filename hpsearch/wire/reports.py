"""Reports: one request renews leases, delivers epochs and completes trials, for a whole pack at once."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from hpsearch.domain.strict import Frozen, Lenient, Name, Positive, at_most
from hpsearch.domain.trial import Measurement, Outcome
from hpsearch.wire.workers import WorkerProgress

MAX_REPORTS = 1024
MAX_MEASUREMENTS = 1000


class TrialReport(Frozen):
    """News of one trial; without measurements and outcome it only renews the lease."""

    trial_id: Name
    attempt: Positive
    measurements: Annotated[
        tuple[Measurement, ...], Field(max_length=MAX_MEASUREMENTS, fail_fast=True), at_most(MAX_MEASUREMENTS)
    ] = ()
    outcome: Outcome | None = None


class ReportRequest(Frozen):
    """News of the trials of a worker.

    Attributes:
        reports: One for each trial spoken of.
        progress: What the worker is doing, for the fleet's view.
    """

    reports: Annotated[
        tuple[TrialReport, ...], Field(min_length=1, max_length=MAX_REPORTS, fail_fast=True), at_most(MAX_REPORTS)
    ]
    progress: WorkerProgress | None = None


Status = Literal["accepted", "replayed", "stale_attempt", "result_conflict", "forbidden", "invalid", "not_found"]


class ReportResult(Lenient):
    """What became of one report.

    Attributes:
        status: `accepted`; `replayed` when the same was reported before; otherwise nothing was written.
        action: `stop` tells the worker to drop the trial and go on with the next.
        detail: One sentence when the report was not accepted.
    """

    trial_id: str
    status: Status
    action: Literal["continue", "stop"]
    detail: str | None = None


class ReportReply(Lenient):
    """One result per report, in the same order, and the fresh lease.

    Attributes:
        lease_s: Seconds until an unreported trial may go to another worker.
        model_thresholds: As in the claim's reply, for the studies reported on.
    """

    results: tuple[ReportResult, ...]
    lease_s: float
    model_thresholds: dict[str, float] = {}
