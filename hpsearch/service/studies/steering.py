"""Steering a study: pause, resume, stop, cancel, extend, retry, clone, enqueue."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hpsearch.domain.lifecycle import STUDY_FINAL, StudyState, TrialKind, TrialState
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Params, Trial
from hpsearch.errors import ConflictError, InvalidStudyError
from hpsearch.sampling.suggest import n_weights
from hpsearch.service.context import Caller, Context
from hpsearch.service.definitions import definition_of, grid_of, resolved_of, shape_of
from hpsearch.service.idempotency import IdempotencyKey
from hpsearch.service.queue import trial_rows
from hpsearch.service.queue.cancellation import cancel_trial
from hpsearch.service.queue.event_log import log
from hpsearch.service.queue.progress import advance, progress_of
from hpsearch.service.queue.trial_rows import NewTrial
from hpsearch.service.results import trials
from hpsearch.service.studies import crud
from hpsearch.service.studies.study_views import view
from hpsearch.storage.records import FailedRow
from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy
from hpsearch.wire.pages import StudyView, TrialView
from hpsearch.wire.studies import CloneRequest, EnqueueRequest, ExtendRequest, RetryFailedReply


def _steer(ctx: Context, study_id: str, change: Callable[[Transaction, LockedStudy], None]) -> StudyView:
    """Change a study under its lock, wake whoever waits for it and return it."""
    with ctx.store.write() as tx:
        study = tx.studies.lock_uid(study_id)
        change(tx, study)
        changed = view(tx, study.record)
    _wake(ctx, study_id)
    return changed


def _wake(ctx: Context, study_id: str) -> None:
    ctx.signals.fill_needed.set()
    ctx.signals.work()
    ctx.signals.changed(study_id)


def _refuse(study: LockedStudy, verb: str) -> ConflictError:
    record = study.record
    return ConflictError(f"study {record.name!r} is {record.state} and can not be {verb}", code="study.wrong_state")


def pause(ctx: Context, study_id: str) -> StudyView:
    """Give out no more trials; running ones go on. Pausing a paused study changes nothing.

    Raises:
        NotFoundError: There is no such study.
        ConflictError: It is stopping or has ended.
    """

    def change(tx: Transaction, study: LockedStudy) -> None:
        if study.record.state == StudyState.PAUSED:
            return
        if not study.pause():
            raise _refuse(study, "paused")
        log(tx, "study.paused", study)

    return _steer(ctx, study_id, change)


def resume(ctx: Context, study_id: str) -> StudyView:
    """Give out trials again. Resuming a running study changes nothing.

    Raises:
        NotFoundError: There is no such study.
        ConflictError: It is stopping or has ended.
    """

    def change(tx: Transaction, study: LockedStudy) -> None:
        if study.record.state == StudyState.RUNNING:
            return
        if not study.resume():
            raise _refuse(study, "resumed")
        log(tx, "study.resumed", study)
        advance(tx, study)

    return _steer(ctx, study_id, change)


def stop(ctx: Context, study_id: str) -> StudyView:
    """Give out no more trials, let the running ones finish, then end. Stopping twice changes nothing.

    Raises:
        NotFoundError: There is no such study.
        ConflictError: It has ended.
    """

    def change(tx: Transaction, study: LockedStudy) -> None:
        if study.record.state == StudyState.STOPPING:
            return
        if not study.stop():
            raise _refuse(study, "stopped")
        log(tx, "study.stopping", study)
        for trial in study.open.all():
            if trial.state == TrialState.WAITING:
                cancel_trial(tx, study, trial, why="the study was stopped")
        advance(tx, study)

    return _steer(ctx, study_id, change)


def cancel(ctx: Context, study_id: str) -> StudyView:
    """End a study now; running trials are killed and leave no result. Cancelling twice changes nothing.

    Raises:
        NotFoundError: There is no such study.
        ConflictError: It has completed or failed.
    """

    def change(tx: Transaction, study: LockedStudy) -> None:
        if study.record.state == StudyState.CANCELLED:
            return
        if not study.cancel():
            raise _refuse(study, "cancelled")
        for trial in study.open.all():
            cancel_trial(tx, study, trial, why="the study was cancelled")
        log(tx, "study.cancelled", study)

    return _steer(ctx, study_id, change)


def extend(ctx: Context, study_id: str, request: ExtendRequest) -> StudyView:
    """Raise the number of search trials, of a running study or of one that has completed or failed.

    Raises:
        NotFoundError: There is no such study.
        ConflictError: It was cancelled or is stopping.
        InvalidStudyError: The new total is not larger, or larger than the grid.
    """

    def change(tx: Transaction, study: LockedStudy) -> None:
        if study.record.state in (StudyState.CANCELLED, StudyState.STOPPING):
            raise _refuse(study, "extended")
        grid_size = resolved_of(study.record).grid_size
        if request.max_trials <= study.record.max_trials:
            msg = f"max_trials must be more than the present {study.record.max_trials}, received {request.max_trials}"
            raise InvalidStudyError(msg)
        if grid_size is not None and request.max_trials > grid_size:
            msg = f"the grid has {grid_size} points, received max_trials {request.max_trials}"
            raise InvalidStudyError(msg)
        log(tx, "study.extended", study, max_trials=request.max_trials, before=study.record.max_trials)
        study.set_max_trials(request.max_trials)
        _reopen(tx, study)

    return _steer(ctx, study_id, change)


def _reopen(tx: Transaction, study: LockedStudy) -> None:
    """Let a search go on that was over."""
    if study.record.state in STUDY_FINAL:
        if not study.reopen():
            raise _refuse(study, "reopened")
        log(tx, "study.reopened", study)
    elif study.record.end_reason is not None:
        study.reopen_search()


def retry_failed(ctx: Context, study_id: str) -> RetryFailedReply:
    """Put every failed trial back into the queue and return how many; attempts count on.

    Raises:
        NotFoundError: There is no such study.
        ConflictError: It was cancelled or is stopping.
    """
    with ctx.store.write() as tx:
        study = tx.studies.lock_uid(study_id)
        if study.record.state in (StudyState.CANCELLED, StudyState.STOPPING):
            raise _refuse(study, "retried")
        failed = study.trials.failed()
        if failed:
            _reopen(tx, study)
            _retry(tx, study, failed)
    _wake(ctx, study_id)
    return RetryFailedReply(n_retried=len(failed))


def _retry(tx: Transaction, study: LockedStudy, failed: Sequence[FailedRow], *, trial_id: int | None = None) -> None:
    """Put failed trials back, all of the study's or one; costs as many statements for thousands as for one."""
    study.trials.retry(failed, trial_id)
    tx.events.add_all([("trial.retried", study.id, trial.uid, {"attempt": trial.attempt}) for trial in failed])


def retry_trial(ctx: Context, trial_id: str) -> TrialView:
    """Put one failed trial back into the queue.

    Raises:
        NotFoundError: There is no such trial.
        ConflictError: It has not failed, or its study was cancelled or is stopping.
    """
    with ctx.store.write() as tx:
        study = tx.studies.lock(tx.trials.study_of(trial_id))
        trial = tx.queue.look_up([trial_id], lock=True)[trial_id]
        failed = study.trials.failed(trial.id)
        if not failed:
            msg = f"trial {trial.number} is {trial.state}; only FAILED trials can be retried"
            raise ConflictError(msg, code="trial.wrong_state")
        if study.record.state in (StudyState.CANCELLED, StudyState.STOPPING):
            raise _refuse(study, "retried")
        _reopen(tx, study)
        _retry(tx, study, failed, trial_id=trial.id)
    _wake(ctx, study.uid)
    return trials.trial(ctx, trial_id)


def stop_trial(ctx: Context, trial_id: str) -> TrialView:
    """End one waiting or running trial without a result; random and Bayesian studies replace it.

    Raises:
        NotFoundError: There is no such trial.
        ConflictError: It has ended.
    """
    with ctx.store.write() as tx:
        study = tx.studies.lock(tx.trials.study_of(trial_id))
        trial = tx.queue.look_up([trial_id], lock=True)[trial_id]
        if not cancel_trial(tx, study, trial, why="the trial was stopped"):
            msg = f"trial {trial.number} is {trial.state} and can not be stopped"
            raise ConflictError(msg, code="trial.wrong_state")
        advance(tx, study)
    _wake(ctx, study.uid)
    return trials.trial(ctx, trial_id)


def clone(
    ctx: Context, caller: Caller, study_id: str, request: CloneRequest, *, idempotency_key: str | None = None
) -> StudyView:
    """Return a new study with the same definition.

    Raises:
        NotFoundError: There is no such study.
        InvalidInputError: The key was used for another definition.
    """
    with ctx.store.read() as tx:
        definition = definition_of(tx.studies.get(study_id))
    if request.name is not None:
        definition = StudyDefinition.model_validate({**definition.model_dump(mode="json"), "name": request.name})
    return crud.create(ctx, caller, definition, idempotency_key=idempotency_key)


def enqueue(
    ctx: Context, caller: Caller, study_id: str, request: EnqueueRequest, *, idempotency_key: str | None = None
) -> Trial:
    """Return a new waiting search trial with these parameters; it counts towards the budget.

    Raises:
        NotFoundError: There is no such study.
        ConflictError: The study takes no more trials: it is stopping, has ended, or its budget is created already.
        InvalidStudyError: The point does not belong to the space or breaks the weight limit.
        InvalidInputError: The key was used with another point.
    """
    once = IdempotencyKey.of(caller, idempotency_key, [study_id, request.model_dump(mode="json")])
    with ctx.store.write() as tx:
        study = tx.studies.lock_uid(study_id)  # first: the same request at the same time waits here
        made = None if once is None else once.made(tx)
        if made is not None:
            return tx.trials.get(made)
        trial = tx.trials.by_id(_enqueue_locked(tx, study, request))
        log(tx, "trial.enqueued", study, trial.trial_id, number=trial.number)
        if once is not None and not once.remember(tx, trial.trial_id):
            raise once.reused()
    _wake(ctx, study_id)
    return trial


def _enqueue_locked(tx: Transaction, study: LockedStudy, request: EnqueueRequest) -> int:
    if study.record.state not in (StudyState.RUNNING, StudyState.PAUSED) or study.record.end_reason is not None:
        raise _refuse(study, "given more points")
    try:
        params = definition_of(study.record).space.complete(request.params)
    except ValueError as error:
        msg = f"the point does not belong to this study's space: {error}"
        raise InvalidStudyError(msg, code="point.invalid") from None
    shape = shape_of(study.record)
    weights = n_weights(params, shape)
    if shape.max_weights is not None and weights > shape.max_weights:
        msg = (
            f"the point has {weights:,} weights, but this study allows at most {shape.max_weights:,} "
            "(constraints.max_weights): give fewer layers or units, or clone the study with a higher limit"
        )
        raise InvalidStudyError(msg, code="point.too_many_weights")
    if definition_of(study.record).algorithm.is_finite:
        return _enqueue_grid_point(tx, study, params)
    if progress_of(tx, study.record).n_creatable == 0:
        _make_room(tx, study)
    (trial_id,) = trial_rows.insert(tx, study, [NewTrial(params, TrialKind.SEARCH)])
    study.open.move_to_front(trial_id)
    return trial_id


def _enqueue_grid_point(tx: Transaction, study: LockedStudy, params: Params) -> int:
    """Return the trial of a grid point, first in the queue from now on; it is created if its turn had not come."""
    grid_index = grid_of(study.record).grid.index_of(params)
    if grid_index is None:
        msg = "the point is not one of this study's grid"
        raise InvalidStudyError(msg, code="point.invalid")
    trial_id = tx.trials.of_grid_index(study.id, grid_index)
    if trial_id is None and progress_of(tx, study.record).n_creatable == 0:
        msg = f"all {study.record.max_trials} trials of this study are created; extend it first"
        raise ConflictError(msg, code="budget.used_up")
    if trial_id is None:
        (trial_id,) = trial_rows.insert(tx, study, [NewTrial(params, TrialKind.SEARCH, grid_index=grid_index)])
    if not study.open.move_to_front(trial_id):
        msg = f"grid point {grid_index} already has a trial that has begun"
        raise ConflictError(msg, code="point.taken")
    return trial_id


def _make_room(tx: Transaction, study: LockedStudy) -> None:
    """Drop the last point that was drawn but not begun, in favour of one that somebody asks for."""
    untouched = study.open.last_untouched()
    if untouched is None:
        msg = f"all {study.record.max_trials} trials of this study have begun; extend it first"
        raise ConflictError(msg, code="budget.used_up")
    cancel_trial(tx, study, untouched, why="an enqueued point takes its place")
