"""ETA of a study: the time it will probably still take, from its rate of results so far."""

from __future__ import annotations

from typing import Final

from hpsearch.domain.lifecycle import StudyState
from hpsearch.domain.study import StudyDefinition
from hpsearch.service.queue.progress import progress_of
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction

# Results from which the rate is taken: some packs of the largest size.
_RECENT: Final = 128


def left_s(tx: Transaction, study: StudyRecord, definition: StudyDefinition) -> float | None:
    """Return seconds until the first limit of the search is met if it goes on as of late.

    The pace is that of the newest results, from the first of their starts until now: what lies before, such as a pause
    or a wait for workers, says nothing about what is to come.

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
        recent = tx.overview.recent(study.id, limit=_RECENT)
        window_s = 0.0 if recent.first_started_at is None else (tx.at - recent.first_started_at).total_seconds()
        if recent.n:
            ends.append((so_far.n_wanted - so_far.n_finished) * window_s / recent.n)
        if budget.device_seconds is not None and recent.device_seconds > 0:
            ends.append((budget.device_seconds - so_far.device_seconds) * window_s / recent.device_seconds)
    return max(0.0, min(ends)) if ends else None
