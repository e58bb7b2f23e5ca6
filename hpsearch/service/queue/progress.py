"""Moving a study on: from search to confirmation to refit to its end. Always under the study's lock."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hpsearch.domain.lifecycle import (
    BY_LIMIT,
    FAILURES,
    STUDY_FINAL,
    EndReason,
    StudyEvent,
    StudyState,
    TrialEvent,
    TrialKind,
    TrialState,
)
from hpsearch.domain.progress import Progress, end_reason
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.service.queue import confirmation
from hpsearch.storage.records import QueuedTrial, StudyRecord
from hpsearch.storage.store import Transaction


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


def log(tx: Transaction, event: str, study: StudyRecord, trial_uid: str | None = None, /, **data: Any) -> None:
    """Write one event of a study."""
    tx.events.add(event, study_id=study.id, trial_uid=trial_uid, data=data)


def cancel_trial(tx: Transaction, study: StudyRecord, trial: QueuedTrial, *, why: str) -> bool:
    """End an open trial without a result; return whether it was still open. The caller holds the study's lock."""
    values = {"cause": "cancelled", "ended_at": tx.at, "lease_expires_at": None}
    if not tx.queue.move(trial.id, trial.attempt, TrialEvent.CANCEL, values):
        return False
    if trial.state == TrialState.RUNNING:
        tx.attempts.end(trial.id, trial.attempt, {"state": "CANCELLED", "cause": "cancelled", "ended_at": tx.at})
    counters = {"n_cancelled": 1}
    if trial.kind == TrialKind.SEARCH:
        counters["n_search_cancelled"] = 1
    tx.studies.add_to_counters(study.id, counters)
    log(tx, "trial.cancelled", study, trial.uid, number=trial.number, why=why)
    return True


def advance(tx: Transaction, study_id: int) -> StudyRecord:
    """Return the study after moving it as far as its trials allow.

    Called after every change that may end a search or a phase; the caller holds the study's lock.
    """
    study = tx.studies.lock(study_id)
    if study.state in STUDY_FINAL:
        return study
    if study.end_reason is None:
        definition = definition_of(study)
        reason = end_reason(progress_of(tx, study), definition, resolved_of(study).objective)
        if reason is None:
            return study
        tx.studies.change(study.id, {"end_reason": reason.value})
        log(tx, "study.search_ended", study, end_reason=reason.value)
        _drop_waiting_search(tx, study)
        study = tx.studies.lock(study_id)
    if tx.trials.open_counts(study.id):
        return study
    if study.phase == "search" and study.end_reason in BY_LIMIT and not _has_result(tx, study):
        tx.studies.change(study.id, {"end_reason": EndReason.NO_RESULT.value})
        study = tx.studies.lock(study_id)
    if study.state == StudyState.PAUSED and _next_phase(study) != "ended":
        return study
    return _enter_next_phase(tx, study)


def _has_result(tx: Transaction, study: StudyRecord) -> bool:
    """Return whether a search trial came to a result: that of a baseline alone is none of the search."""
    return bool(tx.trials.best_ids(study.id, 1, kinds=(TrialKind.SEARCH,)))


def is_due(tx: Transaction, study: StudyRecord) -> bool:
    """Return whether `advance` would move the study on."""
    if study.state in STUDY_FINAL or study.state == StudyState.PAUSED:
        return False
    if study.end_reason is not None:
        return not tx.trials.open_counts(study.id)
    return end_reason(progress_of(tx, study), definition_of(study), resolved_of(study).objective) is not None


def _drop_waiting_search(tx: Transaction, study: StudyRecord) -> None:
    for trial in tx.queue.free_of(study.id):
        if trial.kind == TrialKind.SEARCH:
            cancel_trial(tx, study, trial, why=study.end_reason or "the search is over")


def _next_phase(study: StudyRecord) -> str:
    definition = definition_of(study)
    told_to_end = study.end_reason in {EndReason.USER, *FAILURES}
    if study.phase == "search" and definition.confirm.top_k > 0 and not told_to_end and study.best_trial_id is not None:
        return "confirmation"
    if (
        study.phase in ("search", "confirmation")
        and definition.refit == "auto"
        and _has_test_rows(study)
        and not told_to_end
        and study.best_trial_id is not None
    ):
        return "refit"
    return "ended"


def _has_test_rows(study: StudyRecord) -> bool:
    """Return whether a refit can be judged. A column decides row by row: studies older than the count are tried."""
    n_test, split = resolved_of(study).n_test, definition_of(study).split
    return n_test > 0 if n_test is not None else split.column is not None or split.test > 0


def _enter_next_phase(tx: Transaction, study: StudyRecord) -> StudyRecord:
    if study.phase == "confirmation":
        confirmation.rank(tx, study)
        study = tx.studies.lock(study.id)
    phase = _next_phase(study)
    if phase == "confirmation":
        created = confirmation.create_confirmations(tx, study)
    elif phase == "refit":
        created = confirmation.create_refit(tx, study)
    else:
        _finish(tx, study)
        return tx.studies.lock(study.id)
    tx.studies.change(study.id, {"phase": phase})
    log(tx, f"study.{phase}_started", study, n_trials=created)
    study = tx.studies.lock(study.id)
    return study if created else _enter_next_phase(tx, study)


def _finish(tx: Transaction, study: StudyRecord) -> None:
    failed = study.end_reason in FAILURES
    event, state = (StudyEvent.FAIL, StudyState.FAILED) if failed else (StudyEvent.FINISH, StudyState.COMPLETED)
    values: Mapping[str, Any] = {"phase": "ended", "ended_at": tx.at}
    if tx.studies.move(study.id, event, state, values):
        log(tx, f"study.{state.value.lower()}", study, end_reason=study.end_reason)
