"""Studies as users see them."""

from __future__ import annotations

from hpsearch.domain.lifecycle import TrialState
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.service.queue.progress import progress_of
from hpsearch.service.results.final_model import final_model
from hpsearch.service.results.trials import to_row
from hpsearch.service.studies.notes import note_of
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction
from hpsearch.storage.trials import Ranked
from hpsearch.wire.pages import BudgetUsed, StudyView


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
        note_to_user=note_of(tx, study, counts),
    )
