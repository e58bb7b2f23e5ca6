"""I2 and I13: which points were tried follows from the study alone, not from what was killed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from hpsearch.domain.lifecycle import EndReason, StudyState
from hpsearch.domain.trial import Params
from hpsearch.sampling.request import SuggestRequest
from hpsearch.sampling.suggest import suggest
from hpsearch.service.definitions import definition_of, grid_of, resolved_of, shape_of
from hpsearch.service.ids import derived_seed
from hpsearch.storage.records import StudyRecord
from tests.invariants.audit import TrialFacts
from tests.invariants.facts import Facts, Violation, name


def _search(facts: Facts, study: StudyRecord) -> list[TrialFacts]:
    return [trial for trial in facts.of_study.get(study.id, ()) if trial.kind == "search"]


def grid_points_once(facts: Facts) -> Iterator[Violation]:
    """I2: each grid point is at most one trial with its own parameters; a whole grid's points are all there."""
    for study in facts.studies.values():
        search = _search(facts, study)
        if not definition_of(study).algorithm.is_finite:
            if any(trial.grid_index is not None for trial in search):
                yield Violation("I2", f"study {study.id} is no grid, but has grid points")
            continue
        grid = grid_of(study).grid
        for trial in search:
            index = trial.grid_index
            if index is None or not 0 <= index < grid.size or grid.point(index) != trial.params:
                yield Violation("I2", f"{name(trial)}: its parameters are not grid point {index}")
        times = Counter(trial.grid_index for trial in search)
        twice = [index for index, n in times.items() if n > 1]
        if twice:
            yield Violation("I2", f"study {study.id}: grid points {twice[:10]} have several trials")
        whole = study.state == StudyState.COMPLETED and study.end_reason == EndReason.SPACE_EXHAUSTED
        if whole and len(times) != grid.size:
            yield Violation("I2", f"study {study.id}: {grid.size - len(times)} grid points were never tried")


def points_follow_from_the_seed(facts: Facts) -> Iterator[Violation]:
    """I13: seeds, random points and the order of a grid are those of an undisturbed run."""
    for study in facts.studies.values():
        search = _search(facts, study)
        asked = {trial.uid for trial in search if _was_asked_for(facts, trial)}
        seed = definition_of(study).algorithm.seed
        for trial in search:
            if trial.seed != derived_seed(seed, "search", trial.search_index):
                yield Violation("I13", f"{name(trial)}: its seed does not follow from the study's")
        expected = _expected_points(study, len(search))
        if definition_of(study).algorithm.is_finite and asked:
            continue  # a point somebody asked for leaves the order early
        for trial in search:
            index = trial.search_index
            if expected is None or trial.uid in asked or index is None or index >= len(expected):
                continue
            if trial.params != expected[index]:
                yield Violation("I13", f"{name(trial)}: {trial.params} instead of {expected[index]}")


def _was_asked_for(facts: Facts, trial: TrialFacts) -> bool:
    return any(event.kind == "trial.enqueued" for event in facts.trial_events.get(trial.uid, ()))


def _expected_points(study: StudyRecord, n: int) -> list[Params] | None:
    """Return the points an undisturbed run would have tried, by search index; None for one that learns."""
    definition = definition_of(study)
    if definition.algorithm.learns or n == 0:
        return None
    if definition.algorithm.is_finite:
        return grid_of(study).points(0, n)
    request = SuggestRequest(
        space=definition.space,
        algorithm=definition.algorithm,
        shape=shape_of(study),
        direction=resolved_of(study).direction,
        n=n,
        first_index=0,
        max_trials=study.max_trials,
    )
    return suggest(request)
