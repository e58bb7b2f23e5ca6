"""Studies as users see them."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from hpsearch.domain.lifecycle import STUDY_FINAL, StudyState, TrialState
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.service.final_model import final_model
from hpsearch.service.progress import progress_of
from hpsearch.service.results import to_row
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction
from hpsearch.storage.trials import Ranked
from hpsearch.wire.pages import BudgetUsed, StudyView

# A study without any worker heard of for this long says so.
_LONELY: Final = timedelta(seconds=60)


def view(tx: Transaction, study: StudyRecord) -> StudyView:
    """Return the view of a study; costs the same however many trials it has."""
    counts = {state.value: 0 for state in TrialState}
    for (state, _kind), n in tx.trials.open_counts(study.id).items():
        counts[state] += n
    for state in (
        TrialState.COMPLETE,
        TrialState.PRUNED,
        TrialState.INFEASIBLE,
        TrialState.FAILED,
        TrialState.CANCELLED,
    ):
        counts[state.value] = getattr(study, f"n_{state.value.lower()}")
    ranked, _ = tx.trials.ranked(study.id, limit=1, page_token=None)
    progress = progress_of(tx, study)
    return StudyView(
        study_id=study.uid,
        name=study.name,
        state=study.state,
        end_reason=study.end_reason,
        phase=study.phase,
        definition=definition_of(study),
        resolved=resolved_of(study),
        counts=counts,
        n_trials=study.n_search_finished,
        best=to_row(Ranked(1, ranked[0].trial, ranked[0].confirmation)) if ranked else None,
        final=final_model(tx, study),
        budget=BudgetUsed(
            max_trials=study.max_trials,
            n_created=study.n_search,
            n_trials=study.n_search_finished,
            wall_time_s=progress.wall_time_s,
            device_seconds=study.device_seconds,
        ),
        priority=study.priority,
        notes=study.notes,
        labels=study.labels,
        created_at=study.created_at,
        ended_at=study.ended_at,
        note_to_user=_note(tx, study, counts),
    )


def _note(tx: Transaction, study: StudyRecord, counts: dict[str, int]) -> str | None:
    if study.advice is not None:
        return study.advice
    if study.state in STUDY_FINAL or study.state == StudyState.PAUSED or counts[TrialState.RUNNING]:
        return None
    lonely = tx.at - study.created_at >= _LONELY and not tx.workers.any_useful(tx.at - _LONELY)
    if counts[TrialState.WAITING] and lonely:
        return "trials wait, but no worker has been heard of for a minute: start one with `hpsearch worker`"
    return None
