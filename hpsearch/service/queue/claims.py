"""Giving trials to workers. Nothing here suggests points, waits, or grows with history."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.progress import open_limit
from hpsearch.domain.selection import Selection
from hpsearch.service.context import Caller, Context
from hpsearch.service.definitions import facts_of
from hpsearch.service.fleet import workers
from hpsearch.service.results.final_model import selection_of
from hpsearch.storage.records import ClaimedRow, StudyHeading, WorkerRecord
from hpsearch.storage.store import Transaction
from hpsearch.storage.workers import has_other_slots
from hpsearch.wire.claims import ClaimedTrial, ClaimReply, ClaimRequest, StudyBrief

# Trials one worker may hold at once: a worker that claims everything and goes silent must not starve the others.
MAX_HELD: Final = 2048
# Losses after which a trial is trained with no other in the process: by then one of two that fell together is to blame,
# and the innocent one must not fall as often as it takes to fail.
_ALONE_AFTER: Final = 2


def claim(ctx: Context, caller: Caller, worker_id: str, request: ClaimRequest) -> ClaimReply:
    """Return trials for a worker, at once and perhaps none; the same claim again gives the same trials.

    Raises:
        NotFoundError: The worker is not registered.
        ForbiddenError: It was registered with another token.
    """
    if ctx.signals.n_wanted() and _nothing_to_give(ctx, caller, worker_id, request):
        ctx.signals.want(worker_id, request.max_trials)
        ctx.signals.claimed(worker_id, 0)
        return ClaimReply(lease_s=ctx.settings.lease_s)
    with ctx.store.write() as tx:
        # Rows are locked in the order study, trial, worker everywhere else. Only a claim may begin with its worker,
        # because it waits for nothing more; so the same claim again waits here until the first is committed.
        worker = workers.identify(tx, caller, worker_id, lock=True)
        rows, known = tx.queue.claimed(worker_id=worker.id, claim_id=request.claim_id)
        if rows:
            # The answer promises a whole lease from now on, however long ago it was given first.
            again = {(row.id, row.attempt): 0 for row in rows}
            tx.queue.renew(again, worker_id=worker.id, lease_s=ctx.settings.lease_s)
        room = 0
        if not known and worker.state == workers.ACTIVE and not tx.workers.quarantined(worker):
            room = min(request.max_trials, MAX_HELD - tx.workers.n_running(worker.id))
        is_asking = room > 0
        if room > 1 and (n_starved := ctx.signals.n_starved(but=worker_id)):
            # Idle workers are about to ask for theirs: none takes what others could begin at once.
            room = min(room, max(1, -(-tx.queue.n_waiting(at_most=room * (n_starved + 1)) // (n_starved + 1))))
        if room > 0:
            rows = tx.queue.claim(worker_id=worker.id, claim_id=request.claim_id, n=room, lease_s=ctx.settings.lease_s)
        reply = _reply(ctx, tx, rows)
        _log(tx, worker, () if known else rows)
        is_news = tx.workers.seen(worker, _told(request))
    if is_news:
        ctx.slots.forget()
    if is_asking:
        ctx.signals.claimed(worker_id, len(rows))
        ctx.signals.want(worker_id, room - len(rows))
    if rows and not known:
        ctx.signals.fill_needed.set()
        for study_id in reply.studies:
            ctx.signals.changed(study_id)
    return reply


def _told(request: ClaimRequest) -> dict[str, Any] | None:
    return None if request.progress is None else request.progress.model_dump()


def _nothing_to_give(ctx: Context, caller: Caller, worker_id: str, request: ClaimRequest) -> bool:
    """Return whether the answer is surely empty: an idle worker's polling must not take the writer's turn.

    Somebody has lately asked for more than there was; otherwise this look would only be done twice.
    """
    with ctx.store.read() as tx:
        if tx.queue.any_waiting():
            return False
        worker = workers.identify(tx, caller, worker_id)
        if has_other_slots(worker, _told(request)):
            return False
        silent = (tx.at - worker.last_seen_at).total_seconds() > ctx.settings.heartbeat_s
        return not silent and not tx.queue.claimed(worker_id=worker.id, claim_id=request.claim_id)[1]


def _log(tx: Transaction, worker: WorkerRecord, rows: Sequence[ClaimedRow]) -> None:
    by = {"worker_id": worker.uid, "worker": worker.name}
    told = [(row.study_id, row.uid, {"number": row.number, "attempt": row.attempt, **by}) for row in rows]
    tx.events.add_all([("trial.claimed", *one) for one in told])


def _reply(ctx: Context, tx: Transaction, rows: Sequence[ClaimedRow]) -> ClaimReply:
    studies = tx.studies.headings(sorted({row.study_id for row in rows})) if rows else {}
    return ClaimReply(
        trials=tuple(_trial(tx, row, studies[row.study_id]) for row in rows),
        studies={study.uid: _brief(tx, study) for study in studies.values()},
        lease_s=ctx.settings.lease_s,
        model_thresholds={s.uid: s.model_threshold for s in studies.values() if s.model_threshold is not None},
    )


def _trial(tx: Transaction, row: ClaimedRow, study: StudyHeading) -> ClaimedTrial:
    return ClaimedTrial(
        trial_id=row.uid,
        study_id=study.uid,
        number=row.number,
        kind=TrialKind(row.kind),
        attempt=row.attempt,
        params=row.params,
        seed=row.seed,
        n_weights=row.n_weights,
        refit_epochs=row.refit_epochs,
        selection=_selection(tx, row, study) if row.kind == TrialKind.REFIT else None,
        split_seed=row.split_seed,
        alone=row.infra_attempts >= _ALONE_AFTER or row.oom_attempts > 0,
    )


def _selection(tx: Transaction, row: ClaimedRow, study: StudyHeading) -> Selection | None:
    chosen = tx.trials.by_id(row.id).parent_id
    return None if chosen is None else selection_of(tx, facts_of(tx, study.id, study.uid)[1], tx.trials.get(chosen))


def _brief(tx: Transaction, study: StudyHeading) -> StudyBrief:
    """Return what a worker must know of a study."""
    definition, resolved = facts_of(tx, study.id, study.uid)
    return StudyBrief(
        study_id=study.uid,
        name=study.name,
        dataset_id=resolved.dataset_id,
        dataset_digest=resolved.dataset_digest,
        task=resolved.task,
        split=definition.split,
        metric=resolved.metric,
        direction=resolved.direction,
        training=definition.training,
        data_order_seed=definition.algorithm.seed,
        engine=definition.engine,
        space=definition.space,
        max_trials=resolved.max_trials,
        max_weights=definition.constraints.max_weights,
        open_trials=open_limit(definition, resolved.max_trials),
        n_models=max(1, definition.confirm.top_k),
    )
