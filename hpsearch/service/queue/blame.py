"""Whose fault it is that attempts fail or are lost: the trial's, or the worker's, which is left alone for a while."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from hpsearch.domain.lifecycle import MAX_LOST_ANYHOW
from hpsearch.domain.trial import Outcome
from hpsearch.service.context import Context
from hpsearch.service.queue.event_log import log
from hpsearch.storage.losses import Standing
from hpsearch.storage.records import QueuedTrial
from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy
from hpsearch.storage.workers import LATELY

# Failures in a row after which a worker is quarantined: 60 s, then twice as long each time, an hour at most.
_QUARANTINE_AFTER: Final = 5
_QUARANTINE_S: Final = 60.0
MAX_QUARANTINE_S: Final = 3600.0
# The longest that a trial is kept waiting after a loss, or for a file.
MAX_PAUSE_S: Final = 600.0

_MAX_REASON_CHARACTERS: Final = 300
# Of a worker that says no more.
USUAL_CAUSE: Final = {"INFEASIBLE": "diverged", "FAILED": "training_error"}


def is_beyond_hope(tx: Transaction, trial: QueuedTrial, lost: int) -> bool:
    """Return whether a trial that was lost so often is not tried again."""
    if trial.worker_id is None:
        return True
    others = tx.losses.others_succeed(trial.worker_id, since=tx.at - LATELY)
    if lost >= MAX_LOST_ANYHOW and not others:
        return True
    return tx.losses.is_trial_to_blame(trial.id, trial.attempt, trial.worker_id, others_succeed=others)


def _standing(ctx: Context, tx: Transaction, worker_id: int) -> Standing:
    return tx.losses.standing(worker_id, silent_since=tx.at - timedelta(seconds=ctx.settings.lease_s))


def pause_s(ctx: Context, lost: int) -> float:
    """Return how long a trial waits after its n-th loss, in seconds, before jitter: not at all, then doubling."""
    return min(MAX_PAUSE_S, ctx.settings.reaper_s * ((1 << min(lost, MAX_LOST_ANYHOW) - 1) - 1))


def count_failure(ctx: Context, tx: Transaction, study: LockedStudy, worker_id: int, outcome: Outcome) -> None:
    """Count a failure of a worker, and quarantine it after some in a row; a new registration changes nothing."""
    own = tx.workers.count_failure(worker_id)
    before = _standing(ctx, tx, worker_id)
    if own + before.n_failures < _QUARANTINE_AFTER or not tx.workers.others_succeed(worker_id, since=before.since):
        return
    n_before = max(tx.workers.n_quarantines(worker_id), before.n_quarantines)
    seconds = min(MAX_QUARANTINE_S, _QUARANTINE_S * 2**n_before)
    last = said(outcome.cause or USUAL_CAUSE.get(outcome.state), outcome.detail)
    why = f"{own + before.n_failures} failures in a row while other workers succeed, the last: {last}"
    tx.workers.quarantine(worker_id, seconds, why=why, n_before=n_before)
    uid = tx.workers.uids([worker_id])[worker_id]
    log(tx, "worker.quarantined", study, worker_id=uid, seconds=seconds, why=why)


def said(cause: str | None, detail: str | None) -> str:
    """Return the cause of an attempt's end with the last line of its detail, for people."""
    last = [line.strip() for line in (detail or "").splitlines() if line.strip()][-1:]
    return ": ".join([cause or "no cause given", *(line[:_MAX_REASON_CHARACTERS] for line in last)])
