"""How an attempt's end changes its trial and its study."""

from __future__ import annotations

import random
from typing import Any, Final

from hpsearch.domain.lifecycle import MAX_INFRA_ATTEMPTS, STUDY_FINAL, StudyState, TrialKind, TrialState
from hpsearch.domain.trial import Outcome
from hpsearch.service.context import Context
from hpsearch.service.definitions import definition_of
from hpsearch.service.ids import fingerprint
from hpsearch.service.queue import blame
from hpsearch.service.queue.cancellation import cancel_trial
from hpsearch.service.queue.event_log import log
from hpsearch.storage.records import QueuedTrial, StudyRecord, WorkerRecord
from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy
from hpsearch.storage.transitions import AttemptEnd

# Causes that blame the machine, not the trial.
INFRASTRUCTURE: Final = frozenset({"crashed", "stalled", "lost"})
# Of the data file: whether the worker or the server is to blame, the server finds out.
DATA_CAUSES: Final = frozenset({"data_mismatch", "data_missing"})
# Causes for which a worker gives a trial back and is left alone for a while.
_WORKER_TROUBLE: Final = DATA_CAUSES | {"disk_full", "infrastructure"}
_TROUBLE_S: Final = 60.0

# The cause decides over the state a worker puts beside it: a trial whose training loss became NaN is not retried, even
# if the worker called that FAILED, and a trial whose data file is damaged does not fail.
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


def digest_of(outcome: Outcome) -> str:
    """Return the fingerprint by which the same outcome, sent again, is known."""
    return fingerprint(outcome.model_dump(mode="json"))


def apply(
    ctx: Context,
    tx: Transaction,
    study: LockedStudy,
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
        tx: Holds the study.
        study: The trial's.
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
            study.set_trouble(f"the worker {worker.name} gave a trial back ({why})")
        return done
    if meant == "FAILED" and outcome.cause in INFRASTRUCTURE:
        return requeue_lost(ctx, tx, study, trial, outcome)
    if meant == "INFEASIBLE" and outcome.cause == "oom" and trial.oom_attempts == 0:
        return _try_elsewhere(tx, study, trial, outcome)
    if not _accept(tx, study, trial, outcome, state=TrialState(meant)):
        return False
    if meant == "FAILED":
        blame.count_failure(ctx, tx, study, worker.id, outcome)
    else:
        tx.workers.count_success(worker.id)
    return True


def _accept(
    tx: Transaction,
    study: LockedStudy,
    trial: QueuedTrial,
    outcome: Outcome,
    *,
    state: TrialState,
    digest: str | None = None,
) -> bool:
    """Accept an outcome as the trial's result, unless its attempt is not the running one any more."""
    cause = outcome.cause or blame.USUAL_CAUSE.get(state)
    end = AttemptEnd(outcome.model_copy(update={"cause": cause}), digest or digest_of(outcome))
    if state is TrialState.COMPLETE:
        done = study.trials.complete(trial, end, n_models=definition_of(study.record).confirm.top_k)
    elif state is TrialState.PRUNED:
        done = study.trials.prune(trial, end)
    elif state is TrialState.INFEASIBLE:
        done = study.trials.reject(trial, end)
    else:
        done = study.trials.fail(trial, end)
    if done:
        has_value = state in (TrialState.COMPLETE, TrialState.PRUNED)
        _log_end(tx, f"trial.{state.value.lower()}", study, trial, outcome, value=outcome.value if has_value else None)
    return done


def _wait_for_data(
    ctx: Context, tx: Transaction, study: LockedStudy, trial: QueuedTrial, outcome: Outcome, *, lacks: str
) -> bool:
    """Give a trial back that nobody can train now, and let all of its study's trials wait, longer each time."""
    wait_s = min(blame.MAX_PAUSE_S, ctx.settings.reaper_s * 2 ** min(trial.attempt, 10))
    done = _release(tx, study, trial, outcome, delay_s=wait_s)
    if done:
        study.open.postpone(wait_s)
        study.set_trouble(lacks)
    return done


def _release(
    tx: Transaction, study: LockedStudy, trial: QueuedTrial, outcome: Outcome, *, delay_s: float = 0.0
) -> bool:
    if _gives_up(study.record, trial):
        return _cancel(tx, study, trial, outcome)
    done = study.trials.release(trial, _end_of(outcome), delay_s=delay_s)
    if done:
        _log_end(tx, "trial.released", study, trial, outcome)
    return done


def requeue_quarantined(tx: Transaction, study: LockedStudy, trial: QueuedTrial) -> bool:
    """Take a trial back from a worker in quarantine, with nothing counted against it; return False if it has ended."""
    why = "its worker was quarantined"
    if _gives_up(study.record, trial):
        return cancel_trial(tx, study, trial, why=why)
    if not study.trials.requeue_quarantined(trial, why=why):
        return False
    log(
        tx, "trial.released", study, trial.uid,
        number=trial.number, kind=trial.kind, attempt=trial.attempt, why=why,
    )  # fmt: skip
    return True


def requeue_lost(ctx: Context, tx: Transaction, study: LockedStudy, trial: QueuedTrial, outcome: Outcome) -> bool:
    """Count an infrastructure failure: back to the queue, or FAILED `lost_repeatedly` once it is beyond hope.

    Where its worker loses whatever it is given, and others bring trials to an end, the trial waits for those; where
    nobody does, it is FAILED after ten.

    The first loss is retried at once; from the second on the delay doubles, with jitter, so that a trial that kills its
    workers does not take them all down together.
    """
    lost = trial.infra_attempts + 1
    if lost >= MAX_INFRA_ATTEMPTS and blame.is_beyond_hope(tx, trial, lost):
        final = outcome.model_copy(update={"cause": "lost_repeatedly"})
        # Its worker knows the outcome by what it reported itself: the same again must be found to be the same.
        digest = digest_of(final if outcome.cause == "lost" else outcome)
        done = _accept(tx, study, trial, final, state=TrialState.FAILED, digest=digest)
    elif _gives_up(study.record, trial):
        done = _cancel(tx, study, trial, outcome)
    else:
        wait_s = blame.pause_s(ctx, lost) * random.uniform(0.5, 1.0)  # noqa: S311 - jitter
        done = study.trials.requeue_lost(trial, _end_of(outcome), delay_s=wait_s)
        if done:
            _log_end(tx, "trial.lost", study, trial, outcome, infra_attempts=lost)
    # One process of a worker holds many trials, and they fall together: that is one failure of the worker.
    if done and trial.worker_id is not None and tx.workers.is_first_loss(trial.worker_id):
        blame.count_failure(ctx, tx, study, trial.worker_id, outcome)
    return done


def _try_elsewhere(tx: Transaction, study: LockedStudy, trial: QueuedTrial, outcome: Outcome) -> bool:
    if _gives_up(study.record, trial):
        return _cancel(tx, study, trial, outcome)
    done = study.trials.requeue_elsewhere(trial, _end_of(outcome))
    if done:
        _log_end(tx, "trial.out_of_memory", study, trial, outcome)
    return done


def _cancel(tx: Transaction, study: LockedStudy, trial: QueuedTrial, outcome: Outcome) -> bool:
    return cancel_trial(tx, study, trial, why=_why_given_up(study.record), end=_end_of(outcome))


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


def _end_of(outcome: Outcome) -> AttemptEnd:
    # A lapsed lease was not the worker's word: it may still report, and the attempt be revived.
    return AttemptEnd(outcome, None if outcome.cause == "lost" else digest_of(outcome))


def _log_end(
    tx: Transaction,
    event: str,
    study: LockedStudy,
    trial: QueuedTrial,
    outcome: Outcome,
    *,
    value: float | None = None,
    **more: Any,
) -> None:
    log(
        tx,
        event,
        study,
        trial.uid,
        number=trial.number,
        kind=trial.kind,
        attempt=trial.attempt,
        value=value,
        cause=outcome.cause,
        epochs=outcome.epochs,
        **more,
    )
