"""What charts show of a study: history, importances, parallel coordinates, time line."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Sequence
from typing import Final, NamedTuple

from hpsearch.domain.lifecycle import TrialState
from hpsearch.domain.objective import Objective
from hpsearch.domain.parameters import FloatParameter, IntParameter, Parameter
from hpsearch.errors import InvalidInputError
from hpsearch.lru_cache import LruCache
from hpsearch.sampling.importance import MAX_RESULTS, MIN_RESULTS, ImportanceRequest, Share
from hpsearch.sampling.request import Observation
from hpsearch.service.context import Context
from hpsearch.service.definitions import definition_of, resolved_of
from hpsearch.storage.charts import PointRow
from hpsearch.storage.records import StudyRecord
from hpsearch.wire.charts import ChartColumn, ChartRow, Importance, Importances, Parallel, Timeline, TimelineItem
from hpsearch.wire.pages import HistoryPoint, Page

_IMPORTANCE_TIMEOUT_S: Final = 20.0
# Of the rows of a sample, those that are the best ones; the others are drawn evenly over all ranks.
_BEST_FRACTION: Final = 0.25

# By study and number of results: nothing else changes them, and results are never taken back.
_importances: LruCache[tuple[str, int], Importances] = LruCache(256)
_one_at_a_time: Final = threading.Lock()


def history(
    ctx: Context,
    study_id: str,
    *,
    improvements: bool = False,
    max_points: int | None = None,
    limit: int = 1000,
    page_token: str | None = None,
) -> Page[HistoryPoint]:
    """Return the ranked results of a study in order of their end, each with the best value until then.

    Args:
        ctx: The server's parts.
        study_id: Which study.
        improvements: Only results that beat all before them.
        max_points: Return the whole history in about so many points, at least 10: every improvement that fits, and an
            even draw of the other results. None returns page after page of all of them.
        limit: Points on a page.
        page_token: From the page before: the number of points that came before this one.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        marks = _marks(tx.charts.finished(study.id), resolved_of(study).objective)
        if improvements:
            marks = [mark for mark in marks if mark.improves]
        token = None
        if max_points is not None:
            chosen = _thinned(marks, max_points)
        else:
            start = _start(page_token)
            chosen = marks[start : start + limit]
            token = str(start + limit) if start + limit < len(marks) else None
        rows = {row.id: row for row in tx.charts.points([mark.id for mark in chosen])}
    # What was deleted meanwhile is left out.
    items = tuple(_point(mark, rows[mark.id]) for mark in chosen if mark.id in rows)
    return Page[HistoryPoint](items=items, next_page_token=token)


class _Mark(NamedTuple):
    """A result's place in the history, before the rest of it is read."""

    id: int
    n_results: int
    best: float
    spent: float
    improves: bool


def _marks(rows: Iterable[tuple[int, float, float]], objective: Objective) -> list[_Mark]:
    marks: list[_Mark] = []
    best, spent = None, 0.0
    for n_results, (trial_id, value, device_seconds) in enumerate(rows, 1):
        spent += device_seconds
        improves = best is None or objective.better(value, best)
        best = value if improves or best is None else best
        marks.append(_Mark(trial_id, n_results, best, spent, improves))
    return marks


def _start(page_token: str | None) -> int:
    if page_token is None:
        return 0
    if not (page_token.isascii() and page_token.isdigit() and len(page_token) <= 12):  # noqa: PLR2004 - far beyond any study
        msg = "page_token is not one this list gave out; start again without it"
        raise InvalidInputError(msg, code="page_token.invalid")
    return int(page_token)


def _point(mark: _Mark, row: PointRow) -> HistoryPoint:
    return HistoryPoint.model_construct(
        n_results=mark.n_results,
        number=row.number,
        trial_id=row.trial_id,
        kind=row.kind,
        value=row.value,
        best=mark.best,
        at=row.ended_at,
        device_seconds=round(mark.spent, 6),
    )


def _thinned(marks: Sequence[_Mark], n: int) -> list[_Mark]:
    """Return at most n places: the last improvements, the newest result, and an even draw of the rest."""
    if len(marks) <= n:
        return list(marks)
    kept = [i for i, mark in enumerate(marks) if mark.improves][-(n // 2) :]
    stride = len(marks) / (n - len(kept))
    chosen = {*kept, len(marks) - 1, *(int(i * stride) for i in range(n - len(kept) - 1))}
    return [marks[i] for i in sorted(chosen)]


def importances(ctx: Context, study_id: str) -> Importances:
    """Return the importance of every searched parameter, computed once for each number of results.

    Raises:
        NotFoundError: There is no such study.
        UnavailableError: The sampling process did not answer in time.
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
    key = (study.uid, study.n_complete)

    def make() -> Importances:
        with _one_at_a_time:  # a thread that waited here finds what the first one computed
            return _importances.get(key, lambda: _compute(ctx, study))

    return _importances.get(key, make)


def _compute(ctx: Context, study: StudyRecord) -> Importances:
    with ctx.store.read() as tx:
        ids = sorted(tx.charts.ranked_ids(study.id))
        rows = tx.charts.points(_drawn(ids, MAX_RESULTS))
    rows = [row for row in rows if row.kind == "search"]
    if len(rows) < MIN_RESULTS:
        too_few = f"importances need at least {MIN_RESULTS} finished search trials; there are {len(rows)} so far"
        return Importances(n_results=len(ids), reason=too_few)
    observations = tuple(Observation(row.params, TrialState.COMPLETE, row.value) for row in rows)
    space, direction = definition_of(study).space, resolved_of(study).direction
    request = ImportanceRequest(space=space, direction=direction, observations=observations)
    shares: list[Share] = ctx.sampler.importances(study.uid, request, timeout_s=_IMPORTANCE_TIMEOUT_S)
    items = tuple(Importance(name=one.name, share=one.share, n_results=one.n_results) for one in shares)
    reason = None if items else "all results are equally good so far, so no parameter stands out"
    return Importances(items=items, n_results=len(ids), n_used=len(rows), reason=reason)


def _drawn(ids: Sequence[int], n: int) -> list[int]:
    """Return at most n of the ids, evenly spread."""
    if len(ids) <= n:
        return list(ids)
    return [ids[i * len(ids) // n] for i in range(n)]


def parallel(ctx: Context, study_id: str, *, limit: int = 1000) -> Parallel:
    """Return ranked results with their parameters, at most `limit`: the best quarter of them, then an even draw.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        ids = tx.charts.ranked_ids(study.id)
        chosen = _sampled(len(ids), limit)
        rows = tx.charts.points([ids[i] for i in chosen])
    ranks = {ids[i]: i + 1 for i in chosen}
    columns = tuple(_column(name, one) for name, one in definition_of(study).space.searched().items())
    resolved = resolved_of(study)
    n_best = int(limit * _BEST_FRACTION)
    sample = (
        f"all {len(ids)} results"
        if len(ids) <= limit
        else f"{len(rows)} of {len(ids)} results: the best {n_best}, and the others drawn evenly over all ranks"
    )
    return Parallel(
        columns=columns,
        rows=tuple(_row(row, ranks[row.id], columns) for row in rows),
        metric=resolved.metric,
        direction=resolved.direction,
        n_results=len(ids),
        sample=sample,
    )


def _sampled(n: int, limit: int) -> list[int]:
    """Return which of n ranks to show: the first ones, then evenly spread ones, `limit` in all."""
    if n <= limit:
        return list(range(n))
    n_best = int(limit * _BEST_FRACTION)
    return [*range(n_best), *_drawn(range(n_best, n), limit - n_best)]


def _column(name: str, parameter: Parameter) -> ChartColumn:
    if isinstance(parameter, FloatParameter | IntParameter):
        return ChartColumn(
            name=name,
            kind="number",
            log=parameter.log,
            integer=isinstance(parameter, IntParameter),
            low=parameter.low,
            high=parameter.high,
        )
    return ChartColumn(name=name, kind="choice", choices=parameter.values)


def _row(row: PointRow, rank: int, columns: Sequence[ChartColumn]) -> ChartRow:
    return ChartRow.model_construct(
        trial_id=row.trial_id,
        number=row.number,
        kind=row.kind,
        rank=rank,
        value=row.value,
        values=tuple(row.params.get(column.name) for column in columns),
    )


def timeline(ctx: Context, study_id: str, *, limit: int = 500) -> Timeline:
    """Return the attempts of a study's newest trials, at most `limit` trials, with the workers that made them.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        rows = tx.charts.attempts(study.id, max_trials=limit)
        waiting = sum(n for (state, _), n in tx.trials.open_counts(study.id).items() if state == TrialState.WAITING)
    items = tuple(TimelineItem.model_construct(**row._asdict()) for row in rows)
    return Timeline(items=items, n_trials=max(0, study.n_numbers - waiting))
