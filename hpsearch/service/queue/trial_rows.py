"""Rows for new trials of a study, numbered and counted under its lock, so that the budget can not be overrun."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hpsearch.domain.lifecycle import TrialKind
from hpsearch.domain.trial import Params
from hpsearch.sampling.suggest import n_weights
from hpsearch.service.definitions import definition_of, shape_of
from hpsearch.service.ids import derived_seed, new_uid
from hpsearch.storage.records import NewTrialRow
from hpsearch.storage.store import Transaction
from hpsearch.storage.study_lock import LockedStudy


@dataclass(frozen=True)
class NewTrial:
    """A configuration about to become a trial."""

    params: Params
    kind: TrialKind
    grid_index: int | None = None
    parent_id: int | None = None
    refit_epochs: int | None = None
    seed: int | None = None


def insert(tx: Transaction, study: LockedStudy, trials: Sequence[NewTrial]) -> list[int]:
    """Create trials and count them; return their internal ids.

    Numbers go on from the study's counters; search trials get the next search indices. Seeds follow from the study's
    seed and the index within the kind, never from the clock.
    """
    record = study.record
    definition, shape = definition_of(record), shape_of(record)
    rows: list[NewTrialRow] = []
    n_search = record.n_search
    for offset, trial in enumerate(trials):
        number = record.n_numbers + offset
        search_index = None
        if trial.kind is TrialKind.SEARCH:
            search_index, n_search = n_search, n_search + 1
        seed = trial.seed
        if seed is None:
            index = number if search_index is None else search_index
            seed = derived_seed(definition.algorithm.seed, trial.kind.value, index)
        rows.append(
            NewTrialRow(
                uid=new_uid(),
                number=number,
                kind=trial.kind.value,
                search_index=search_index,
                grid_index=trial.grid_index,
                params=trial.params,
                seed=seed,
                n_weights=n_weights(trial.params, shape),
                parent_id=trial.parent_id,
                refit_epochs=trial.refit_epochs,
            )
        )
    ids = study.trials.create(rows)
    tx.events.add_all(
        [
            ("trial.created", study.id, row.uid, {"number": row.number, "kind": row.kind, "params": row.params})
            for row in rows
        ]
    )
    return ids
