"""The progress of a study, and moving it on: from search to confirmation to refit to its end."""

from __future__ import annotations

from hpsearch.domain.lifecycle import BY_LIMIT, FAILURES, STUDY_FINAL, EndReason, StudyState, TrialKind
from hpsearch.domain.progress import Progress, end_reason
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.service.queue import confirmation
from hpsearch.service.queue.cancellation import cancel_trial
from hpsearch.service.queue.event_log import log
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy


def progress_of(tx: Transaction, study: StudyRecord) -> Progress:
    """Return what a study has used so far."""
    end = study.ended_at or tx.at
    return Progress(
        max_trials=study.max_trials,
        grid_size=resolved_of(study).grid_size,
        n_search=study.n_search,
        n_finished=study.n_search_finished,
        n_failed=study.n_search_failed,
        n_lost=study.n_search_lost,
        n_cancelled=study.n_search_cancelled,
        best_value=study.best_value,
        wall_time_s=(end - study.created_at).total_seconds(),
        device_seconds=study.device_seconds,
    )


def _reason_to_end(tx: Transaction, study: StudyRecord) -> EndReason | None:
    return end_reason(progress_of(tx, study), definition_of(study), resolved_of(study).objective)


def advance(tx: Transaction, study: LockedStudy) -> None:
    """Move a study as far as its trials allow. Called after every change that may end a search or a phase."""
    if study.record.state in STUDY_FINAL:
        return
    if study.record.end_reason is None:
        reason = _reason_to_end(tx, study.record)
        if reason is None:
            return
        study.end_search(reason)
        log(tx, "study.search_ended", study, end_reason=reason.value)
        for trial in study.open.free():
            if trial.kind == TrialKind.SEARCH:
                cancel_trial(tx, study, trial, why=reason.value)
    if tx.trials.open_counts(study.id):
        return
    if study.record.phase == "search" and study.record.end_reason in BY_LIMIT and not _has_result(tx, study):
        study.end_search(EndReason.NO_RESULT)
    if study.record.state != StudyState.PAUSED or _next_phase(study.record) == "ended":
        _enter_next_phase(tx, study)


def _has_result(tx: Transaction, study: LockedStudy) -> bool:
    """Return whether a search trial came to a result: that of a baseline alone is none of the search."""
    return bool(tx.trials.best_ids(study.id, 1, kinds=(TrialKind.SEARCH,)))


def is_due(tx: Transaction, study: StudyRecord) -> bool:
    """Return whether `advance` would move the study on."""
    if study.state in STUDY_FINAL or study.state == StudyState.PAUSED:
        return False
    if study.end_reason is not None:
        return not tx.trials.open_counts(study.id)
    return _reason_to_end(tx, study) is not None


def _next_phase(study: StudyRecord) -> str:
    if study.end_reason in {EndReason.USER, *FAILURES} or study.best_trial_id is None:
        return "ended"
    definition = definition_of(study)
    if study.phase == "search" and definition.confirm.top_k > 0:
        return "confirmation"
    if study.phase in ("search", "confirmation") and definition.refit == "auto" and _has_test_rows(study):
        return "refit"
    return "ended"


def _has_test_rows(study: StudyRecord) -> bool:
    """Return whether a refit can be judged. A column decides row by row: studies older than the count are tried."""
    n_test, split = resolved_of(study).n_test, definition_of(study).split
    return n_test > 0 if n_test is not None else split.column is not None or split.test > 0


def _enter_next_phase(tx: Transaction, study: LockedStudy) -> None:
    if study.record.phase == "confirmation":
        confirmation.rank(tx, study)
    phase = _next_phase(study.record)
    if phase == "confirmation":
        created = confirmation.create_confirmations(tx, study)
    elif phase == "refit":
        created = confirmation.create_refit(tx, study)
    else:
        _finish(tx, study)
        return
    study.enter_phase(phase)
    log(tx, f"study.{phase}_started", study, n_trials=created)
    if not created:
        _enter_next_phase(tx, study)


def _finish(tx: Transaction, study: LockedStudy) -> None:
    ended = study.fail() if study.record.end_reason in FAILURES else study.finish()
    if ended:
        log(tx, f"study.{study.record.state.lower()}", study, end_reason=study.record.end_reason)
