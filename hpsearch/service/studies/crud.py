"""Studies: created whole or not at all, read, changed, deleted."""

from __future__ import annotations

from hpsearch.domain.lifecycle import STUDY_FINAL, StudyState, TrialKind
from hpsearch.domain.study import StudyDefinition
from hpsearch.errors import ConflictError, ForbiddenError, InvalidInputError, NotFoundError
from hpsearch.sampling.baselines import linear_baseline, mlp_baseline
from hpsearch.service.context import Caller, Context
from hpsearch.service.idempotency import IdempotencyKey
from hpsearch.service.ids import new_uid
from hpsearch.service.queue import trial_rows
from hpsearch.service.queue.filling import fill_locked
from hpsearch.service.queue.trial_rows import NewTrial
from hpsearch.service.studies.labels import label_filter
from hpsearch.service.studies.resolving import Resolution, resolve
from hpsearch.service.studies.study_views import view
from hpsearch.storage.records import NewStudyRow, StudyRecord
from hpsearch.storage.store import Transaction
from hpsearch.wire.pages import Page, StudyView
from hpsearch.wire.studies import StudyPatch


def create(
    ctx: Context, caller: Caller, definition: StudyDefinition, *, idempotency_key: str | None = None
) -> StudyView:
    """Return the new study, its baselines and first trials already queued.

    Args:
        ctx: The server's parts.
        caller: Who creates it.
        definition: What is asked for.
        idempotency_key: The same key with the same definition returns the study made before.

    Raises:
        InvalidStudyError: The definition can not work; nothing is created.
        NotFoundError: There is no such data set, or the study that the key made was deleted.
        InvalidInputError: The key was used with another definition.
        ForbiddenError: The token has as many open studies as it may.
    """
    once = IdempotencyKey.of(caller, idempotency_key, definition.model_dump(mode="json"))
    if once is not None:
        with ctx.store.read() as tx:
            known = _made_before(tx, once)
            if known is not None:
                return view(tx, known)
    resolution = resolve(ctx, definition)
    uid = new_uid()
    with ctx.store.write() as tx:
        # First of all: the same request at the same time waits here, and then finds what this one made.
        if once is not None and not once.remember(tx, uid):
            known = _made_before(tx, once)
            if known is not None:
                return view(tx, known)
        _check_room(ctx, tx, caller)
        created = view(tx, _insert(tx, caller, definition, resolution, uid=uid))
    ctx.signals.fill_needed.set()
    ctx.signals.work()
    return created


def _check_room(ctx: Context, tx: Transaction, caller: Caller) -> None:
    """Refuse a study beyond the quota; requests that arrive at the same moment may exceed it by their number."""
    most = ctx.settings.max_open_studies
    if tx.studies.n_open_of(caller.token_id, at_most=most) >= most:
        msg = (
            f"this token has {most} studies that have not ended, as many as it may (HPSEARCH_MAX_OPEN_STUDIES); "
            "wait for some to end, or stop or cancel some"
        )
        raise ForbiddenError(msg, code="quota.open_studies")


def _made_before(tx: Transaction, once: IdempotencyKey) -> StudyRecord | None:
    made = once.made(tx)
    if made is None:
        return None
    try:
        return tx.studies.get(made)
    except NotFoundError:
        msg = (
            f"the study made with Idempotency-Key {once.key!r}, {made}, was deleted since; choose a new key for another"
        )
        raise NotFoundError(msg, code="study.not_found") from None


def _insert(
    tx: Transaction, caller: Caller, definition: StudyDefinition, resolution: Resolution, *, uid: str
) -> StudyRecord:
    study_id = tx.studies.add(
        NewStudyRow(
            uid=uid,
            name=definition.name,
            definition=definition.model_dump(mode="json"),
            resolved=resolution.resolved.model_dump(mode="json"),
            dataset_id=resolution.dataset.id,
            token_uid=caller.token_id,
            max_trials=resolution.resolved.max_trials,
        )
    )
    tx.events.add("study.created", study_id=study_id, data={"name": definition.name})
    study = tx.studies.lock(study_id)
    if definition.baselines:
        shape = resolution.shape(definition)
        points = (linear_baseline(definition), mlp_baseline(definition, shape))
        trial_rows.insert(tx, study, [NewTrial(point, TrialKind.BASELINE) for point in points])
    if not definition.algorithm.learns:
        fill_locked(tx, study, n=256)
    return study.record


def get(ctx: Context, study_id: str) -> StudyView:
    """Return one study.

    Raises:
        NotFoundError: There is none of that id.
    """
    with ctx.store.read() as tx:
        return view(tx, tx.studies.get(study_id))


def listing(
    ctx: Context,
    *,
    limit: int,
    page_token: str | None,
    state: str | None = None,
    name: str | None = None,
    label: str | None = None,
) -> Page[StudyView]:
    """Return a page of studies, newest first.

    Args:
        ctx: The server's parts.
        limit: Studies at most, 1 to 1,000.
        page_token: From the page before.
        state: Only studies in this state.
        name: Only studies of exactly this name.
        label: Only studies with this label: `key`, or `key=value`.

    Raises:
        InvalidInputError: The limit, token, state or label is not valid.
    """
    if state is not None and state not in list(StudyState):
        msg = f"state must be one of {', '.join(StudyState)}, received {state!r}"
        raise InvalidInputError(msg, code="state.invalid")
    with ctx.store.read() as tx:
        records, token = tx.studies.page(
            limit=limit, page_token=page_token, state=state, name=name, label=label_filter(label)
        )
        return Page[StudyView](items=tuple(view(tx, record) for record in records), next_page_token=token)


def patch(ctx: Context, study_id: str, change: StudyPatch) -> StudyView:
    """Change a study's name, priority, notes or labels and return it; what is left out stays.

    Raises:
        NotFoundError: There is no such study.
    """
    values = change.model_dump(exclude_unset=True, exclude_none=True)
    with ctx.store.write() as tx:
        study = tx.studies.lock_uid(study_id)
        if values:
            study.edit(name=change.name, priority=change.priority, notes=change.notes, labels=change.labels)
            tx.events.add("study.changed", study_id=study.id, data=values)
        changed = view(tx, study.record)
    ctx.signals.changed(study_id)
    return changed


def delete(ctx: Context, study_id: str) -> None:
    """Delete an ended study with everything that belongs to it.

    Raises:
        NotFoundError: There is no such study.
        ConflictError: It has not ended; cancel it first.
    """
    with ctx.store.write() as tx:
        study = tx.studies.lock_uid(study_id)
        if study.record.state not in STUDY_FINAL:
            msg = f"study {study.record.name!r} is {study.record.state}; cancel it before deleting it"
            raise ConflictError(msg, code="study.not_ended")
        kept = tx.models.of_study(study.id)
        study.delete()
    ctx.content.release(record.digest for record in kept)
    ctx.signals.changed(study_id)
