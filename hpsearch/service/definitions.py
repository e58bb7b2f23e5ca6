"""LRU caches of parsed study definitions, which never change."""

from __future__ import annotations

from hpsearch.domain.study import ResolvedStudy, StudyDefinition
from hpsearch.lru_cache import LruCache
from hpsearch.sampling.grid_walk import GridWalk, grid_walk
from hpsearch.sampling.request import NetworkShape
from hpsearch.storage.records import StudyRecord
from hpsearch.storage.store import Transaction

_definitions: LruCache[str, StudyDefinition] = LruCache(256)
_resolved: LruCache[str, ResolvedStudy] = LruCache(256)
_facts: LruCache[str, tuple[StudyDefinition, ResolvedStudy]] = LruCache(256)
_grids: LruCache[str, GridWalk] = LruCache(8)


def definition_of(study: StudyRecord) -> StudyDefinition:
    """Return the definition of a stored study."""
    return _definitions.get(study.uid, lambda: StudyDefinition.model_validate(study.definition))


def resolved_of(study: StudyRecord) -> ResolvedStudy:
    """Return what was decided for a stored study at its creation."""
    return _resolved.get(study.uid, lambda: ResolvedStudy.model_validate(study.resolved))


def facts_of(tx: Transaction, study_id: int, uid: str) -> tuple[StudyDefinition, ResolvedStudy]:
    """Return definition and decisions of a stored study; reads its row only the first time."""

    def make() -> tuple[StudyDefinition, ResolvedStudy]:
        study = tx.studies.by_ids([study_id])[study_id]
        return definition_of(study), resolved_of(study)

    return _facts.get(uid, make)


def shape_of(study: StudyRecord) -> NetworkShape:
    """Return the widths and the weight limit networks of a stored study must obey."""
    resolved = resolved_of(study)
    return NetworkShape(
        n_inputs=resolved.n_inputs,
        n_outputs=resolved.n_outputs,
        max_weights=definition_of(study).constraints.max_weights,
    )


def grid_of(study: StudyRecord) -> GridWalk:
    """Return the grid of a stored study and the order in which its points are handed out."""

    def make() -> GridWalk:
        definition = definition_of(study)
        return grid_walk(definition.space, definition.algorithm, shape_of(study))

    return _grids.get(study.uid, make)
