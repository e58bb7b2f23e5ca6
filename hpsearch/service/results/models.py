"""Model files: stored before their trial completes, dropped when they can not win any more."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from hpsearch.domain.lifecycle import ALWAYS_KEPT, TrialState
from hpsearch.domain.trial import Trial
from hpsearch.errors import ForbiddenError, NotFoundError, StaleAttemptError
from hpsearch.service.context import Caller, Context
from hpsearch.service.datasets import StoredFile
from hpsearch.service.definitions import definition_of
from hpsearch.service.fleet import workers
from hpsearch.service.results.final_model import handed_out
from hpsearch.storage.records import ModelRecord, QueuedTrial
from hpsearch.storage.store import Transaction

_MAX_LISTED: Final = 20


def put(ctx: Context, caller: Caller, worker_id: str, trial_id: str, attempt: int, path: Path) -> ModelRecord:
    """Keep the file at ``path`` as the model of a running attempt; sending it again replaces it.

    Raises:
        NotFoundError: There is no such trial or worker.
        ForbiddenError: The attempt belongs to another worker.
        StaleAttemptError: The attempt is not the current one.
    """
    with ctx.store.read() as tx:
        _check_current(tx, caller, worker_id, trial_id, attempt)
    content = ctx.content.put_file(path)
    # What can not be kept is deleted at once, as is the model it replaces.
    superfluous: str | None = content.digest
    try:
        with ctx.store.write() as tx:
            # Once more, and held: the trial may have ended or gone while the file was written.
            trial = _check_current(tx, caller, worker_id, trial_id, attempt, lock=True)
            ctx.content.hold(tx, content)
            record = ModelRecord(trial.id, attempt, content.digest, content.size_bytes)
            replaced = tx.models.put(record, tx.at)
        superfluous = None if replaced == content.digest else replaced
    finally:
        if superfluous is not None:
            ctx.content.release([superfluous])
    return record


def _check_current(
    tx: Transaction, caller: Caller, worker_id: str, trial_id: str, attempt: int, *, lock: bool = False
) -> QueuedTrial:
    worker = workers.identify(tx, caller, worker_id)
    trial = tx.queue.look_up([trial_id], lock=lock).get(trial_id)
    if trial is None:
        msg = f"there is no trial {trial_id!r}"
        raise NotFoundError(msg, code="trial.not_found")
    # A lapsed attempt whose trial was not claimed again may still deliver: its report will revive it.
    if trial.attempt != attempt or trial.state not in (TrialState.RUNNING, TrialState.WAITING):
        msg = f"attempt {attempt} is not running: the trial is {trial.state} at attempt {trial.attempt}"
        raise StaleAttemptError(msg)
    if trial.worker_id != worker.id:
        msg = f"attempt {attempt} of trial {trial_id} belongs to another worker"
        raise ForbiddenError(msg, code="trial.foreign")
    return trial


def of_study(ctx: Context, study_id: str) -> StoredFile:
    """Return the model a study hands out: of the refit of its best trial if there was one, else of that trial.

    Raises:
        NotFoundError: There is no such study, or it has no model yet.
        ConflictError: The file on disk was changed (code `blob.digest_mismatch`).
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        trial = handed_out(tx, study)
        record = None if trial is None else _accepted(tx, trial)
    if record is None:
        msg = f"study {study.name!r} has no model yet: no trial that is complete has delivered one"
        raise NotFoundError(msg, code="model.not_found")
    return _file(ctx, record, study.name)


def _accepted(tx: Transaction, trial: Trial) -> ModelRecord | None:
    return tx.models.of_attempt(tx.queue.look_up([trial.trial_id])[trial.trial_id].id, trial.attempt)


def of_trial(ctx: Context, trial_id: str) -> StoredFile:
    """Return the model of one trial, if it is kept.

    Raises:
        NotFoundError: There is no such trial, or its model is not kept.
        ConflictError: The file on disk was changed (code `blob.digest_mismatch`).
    """
    with ctx.store.read() as tx:
        trial = tx.trials.get(trial_id)
        record = _accepted(tx, trial) if trial.state is TrialState.COMPLETE else None
        study = tx.studies.get(trial.study_id)
        kept = tx.models.kept_numbers(study.id) if record is None else []
    if record is None:
        which = f"kept are those of {_listed(kept)}" if kept else "none of the study is kept yet"
        msg = f"the model of trial {trial.number} of study {study.name!r} is not kept; {which}"
        raise NotFoundError(msg, code="model.not_found")
    return _file(ctx, record, f"{study.name}-{trial.number}")


def _listed(numbers: Sequence[int]) -> str:
    more = f" and {len(numbers) - _MAX_LISTED} more" if len(numbers) > _MAX_LISTED else ""
    return f"trial{'' if len(numbers) == 1 else 's'} {', '.join(map(str, numbers[:_MAX_LISTED]))}{more}"


def _file(ctx: Context, record: ModelRecord, name: str) -> StoredFile:
    safe = re.sub(r"[^A-Za-z0-9._-]+", "-", name).strip(".-")[:80] or "model"
    return StoredFile(ctx.content.path(record.digest), record.digest, record.size_bytes, f"{safe}.keras")


def drop_beaten(ctx: Context, study_id: int) -> int:
    """Delete the models of trials that are no longer among the best, or of attempts given up, and return how many.

    Kept are those of open trials, of baselines and refits, and of the best k, where k is what confirmation looks at, at
    least 1.
    """
    with ctx.store.read() as tx:
        # In this order: on PostgreSQL a trial may deliver or end between two of these. What is open now may be among
        # the best a moment later.
        delivered = tx.models.of_study(study_id)
        stale = {(record.trial_id, record.attempt) for record in tx.models.stale_of_study(study_id)}
        safe = {one.id for one in tx.queue.open_of(study_id)}
        study = tx.studies.by_ids([study_id]).get(study_id)
        if study is None:
            return 0
        kept = max(1, definition_of(study).confirm.top_k)
        safe |= set(tx.trials.best_ids(study_id, kept))
        if study.best_trial_id is not None:
            safe.add(study.best_trial_id)
        always = {trial.trial_id for kind in ALWAYS_KEPT for trial in tx.trials.of_kind(study_id, kind)}
        safe |= {row.id for row in tx.queue.look_up(sorted(always)).values()}
    beaten = [one for one in delivered if one.trial_id not in safe or (one.trial_id, one.attempt) in stale]
    if not beaten:
        return 0
    with ctx.store.write() as tx:
        tx.models.remove(beaten)
    ctx.content.release(record.digest for record in beaten)
    return len(beaten)
