"""How an attempt's end changes its trial and its study. Always under the study's lock."""

from __future__ import annotations

import random
from collections.abc import Mapping
from typing import Any, Final

from hpsearch.domain.lifecycle import (
    MAX_INFRA_ATTEMPTS,
    STUDY_FINAL,
    StudyState,
    TrialEvent,
    TrialKind,
    TrialState,
)
from hpsearch.domain.trial import MAX_DETAIL_BYTES, Outcome
from hpsearch.service.context import Context
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.service.ids import fingerprint
from hpsearch.service.queue import blame
from hpsearch.service.queue.progress import cancel_trial, log
from hpsearch.storage.records import QueuedTrial, StudyRecord, WorkerRecord
from hpsearch.storage.store import Transaction

# Causes that blame the machine, not the trial.
INFRASTRUCTURE: Final = frozenset({"crashed", "stalled", "lost"})
# Of the data file: whether the worker or the server is to blame, the server finds out.
DATA_CAUSES: Final = frozenset({"data_mismatch", "data_missing"})
# Causes for which a worker gives a trial back and is left alone for a while.
_WORKER_TROUBLE: Final = DATA_CAUSES | {"disk_full", "infrastructure"}
_TROUBLE_S: Final = 60.0

_COUNTERS: Final = {
    TrialState.COMPLETE: "n_complete",
    TrialState.PRUNED: "n_pruned",
    TrialState.INFEASIBLE: "n_infeasible",
    TrialState.FAILED: "n_failed",
}
# What happened decides, whatever state a worker puts beside it: a loss that is no number is never tried again because
# somebody called it a failure, and a trial whose data is damaged does not fail for it.
_STATE_OF_CAUSE: Final = {
    "diverged": "INFEASIBLE",
    "oom": "INFEASIBLE",
    "training_error": "FAILED",
    "crashed": "FAILED",
    "stalled": "FAILED",
    "shutdown": "RELEASED",
    "data_mismatch": "RELEASED",
    "data_missing": "RELEASED",
    "disk_full": "RELEASED",
    "infrastructure": "RELEASED",
}
_RESULTS: Final = {
    "COMPLETE": (TrialEvent.COMPLETE, TrialState.COMPLETE),
    "PRUNED": (TrialEvent.PRUNE, TrialState.PRUNED),
    "INFEASIBLE": (TrialEvent.REJECT, TrialState.INFEASIBLE),
    "FAILED": (TrialEvent.FAIL, TrialState.FAILED),
}


def digest_of(outcome: Outcome) -> str:
    """Return the fingerprint by which the same outcome, sent again, is known."""
    return fingerprint(outcome.model_dump(mode="json"))


def apply(
    ctx: Context,
    tx: Transaction,
    study: StudyRecord,
    trial: QueuedTrial,
    outcome: Outcome,
    worker: WorkerRecord,
    *,
    lacks: str | None = None,
) -> bool:
    """End the trial's current attempt as its worker says; return False when it was not running any more.

    A cause decides over the state beside it; what is stored to know a repetition by is what the worker said.

    Args:
        ctx: The server's parts.
        tx: Holds the study's lock.
        study: As it is now.
        trial: With its running attempt.
        outcome: As its worker reports it.
        worker: Who reports.
        lacks: What the server itself lacks for this study; None when it lacks nothing, or none of that matters.
    """
    meant = _STATE_OF_CAUSE.get(outcome.cause or "", outcome.state)
    if meant == "RELEASED":
        if lacks is not None and outcome.cause in DATA_CAUSES:
            return _wait_for_data(ctx, tx, study, trial, outcome, lacks=lacks)
        done = _release(tx, study, trial, outcome)
        if done and outcome.cause in _WORKER_TROUBLE:
            why = blame.said(outcome.cause, outcome.detail)
            tx.workers.quarantine(worker.id, _TROUBLE_S, why=why)
            log(tx, "worker.quarantined", study, worker_id=worker.uid, seconds=_TROUBLE_S, why=why)
            tx.studies.change(study.id, {"trouble": f"the worker {worker.name} gave a trial back ({why})"})
        return done
    if meant == "FAILED" and outcome.cause in INFRASTRUCTURE:
        return lose(ctx, tx, study, trial, outcome)
    if meant == "INFEASIBLE" and outcome.cause == "oom" and trial.oom_attempts == 0:
        return _try_elsewhere(tx, study, trial, outcome)
    event, state = _RESULTS[meant]
    if not _accept(tx, study, trial, outcome, event=event, state=state):
        return False
    if state is TrialState.FAILED:
        blame.count_failure(ctx, tx, study, worker.id, outcome)
    else:
        tx.workers.count_success(worker.id)
    return True


def _accept(
    tx: Transaction,
    study: StudyRecord,
    trial: QueuedTrial,
    outcome: Outcome,
    *,
    event: TrialEvent,
    state: TrialState,
    digest: str | None = None,
) -> bool:
    """Write a result: compare-and-set on the trial, one row in `result`, the attempt's end, counters, event."""
    resolved = resolved_of(study)
    value = outcome.value if state in (TrialState.COMPLETE, TrialState.PRUNED) else None
    moved = tx.queue.move(
        trial.id,
        trial.attempt,
        event,
        {
            "value": value,
            "score": None if value is None else resolved.objective.sort_key(value),
            "best_epoch": outcome.best_epoch,
            "epochs": outcome.epochs if outcome.epochs is not None else (trial.last_epoch or None),
            "stop_reason": outcome.stop_reason,
            "cause": outcome.cause or blame.USUAL_CAUSE.get(state),
            "ended_at": tx.at,
            "duration_s": None if trial.started_at is None else max(0.0, (tx.at - trial.started_at).total_seconds()),
            "lease_expires_at": None,
            **_paid(trial, outcome),
        },
    )
    if not moved:
        return False
    tx.results.add(
        {
            "trial_id": trial.id,
            "attempt": trial.attempt,
            "state": state.value,
            "value": value,
            "metrics": outcome.metrics,
            "detail": _cut(outcome.detail),
            "outcome_digest": digest or digest_of(outcome),
            "accepted_at": tx.at,
        }
    )
    _end_attempt(tx, trial, outcome, state=state.value, digest=digest)
    counters: dict[str, float] = {_COUNTERS[state]: 1, "device_seconds": outcome.device_seconds}
    if trial.kind == TrialKind.SEARCH:
        counters["n_search_finished"] = 1
        counters["n_search_failed"] = 1 if state is TrialState.FAILED else 0
        counters["n_search_lost"] = 1 if outcome.cause == "lost_repeatedly" else 0
    changes: dict[str, Any] = {}
    if state is TrialState.COMPLETE and value is not None and trial.kind in (TrialKind.SEARCH, TrialKind.BASELINE):
        changes = _best_after(tx, study, trial, value)
    if study.trouble is not None:
        changes["trouble"] = None
    tx.studies.add_to_counters(study.id, counters, changes)
    log(tx, f"trial.{state.value.lower()}", study, trial.uid, **_told(trial, outcome, value))
    return True


def _best_after(tx: Transaction, study: StudyRecord, trial: QueuedTrial, value: float) -> dict[str, Any]:
    """Return the study's columns that a result changes: the best trial, and what a model must beat to be kept."""
    changes: dict[str, Any] = {}
    if study.best_value is None or resolved_of(study).objective.better(value, study.best_value):
        changes = {"best_trial_id": trial.id, "best_value": value}
    n_kept = definition_of(study).confirm.top_k
    if n_kept > 1:
        changes["model_threshold"] = tx.trials.kth_value(study.id, n_kept)
    elif changes:
        changes["model_threshold"] = value
    return changes


def _wait_for_data(
    ctx: Context, tx: Transaction, study: StudyRecord, trial: QueuedTrial, outcome: Outcome, *, lacks: str
) -> bool:
    """Give a trial back that nobody can train now, and let all of its study's trials wait, longer each time."""
    wait_s = min(blame.MAX_PAUSE_S, ctx.settings.reaper_s * 2 ** min(trial.attempt, 10))
    done = _release(tx, study, trial, outcome, delay_s=wait_s)
    if done:
        tx.requeue.postpone(study.id, wait_s)
        tx.studies.change(study.id, {"trouble": lacks})
    return done


def _release(
    tx: Transaction, study: StudyRecord, trial: QueuedTrial, outcome: Outcome, *, delay_s: float = 0.0
) -> bool:
    if _gives_up(study, trial):
        return _cancel(tx, study, trial, outcome)
    done = tx.queue.back_to_waiting(
        trial.id, trial.attempt, TrialEvent.RELEASE, held=_held(study), delay_s=delay_s, values=_paid(trial, outcome)
    )
    if done:
        _end_attempt(tx, trial, outcome, state="RELEASED")
        tx.studies.add_to_counters(study.id, {"device_seconds": outcome.device_seconds})
        log(tx, "trial.released", study, trial.uid, **_told(trial, outcome, None))
    return done


def recall(tx: Transaction, study: StudyRecord, trial: QueuedTrial) -> bool:
    """Take a trial back from a worker in quarantine, with nothing counted against it; return False if it has ended."""
    why = "its worker was quarantined"
    if _gives_up(study, trial):
        return cancel_trial(tx, study, trial, why=why)
    if not tx.queue.back_to_waiting(
        trial.id, trial.attempt, TrialEvent.RELEASE, held=_held(study), delay_s=0.0, values={}
    ):
        return False
    # Without a digest: whatever the worker still reports is of a stale attempt.
    tx.attempts.end(trial.id, trial.attempt, {"ended_at": tx.at, "state": "RELEASED", "detail": why})
    told = {"number": trial.number, "kind": trial.kind, "attempt": trial.attempt, "why": why}
    log(tx, "trial.released", study, trial.uid, **told)
    return True


def lose(ctx: Context, tx: Transaction, study: StudyRecord, trial: QueuedTrial, outcome: Outcome) -> bool:
    """Count an infrastructure failure: back to the queue, or FAILED `lost_repeatedly` once it is beyond hope.

    Where its worker loses whatever it is given, and others bring trials to an end, the trial waits for those; where
    nobody does, it is FAILED after ten.

    The first loss is tried again at once; from the second on the wait doubles, with jitter, so that a trial that kills
    its workers does not take them all down together.
    """
    lost = trial.infra_attempts + 1
    if lost >= MAX_INFRA_ATTEMPTS and blame.is_beyond_hope(tx, trial, lost):
        final = outcome.model_copy(update={"cause": "lost_repeatedly"})
        # Its worker knows the outcome by what it reported itself: the same again must be found to be the same.
        digest = digest_of(final if outcome.cause == "lost" else outcome)
        done = _accept(tx, study, trial, final, event=TrialEvent.FAIL, state=TrialState.FAILED, digest=digest)
    elif _gives_up(study, trial):
        done = _cancel(tx, study, trial, outcome)
    else:
        wait_s = blame.pause_s(ctx, lost) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        values = {"infra_attempts": lost, **_paid(trial, outcome)}
        done = tx.queue.back_to_waiting(
            trial.id, trial.attempt, TrialEvent.LOSE, held=_held(study), delay_s=wait_s, values=values
        )
        if done:
            _end_attempt(tx, trial, outcome, state="LOST")
            tx.studies.add_to_counters(study.id, {"device_seconds": outcome.device_seconds})
            log(tx, "trial.lost", study, trial.uid, infra_attempts=lost, **_told(trial, outcome, None))
    # One process of a worker holds many trials, and they fall together: that is one failure of the worker.
    if done and trial.worker_id is not None and tx.workers.is_first_loss(trial.worker_id):
        blame.count_failure(ctx, tx, study, trial.worker_id, outcome)
    return done


def _try_elsewhere(tx: Transaction, study: StudyRecord, trial: QueuedTrial, outcome: Outcome) -> bool:
    if _gives_up(study, trial):
        return _cancel(tx, study, trial, outcome)
    values = {"oom_attempts": trial.oom_attempts + 1, "avoid_worker_id": trial.worker_id, **_paid(trial, outcome)}
    done = tx.queue.back_to_waiting(
        trial.id, trial.attempt, TrialEvent.LOSE, held=_held(study), delay_s=0.0, values=values
    )
    if done:
        _end_attempt(tx, trial, outcome, state="RELEASED")
        tx.studies.add_to_counters(study.id, {"device_seconds": outcome.device_seconds})
        log(tx, "trial.out_of_memory", study, trial.uid, **_told(trial, outcome, None))
    return done


def _cancel(tx: Transaction, study: StudyRecord, trial: QueuedTrial, outcome: Outcome) -> bool:
    if not cancel_trial(tx, study, trial, why=_why_given_up(study)):
        return False
    _end_attempt(tx, trial, outcome, state=TrialState.CANCELLED.value)
    tx.trials.change(trial.id, _paid(trial, outcome))
    tx.studies.add_to_counters(study.id, {"device_seconds": outcome.device_seconds})
    return True


def _gives_up(study: StudyRecord, trial: QueuedTrial) -> bool:
    """Return whether a trial that comes back is dropped: nobody wants another execution of it.

    A search that is over, by its time or its target, must not wait for a worker that begins its last trial once more.
    """
    is_over = study.end_reason is not None and trial.kind == TrialKind.SEARCH
    return is_over or study.state == StudyState.STOPPING or study.state in STUDY_FINAL


def _why_given_up(study: StudyRecord) -> str:
    if study.state == StudyState.RUNNING:
        return f"the search is over: {study.end_reason}"
    return f"the study is {study.state}"


def _held(study: StudyRecord) -> bool:
    return study.state == StudyState.PAUSED


def _end_attempt(
    tx: Transaction, trial: QueuedTrial, outcome: Outcome, *, state: str, digest: str | None = None
) -> None:
    tx.attempts.end(
        trial.id,
        trial.attempt,
        {
            "ended_at": tx.at,
            "state": state,
            "cause": outcome.cause or blame.USUAL_CAUSE.get(state),
            "detail": _cut(outcome.detail),
            "device_seconds": outcome.device_seconds,
            # An attempt the reaper gave up was not ended by its worker: it may still report, and be revived.
            "outcome_digest": digest or (None if outcome.cause == "lost" else digest_of(outcome)),
        },
    )


def _paid(trial: QueuedTrial, outcome: Outcome) -> Mapping[str, Any]:
    """Device time adds up over a trial's attempts."""
    return {"device_seconds": trial.device_seconds + outcome.device_seconds}


def _told(trial: QueuedTrial, outcome: Outcome, value: float | None) -> dict[str, Any]:
    return {
        "number": trial.number,
        "kind": trial.kind,
        "attempt": trial.attempt,
        "value": value,
        "cause": outcome.cause,
        "epochs": outcome.epochs,
    }


def _cut(detail: str | None) -> str | None:
    # The end says what happened. Cut by bytes, whatever the alphabet; half a character at the cut goes too.
    return None if detail is None else detail.encode()[-MAX_DETAIL_BYTES:].decode(errors="ignore")
