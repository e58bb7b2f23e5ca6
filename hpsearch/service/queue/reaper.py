"""Requeues trials of workers that went silent or are in quarantine; every server process does it, none waits."""

from __future__ import annotations

from collections import defaultdict
from contextlib import suppress
from typing import Final

import structlog

from hpsearch.domain.trial import Outcome
from hpsearch.errors import NotFoundError
from hpsearch.service.context import Context
from hpsearch.service.queue import attempt_end
from hpsearch.service.queue.progress import advance
from hpsearch.storage.records import QueuedTrial

_log = structlog.get_logger(__name__)

# Attempts looked at in one round.
BATCH: Final = 500


def reap(ctx: Context, *, max_silence_s: float | None = None) -> int:
    """Give up the attempts whose lease has passed and return how many; renewed ones are left alone.

    Args:
        ctx: The server's parts.
        max_silence_s: Without a sign of life of any server for longer nothing is given up: this process itself stood
            still, and the leases must be given that time first. None does not look.
    """
    with ctx.store.read() as tx:
        lapsed = tx.queue.lapsed(limit=BATCH)
    by_study: dict[int, list[QueuedTrial]] = defaultdict(list)
    for trial in lapsed:
        by_study[trial.study_id].append(trial)
    return sum(_reap_study(ctx, study_id, trials, max_silence_s) for study_id, trials in by_study.items())


def requeue_quarantined(ctx: Context) -> int:
    """Put the trials of workers in quarantine back into the queue, for other workers, and return how many."""
    with ctx.store.read() as tx:
        found = tx.queue.of_quarantined(limit=BATCH)
    n = 0
    for study_id in sorted({trial.study_id for trial in found}):
        with suppress(NotFoundError), ctx.store.write() as tx:  # deleted meanwhile
            study = tx.studies.lock(study_id)
            mine = sorted((trial for trial in found if trial.study_id == study_id), key=lambda one: one.id)
            # Seen without a lock: what has ended or gone on since is left alone.
            taken = sum(attempt_end.requeue_quarantined(tx, study, trial) for trial in mine)
            advance(tx, study)
            n += taken
            ctx.signals.changed(study.uid)
    if n:
        ctx.signals.work()
    return n


def _reap_study(ctx: Context, study_id: int, trials: list[QueuedTrial], max_silence_s: float | None) -> int:
    n = 0
    try:
        with ctx.store.write() as tx:
            if max_silence_s is not None and abs(tx.replicas.silence_s() or 0.0) > max_silence_s:
                return 0
            study = tx.studies.lock(study_id)
            for trial in sorted(trials, key=lambda one: one.id):
                # Seen without a lock: only what is still the same attempt, and still overdue, is given up.
                if not tx.queue.still_lapsed(trial.id, trial.attempt):
                    continue
                gone = Outcome.model_construct(state="FAILED", cause="lost", detail=None)
                if attempt_end.requeue_lost(ctx, tx, study, trial, gone):
                    n += 1
                    _log.warning("lease lapsed", study=study.uid, trial=trial.uid, attempt=trial.attempt)
            if n:
                advance(tx, study)
    except NotFoundError:
        return 0  # the study was deleted meanwhile
    if n:
        ctx.signals.work()
        ctx.signals.fill_needed.set()
        ctx.signals.changed(study.uid)
    return n
