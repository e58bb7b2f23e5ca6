"""Creating search trials a little ahead of the workers' demand, never inside a claim."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from hpsearch.domain.lifecycle import StudyState, TrialKind, TrialState
from hpsearch.domain.progress import FleetSlots, open_limit
from hpsearch.domain.study import StudyDefinition
from hpsearch.domain.trial import Params
from hpsearch.errors import UnavailableError
from hpsearch.sampling.request import Observation, SuggestRequest
from hpsearch.sampling.suggest import suggest
from hpsearch.service.context import Context
from hpsearch.service.definitions import definition_of, grid_of, resolved_of, shape_of
from hpsearch.service.queue import trial_rows
from hpsearch.service.queue.progress import progress_of
from hpsearch.service.queue.trial_rows import NewTrial
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy

_log = structlog.get_logger(__name__)

# Waiting trials a study that learns keeps ready beyond what was asked for: one for the next free worker, one to spare.
_SPARE: Final = 2
_SUGGEST_TIMEOUT_S: Final = 30.0
# Trials created at once; points of a model cost up to 0.1 s each, workers wait for the first of them, and later ones
# of a batch are chosen half blind.
_MAX_CHUNK: Final = 256
_MAX_LEARNING_CHUNK: Final = 16
# Where few points keep to a weight limit, each takes up to 0.05 s to find.
_MAX_LIMITED_CHUNK: Final = 8


def fill(ctx: Context, study_id: int) -> int:
    """Create the search trials a study needs now and return how many.

    Points of grids are looked up under the lock. Others are found outside of it, those of models by the sampler
    process, and dropped if somebody else was quicker.
    """
    with ctx.store.read() as tx:
        study = tx.studies.by_ids([study_id]).get(study_id)
        if study is None:
            return 0
        fleet = ctx.slots.of_fleet(tx) if _follows_fleet(study) else None
        n = _wanted(tx, study, ctx.signals.n_wanted(), fleet)
        definition = definition_of(study)
        history = _history(tx, study) if n and definition.algorithm.learns else ()
    if n == 0:
        return 0
    points = None if definition.algorithm.is_finite else _suggest(ctx, study, n, history)
    with ctx.store.write() as tx:
        locked = tx.studies.lock(study.id)
        created = fill_locked(tx, locked, n, points=points, expected=study.n_search, fleet=fleet)
    if created:
        if created == _chunk_of(definition) < _MAX_CHUNK:
            ctx.signals.fill_needed.set()  # more may be wanted, after the other studies have had their turn
        ctx.signals.work()
        ctx.signals.changed(study.uid)
    return created


def fill_locked(
    tx: Transaction,
    study: LockedStudy,
    n: int,
    *,
    points: Sequence[Params] | None = None,
    expected: int | None = None,
    fleet: FleetSlots | None = None,
) -> int:
    """Create up to ``n`` search trials and return how many.

    Args:
        tx: Holds the study.
        study: What to create them for.
        n: Trials wanted at most.
        points: Configurations for them, suggested for search indices from ``expected`` on; None makes them here.
        expected: The number of search trials when the points were suggested; if it has changed they are dropped.
        fleet: What may train them; None where that is not known or does not matter.
    """
    record = study.record
    n = min(n, _wanted(tx, record, n, fleet))
    if n <= 0 or (points is not None and record.n_search != expected):
        return 0
    if definition_of(record).algorithm.is_finite:
        return _insert_grid_points(tx, study, n)
    if points is None:
        points = suggest(_request(record, n, ()))
    return len(trial_rows.insert(tx, study, [NewTrial(params, TrialKind.SEARCH) for params in points[:n]]))


def _chunk_of(definition: StudyDefinition) -> int:
    """Return how many trials are created at once."""
    if definition.algorithm.learns:
        return _MAX_LEARNING_CHUNK
    is_limited = not definition.algorithm.is_finite and definition.constraints.max_weights is not None
    return _MAX_LIMITED_CHUNK if is_limited else _MAX_CHUNK


def _follows_fleet(study: StudyRecord) -> bool:
    """Return whether it depends on the fleet's slots how many trials of a study may be open."""
    definition = definition_of(study)
    return definition.parallelism == "auto" and definition.algorithm.learns


def _wanted(tx: Transaction, study: StudyRecord, demand: int, fleet: FleetSlots | None) -> int:
    if study.state != StudyState.RUNNING or study.end_reason is not None:
        return 0
    definition = definition_of(study)
    counts = tx.trials.open_counts(study.id)
    waiting, running = (counts.get((state, TrialKind.SEARCH), 0) for state in (TrialState.WAITING, TrialState.RUNNING))
    limit = open_limit(definition, study.max_trials, fleet)
    learns = definition.algorithm.learns
    # A search that learns nothing keeps its supply whatever runs: packs on several devices hold thousands of trials.
    room = limit - waiting - (0 if definition.parallelism == "auto" and not learns else running)
    ahead = room
    if learns:
        ahead = min(_MAX_LEARNING_CHUNK, max(_SPARE, demand) - waiting)
    elif waiting * 2 > limit and waiting >= demand:
        return 0  # supply enough: trials are created in batches, not one by one after each result
    return max(0, min(ahead, room, progress_of(tx, study).n_creatable, _chunk_of(definition)))


def _history(tx: Transaction, study: StudyRecord) -> tuple[Observation, ...]:
    rows = tx.trials.observations(study.id, kinds=(TrialKind.SEARCH, TrialKind.BASELINE))
    return tuple(Observation(params, TrialState(state), value) for params, state, value in rows)


def _request(study: StudyRecord, n: int, history: tuple[Observation, ...]) -> SuggestRequest:
    definition = definition_of(study)
    return SuggestRequest(
        space=definition.space,
        algorithm=definition.algorithm,
        shape=shape_of(study),
        direction=resolved_of(study).direction,
        n=n,
        first_index=study.n_search,
        max_trials=study.max_trials,
        observations=history,
    )


def _suggest(ctx: Context, study: StudyRecord, n: int, history: tuple[Observation, ...]) -> list[Params]:
    request = _request(study, n, history)
    if not request.algorithm.learns:
        return suggest(request)
    try:
        points = ctx.sampler.suggest(study.uid, request, timeout_s=_SUGGEST_TIMEOUT_S)
    except UnavailableError as error:
        _log.warning("the sampler does not answer; points are drawn at random", study=study.uid, reason=error.message)
        advice = f"the sampler did not answer ({error.message}); {n} points were drawn at random instead"
        with ctx.store.write() as tx:
            tx.studies.lock(study.id).set_advice(advice)
        return suggest(replace(request, algorithm=request.algorithm.as_random(), observations=()))
    if study.advice is not None:
        with ctx.store.write() as tx:
            tx.studies.lock(study.id).set_advice(None)
    return points


def _insert_grid_points(tx: Transaction, study: LockedStudy, n: int) -> int:
    walk = grid_of(study.record)
    chosen: list[int] = []
    cursor = study.record.grid_cursor
    while len(chosen) < n and cursor < len(walk.order):
        batch = walk.order[cursor : cursor + n - len(chosen)]
        # Points somebody enqueued by hand have left the order early.
        taken = tx.trials.taken_grid_indices(study.id, batch)
        chosen += [index for index in batch if index not in taken]
        cursor += len(batch)
    study.set_grid_cursor(cursor)
    created = trial_rows.insert(
        tx, study, [NewTrial(walk.grid.point(index), TrialKind.SEARCH, grid_index=index) for index in chosen]
    )
    return len(created)
