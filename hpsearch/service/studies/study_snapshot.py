"""Snapshot of a study for live views, read in one transaction at a cost that does not grow with its trials."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from hpsearch.domain.trial import Trial
from hpsearch.service.context import Context
from hpsearch.service.definitions import definition_of
from hpsearch.service.studies.eta import left_s
from hpsearch.service.studies.study_views import view
from hpsearch.storage.charts import RunningRow
from hpsearch.wire.pages import RunningTrial, RunningTrials, StudyView

_MAX_EPOCHS_SHOWN = 300


@dataclass(frozen=True)
class Glimpse:
    """A study as it stands.

    Attributes:
        study: Its view.
        version: Changes with every result.
        running: Trials under way, the earliest first, at most as many as were asked for.
        open_counts: Waiting and running trials by (state, kind).
        left_s: Seconds until the search probably ends; None when nothing can be said.
    """

    study: StudyView
    version: int
    running: tuple[RunningRow, ...]
    open_counts: Mapping[tuple[str, str], int]
    left_s: float | None = None


def glimpse(ctx: Context, study_id: str, *, max_running: int = 12) -> Glimpse:
    """Return a study as it stands.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        study = tx.studies.get(study_id)
        return Glimpse(
            study=view(tx, study),
            version=study.version,
            running=tuple(tx.charts.running(study.id, limit=max_running)),
            open_counts=tx.trials.open_counts(study.id),
            left_s=left_s(tx, study, definition_of(study)),
        )


def running(ctx: Context, study_id: str, *, limit: int) -> RunningTrials:
    """Return the trials of a study under way, the earliest first, with the metrics of their last epochs.

    Raises:
        NotFoundError: There is no such study.
    """
    with ctx.store.read() as tx:
        rows = tx.charts.running(tx.studies.get(study_id).id, limit=limit)
    return RunningTrials(items=tuple(RunningTrial.model_construct(**row._asdict()) for row in rows))


def curves(ctx: Context, trial_ids: Sequence[str]) -> Mapping[str, list[tuple[int, Mapping[str, float | None]]]]:
    """Return (epoch, metrics) of the current attempts of some trials, thinned to about 300 epochs each.

    Trials that are unknown or have reported nothing have no epochs.
    """
    with ctx.store.read() as tx:
        return {uid: list(epochs) for uid, epochs in tx.charts.curves(trial_ids, max_epochs=_MAX_EPOCHS_SHOWN).items()}


def repeats(ctx: Context, trial_id: str) -> tuple[Trial, ...]:
    """Return the trials that repeat a trial: confirmations with other seeds, and the refit."""
    with ctx.store.read() as tx:
        return tuple(tx.trials.repeating(trial_id))


def last_epoch(ctx: Context, trial_id: str) -> int:
    """Return the last epoch a trial's current attempt has reported; 0 before the first, or without such a trial."""
    with ctx.store.read() as tx:
        found = tx.queue.look_up([trial_id])
    return found[trial_id].last_epoch if trial_id in found else 0
