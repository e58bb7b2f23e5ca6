"""How long a study will probably go on, from its pace so far."""

from __future__ import annotations

from hpsearch.domain.lifecycle import StudyState
from hpsearch.domain.study import StudyDefinition
from hpsearch.service.progress import progress_of
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction


def left_s(tx: Transaction, study: StudyRecord, definition: StudyDefinition) -> float | None:
    """Return seconds until the first limit of the search is met if it goes on as until now.

    Args:
        tx: Read in the same transaction as the study.
        study: Of which the end is asked.
        definition: Its definition.

    Returns:
        0 or more; None when nothing can be said: the search is paused or over, or nothing has finished yet.
    """
    if study.state != StudyState.RUNNING or study.end_reason is not None:
        return None
    so_far, budget = progress_of(tx, study), definition.budget
    ends: list[float] = []
    if budget.wall_time_s is not None:
        ends.append(budget.wall_time_s - so_far.wall_time_s)
    if so_far.n_finished:
        ends.append((so_far.n_wanted - so_far.n_finished) * so_far.wall_time_s / so_far.n_finished)
    if budget.device_seconds is not None and so_far.device_seconds > 0:
        ends.append((budget.device_seconds - so_far.device_seconds) * so_far.wall_time_s / so_far.device_seconds)
    return max(0.0, min(ends)) if ends else None
