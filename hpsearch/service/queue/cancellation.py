"""Cancelling a trial, by whom ever and why ever it is wanted no more."""

from __future__ import annotations

from hpsearch.service.queue.event_log import log
from hpsearch.storage.records import QueuedTrial
from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy
from hpsearch.storage.transitions import AttemptEnd


def cancel_trial(
    tx: Transaction, study: LockedStudy, trial: QueuedTrial, *, why: str, end: AttemptEnd | None = None
) -> bool:
    """End an open trial without a result; return whether it was still open.

    Args:
        tx: Holds the study.
        study: The trial's.
        trial: Waiting or running.
        why: For people.
        end: How its attempt ended, if that is why it is cancelled.
    """
    if not study.trials.cancel(trial, end):
        return False
    log(tx, "trial.cancelled", study, trial.uid, number=trial.number, why=why)
    return True
