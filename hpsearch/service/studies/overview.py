"""The list of studies: a page of them with what the list shows, in a fixed number of queries (keyset pagination)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from hpsearch.domain.lifecycle import StudyState, TrialState
from hpsearch.errors import InvalidInputError
from hpsearch.lru_cache import LruCache
from hpsearch.service.context import Context
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.service.results.final_model import final_model
from hpsearch.service.studies.eta import left_s
from hpsearch.service.studies.labels import label_filter
from hpsearch.service.studies.notes import NO_WORKER
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction
from hpsearch.wire.final_model import FinalModel

# Stands for all states in which a study has not ended.
OPEN: Final = "OPEN"

# By study and its best trial: only a better one changes how a study came to its best value.
_improvements: LruCache[tuple[str, int | None, float | None], tuple[tuple[int, float], ...]] = LruCache(1024)


@dataclass(frozen=True)
class StudySummary:
    """A study as a list shows it.

    Attributes:
        study_id: Public id.
        name: For people.
        state: Of the study.
        phase: What it is doing.
        end_reason: Why its search is over.
        metric: What it improves.
        direction: `maximize` or `minimize`.
        algorithm: How points are chosen.
        n_trials: Finished search trials.
        max_trials: Search trials it will finish.
        n_running: Trials under way, of all kinds.
        n_waiting: Trials that wait, of all kinds.
        n_failed: Trials that failed.
        n_results: Ranked results.
        best_value: On the validation rows; None before the first result.
        final: The model it hands out and the figure to believe; None until it has ended with a model.
        improvements: (number of results until then, value) of every result that beat all before it.
        device_seconds: Used so far.
        max_device_seconds: Of the budget; None without a limit.
        left_s: Seconds until it probably ends, from its pace so far; None when nothing can be said.
        labels: For people.
        created_at: When it was made.
        ended_at: None while it has not ended.
        advice: One sentence when something deserves attention.
    """

    study_id: str
    name: str
    state: str
    phase: str
    end_reason: str | None
    metric: str
    direction: str
    algorithm: str
    n_trials: int
    max_trials: int
    n_running: int
    n_waiting: int
    n_failed: int
    n_results: int
    best_value: float | None
    final: FinalModel | None
    improvements: tuple[tuple[int, float], ...]
    device_seconds: float
    max_device_seconds: float | None
    left_s: float | None
    labels: dict[str, str]
    created_at: datetime
    ended_at: datetime | None
    advice: str | None


@dataclass(frozen=True)
class Overview:
    """A page of studies.

    Attributes:
        studies: Newest first.
        next_page_token: For the page after it; None at the end.
        any_worker: Whether a worker that takes trials sent a heartbeat within the last minute.
    """

    studies: tuple[StudySummary, ...]
    next_page_token: str | None
    any_worker: bool


def overview(
    ctx: Context,
    *,
    limit: int,
    page_token: str | None = None,
    state: str | None = None,
    name_part: str | None = None,
    label: str | None = None,
) -> Overview:
    """Return a page of studies, newest first.

    Args:
        ctx: The server's parts.
        limit: Studies at most, 1 to 1,000.
        page_token: From the page before.
        state: Only studies in this state; `OPEN` for all that have not ended.
        name_part: Only studies with this in their name, in any case.
        label: Only studies with this label: `key`, or `key=value`.

    Raises:
        InvalidInputError: The limit, token, state or label is not valid.
    """
    if state not in (None, OPEN, *StudyState):
        msg = f"state must be one of {OPEN}, {', '.join(StudyState)}, received {state!r}"
        raise InvalidInputError(msg, code="state.invalid")
    with ctx.store.read() as tx:
        records, token = tx.overview.page(
            limit=limit,
            page_token=page_token,
            states=() if state in (None, OPEN) else (str(state),),
            only_open=state == OPEN,
            name_part=name_part,
            label=label_filter(label),
        )
        return Overview(
            studies=_summaries(tx, records),
            next_page_token=token,
            any_worker=tx.workers.any_useful(tx.at - NO_WORKER),
        )


def _summaries(tx: Transaction, records: Sequence[StudyRecord]) -> tuple[StudySummary, ...]:
    counts = tx.overview.open_counts([record.id for record in records])
    return tuple(_summary(tx, record, counts.get(record.id, {})) for record in records)


def _summary(tx: Transaction, study: StudyRecord, counts: dict[str, int]) -> StudySummary:
    definition, resolved = definition_of(study), resolved_of(study)
    larger = resolved.objective.larger_is_better
    return StudySummary(
        study_id=study.uid,
        name=study.name,
        state=study.state,
        phase=study.phase,
        end_reason=study.end_reason,
        metric=resolved.metric,
        direction=resolved.direction,
        algorithm=definition.algorithm.kind,
        n_trials=study.n_search_finished,
        max_trials=study.max_trials,
        n_running=counts.get(TrialState.RUNNING, 0),
        n_waiting=counts.get(TrialState.WAITING, 0),
        n_failed=study.n_failed,
        n_results=study.n_complete,
        best_value=study.best_value,
        final=final_model(tx, study),
        improvements=_improvements.get(
            (study.uid, study.best_trial_id, study.best_value),
            lambda: tuple(tx.overview.improvements(study.id, larger_is_better=larger)),
        ),
        device_seconds=study.device_seconds,
        max_device_seconds=definition.budget.device_seconds,
        left_s=left_s(tx, study, definition),
        labels=study.labels,
        created_at=study.created_at,
        ended_at=study.ended_at,
        advice=study.advice,
    )
