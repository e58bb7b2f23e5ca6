"""Reports: one request renews the leases of a whole pack, delivers its epochs and ends its trials.

Only the attempt number decides whether a report is accepted, never the clock. Whatever is not accepted changes nothing.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Final, Literal

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.task import TASKS, TaskName
from hpsearch.domain.trial import MAX_METRICS, MAX_STORED_VALUES, Measurement
from hpsearch.service import datasets
from hpsearch.service.context import Caller, Context
from hpsearch.service.definitions import facts_of
from hpsearch.service.fleet import workers
from hpsearch.service.queue import attempt_end
from hpsearch.service.queue.progress import advance
from hpsearch.storage.records import QueuedTrial, WorkerRecord
from hpsearch.storage.store import Transaction
from hpsearch.wire.reports import ReportReply, ReportRequest, ReportResult, Status, TrialReport

# Metrics of one epoch that every study takes, however many epochs it has; engines send fewer.
_ALWAYS_STORED: Final = 24


@dataclass(frozen=True)
class _Item:
    """One report with what the server knows of its trial."""

    report: TrialReport
    trial: QueuedTrial


def report(ctx: Context, caller: Caller, worker_id: str, request: ReportRequest) -> ReportReply:
    """Return one result per report, in order; what was accepted is committed.

    Raises:
        NotFoundError: The worker is not registered.
        ForbiddenError: It was registered with another token.
    """
    lacks = _lacking(ctx, request.reports)
    with ctx.store.write() as tx:
        worker = workers.recognise(tx, caller, worker_id)
        trials = _lock(tx, request.reports)
        results: dict[int, ReportResult] = {}
        live: dict[int, _Item] = {}
        seen: set[str] = set()
        for position, entry in enumerate(request.reports):
            trial = trials.get(entry.trial_id)
            verdict = _judge(tx, worker, trial, entry, repeated=entry.trial_id in seen)
            if verdict is not None:
                results[position] = verdict
            elif trial is not None:
                live[position] = _Item(entry, trial)
                seen.add(entry.trial_id)
        results |= _apply_all(ctx, tx, worker, live, lacks)
        thresholds = {trial.study_uid: trial.model_threshold for trial in trials.values()}
        ended = {
            item.trial.study_id
            for position, item in live.items()
            if item.report.outcome and results[position].status == "accepted"
        }
        for study_id in sorted(ended):
            study = tx.studies.lock(study_id)
            advance(tx, study)
            thresholds[study.uid] = study.record.model_threshold
        progress = None if request.progress is None else request.progress.model_dump()
        # Last: rows are locked in the order study, trial, worker everywhere.
        is_news = tx.workers.seen(worker, progress)
    if is_news:
        workers.remember(worker, progress, tx.at)
        ctx.slots.forget()
    if ended:
        ctx.signals.fill_needed.set()
        ctx.signals.work()
    for uid in thresholds:
        ctx.signals.changed(uid)
    return ReportReply(
        results=tuple(results[position] for position in range(len(request.reports))),
        lease_s=ctx.settings.lease_s,
        model_thresholds={uid: threshold for uid, threshold in thresholds.items() if threshold is not None},
    )


def _lacking(ctx: Context, reports: Sequence[TrialReport]) -> dict[int, str]:
    """Return what the server itself lacks for studies whose data a worker could not get; before any lock is taken."""
    wanting = [e.trial_id for e in reports if e.outcome is not None and e.outcome.cause in attempt_end.DATA_CAUSES]
    return datasets.lacking(ctx, wanting) if wanting else {}


def _lock(tx: Transaction, reports: Sequence[TrialReport]) -> dict[str, QueuedTrial]:
    """Return the trials reported on, locked: studies first, in order of id, then trials, so that nobody deadlocks."""
    uids = sorted({entry.trial_id for entry in reports})
    ending = sorted({entry.trial_id for entry in reports if entry.outcome is not None})
    if ending:
        tx.studies.lock_of_trials(ending)
    return tx.queue.look_up(uids, lock=not tx.is_alone)


def _result(
    entry: TrialReport, status: Status, detail: str | None = None, action: Literal["continue", "stop"] = "stop"
) -> ReportResult:
    return ReportResult(trial_id=entry.trial_id, status=status, action=action, detail=detail)


def _judge(
    tx: Transaction, worker: WorkerRecord, trial: QueuedTrial | None, entry: TrialReport, *, repeated: bool
) -> ReportResult | None:
    """Return the verdict on a report that can not be applied; None for one that speaks of the running attempt."""
    if trial is None:
        return _result(entry, "not_found", f"there is no trial {entry.trial_id!r}")
    if repeated:
        return _result(entry, "invalid", "the same trial stands twice in one request", "continue")
    current = entry.attempt == trial.attempt
    if current and trial.worker_id != worker.id:
        tx.events.add("report.forbidden", study_id=trial.study_id, trial_uid=trial.uid, data={"worker_id": worker.uid})
        return _result(entry, "forbidden", f"attempt {entry.attempt} of this trial belongs to another worker")
    if current and (trial.state == TrialState.RUNNING or _was_given_up(tx, trial)):
        wrong = _wrong(tx, trial, entry)
        return None if wrong is None else _result(entry, "invalid", wrong, "continue")
    return _judge_ended(tx, worker, trial, entry)


def _judge_ended(tx: Transaction, worker: WorkerRecord, trial: QueuedTrial, entry: TrialReport) -> ReportResult:
    ending = tx.attempts.ending(trial.id, entry.attempt)
    own = ending is not None and ending[0] == worker.id
    if own and entry.outcome is not None and ending is not None and ending[2] is not None:
        if ending[2] == attempt_end.digest_of(entry.outcome):
            _log_answer(tx, trial, worker, entry, "replayed")
            return _result(entry, "replayed")
        if entry.attempt == trial.attempt:
            _log_answer(tx, trial, worker, entry, "result_conflict")
            return _result(
                entry, "result_conflict", f"attempt {entry.attempt} already ended with another outcome, which stays"
            )
    _log_answer(tx, trial, worker, entry, "stale_attempt")
    detail = f"attempt {entry.attempt} is not running: the trial is {trial.state} at attempt {trial.attempt}"
    return _result(entry, "stale_attempt", detail)


def _log_answer(tx: Transaction, trial: QueuedTrial, worker: WorkerRecord, entry: TrialReport, why: str) -> None:
    data = {"worker_id": worker.uid, "attempt": entry.attempt, "state": trial.state, "current_attempt": trial.attempt}
    tx.events.add(f"report.{why}", study_id=trial.study_id, trial_uid=trial.uid, data=data)


def _was_given_up(tx: Transaction, trial: QueuedTrial) -> bool:
    """Return whether the reaper gave the trial's attempt up and nobody took the trial meanwhile."""
    if trial.state != TrialState.WAITING:
        return False
    ending = tx.attempts.ending(trial.id, trial.attempt)
    return ending is not None and ending[1] == "LOST" and ending[2] is None


def _revive(tx: Transaction, trial: QueuedTrial) -> None:
    if tx.queue.revive(trial):
        tx.events.add("trial.revived", study_id=trial.study_id, trial_uid=trial.uid, data={"attempt": trial.attempt})


def _wrong(tx: Transaction, trial: QueuedTrial, entry: TrialReport) -> str | None:
    """Return what is wrong with the content of a report; None when nothing is."""
    definition, resolved = facts_of(tx, trial.study_id, trial.study_uid)
    cap = definition.training.max_epochs * (definition.split.folds or 1)  # folds follow one another
    wrong = _wrong_epochs(resolved.task, cap, entry.measurements)
    if wrong is not None or entry.outcome is None:
        return wrong
    outcome = entry.outcome
    for name, number in (("best_epoch", outcome.best_epoch), ("epochs", outcome.epochs)):
        if number is not None and number > cap:
            return f"{name} {number} is beyond this study's {cap} epochs"
    if outcome.state == "PRUNED" and not definition.pruner.stops_trials:
        return "this study has no pruner; a trial that stopped early by itself is COMPLETE"
    return _impossible(resolved.task, {resolved.metric: outcome.value}) or _impossible(resolved.task, outcome.metrics)


def _wrong_epochs(task: TaskName, cap: int, measurements: Sequence[Measurement]) -> str | None:
    epochs = [measurement.epoch for measurement in measurements]
    if any(later <= earlier for earlier, later in pairwise(epochs)):
        return f"epochs must rise within a report, received {epochs[:20]}"
    if epochs and epochs[-1] > cap:
        return f"epoch {epochs[-1]} is beyond this study's {cap}"
    n_allowed = min(MAX_METRICS, max(_ALWAYS_STORED, MAX_STORED_VALUES // cap))
    for measurement in measurements:
        if len(measurement.metrics) > n_allowed:
            return (
                f"epoch {measurement.epoch} has {len(measurement.metrics)} metrics; with {cap} epochs a trial of this "
                f"study may have {n_allowed} in each"
            )
        if (wrong := _impossible(task, measurement.metrics)) is not None:
            return f"epoch {measurement.epoch}: {wrong}"
    return None


def _impossible(task: TaskName, metrics: Mapping[str, float | None]) -> str | None:
    """Return which metric, of any part of the rows, has a value it can not take; None when none has."""
    known = TASKS[task].metrics
    for name, value in metrics.items():
        metric = known.get(name.removeprefix("train_").removeprefix("test_"))
        if value is not None and metric is not None and not metric.admits(value):
            return f"{name} lies between {metric.low} and {metric.high}, received {value}"
    return None


def _apply_all(
    ctx: Context, tx: Transaction, worker: WorkerRecord, live: Mapping[int, _Item], lacks: Mapping[int, str]
) -> dict[int, ReportResult]:
    """Apply the reports that speak of running attempts."""
    results: dict[int, ReportResult] = {}
    fresh: list[tuple[int, int, int, dict[str, float | None]]] = []
    leases: dict[tuple[int, int], int] = {}
    ending: set[int] = set()
    for position, item in live.items():
        conflict = _repeats_differ(tx, item)
        if conflict is not None:
            _log_answer(tx, item.trial, worker, item.report, "result_conflict")
            results[position] = _result(item.report, "result_conflict", conflict, "continue")
            continue
        if item.trial.state == TrialState.WAITING:
            _revive(tx, item.trial)
        new = [m for m in item.report.measurements if m.epoch > item.trial.last_epoch]
        fresh += [(item.trial.id, item.trial.attempt, m.epoch, m.metrics) for m in new]
        if item.report.outcome is not None and not new:
            ending.add(item.trial.id)  # its row is held, and has no lease to renew in a moment
        else:
            leases[item.trial.id, item.trial.attempt] = new[-1].epoch if new else 0
    renewed = ending | tx.queue.renew(leases, worker_id=worker.id, lease_s=ctx.settings.lease_s)
    tx.attempts.add_measurements([row for row in fresh if row[0] in renewed])
    for position, item in live.items():
        if position in results:
            continue
        lacking = lacks.get(item.trial.study_id)
        results[position] = _end(ctx, tx, worker, item, renewed=item.trial.id in renewed, lacks=lacking)
    return results


def _repeats_differ(tx: Transaction, item: _Item) -> str | None:
    """Compare epochs reported before with what is stored; return a sentence when they differ."""
    old = {m.epoch: m.metrics for m in item.report.measurements if m.epoch <= item.trial.last_epoch}
    if not old:
        return None
    stored = tx.attempts.stored_measurements(item.trial.id, item.trial.attempt, sorted(old))
    for epoch, metrics in old.items():
        if epoch not in stored:
            return f"epoch {epoch} comes after epoch {item.trial.last_epoch}: epochs rise within an attempt"
        if stored[epoch] != metrics:
            return f"epoch {epoch} was reported before with other metrics, which stay"
    return None


def _end(
    ctx: Context, tx: Transaction, worker: WorkerRecord, item: _Item, *, renewed: bool, lacks: str | None
) -> ReportResult:
    entry, trial = item.report, item.trial
    if not renewed:
        return _result(entry, "stale_attempt", f"attempt {entry.attempt} is not running any more")
    if entry.outcome is None:
        return _result(entry, "accepted", action="continue")
    study = tx.studies.lock(trial.study_id)
    last = entry.measurements[-1].epoch if entry.measurements else 0
    revived = 1 if trial.state == TrialState.WAITING and trial.infra_attempts else 0
    now = {
        "state": "RUNNING",
        "last_epoch": max(trial.last_epoch, last),
        "infra_attempts": trial.infra_attempts - revived,
    }
    trial = dataclasses.replace(trial, **now)  # type: ignore[arg-type]
    if not attempt_end.apply(ctx, tx, study, trial, entry.outcome, worker, lacks=lacks):
        return _result(entry, "stale_attempt", f"attempt {entry.attempt} is not running any more")
    return _result(entry, "accepted", action="stop")
