"""Frozen copies of rows, as storage hands them out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from functools import cache
from typing import Any, Final, TypeAlias, TypeVar, cast

from sqlalchemy import Column, Row, Table

from hpsearch.domain.lifecycle import TrialKind, TrialState
from hpsearch.domain.metrics import Direction
from hpsearch.domain.trial import Params, Trial

Record = TypeVar("Record")
# A document that is stored as it is, in one JSON column. Never the columns of a row.
JsonObject: TypeAlias = Mapping[str, Any]


@dataclass(frozen=True)
class StudyRecord:
    """One study; `id` is internal, `uid` public."""

    id: int
    uid: str
    name: str
    state: str
    phase: str
    end_reason: str | None
    definition: dict[str, Any]
    resolved: dict[str, Any]
    priority: int
    notes: str
    labels: dict[str, str]
    advice: str | None
    trouble: str | None
    max_trials: int
    n_numbers: int
    n_search: int
    n_search_finished: int
    n_search_failed: int
    n_search_lost: int
    n_search_cancelled: int
    n_complete: int
    n_pruned: int
    n_infeasible: int
    n_failed: int
    n_cancelled: int
    grid_cursor: int
    device_seconds: float
    best_trial_id: int | None
    best_value: float | None
    model_threshold: float | None
    version: int
    created_at: datetime
    ended_at: datetime | None

    @property
    def direction(self) -> Direction:
        """Which values of the objective are better."""
        return cast("Direction", self.resolved["direction"])


@dataclass(frozen=True)
class NewStudyRow:
    """A study about to be created; `definition` and `resolved` are JSON."""

    uid: str
    name: str
    definition: dict[str, Any]
    resolved: dict[str, Any]
    dataset_id: int
    token_uid: str
    max_trials: int


@dataclass(frozen=True)
class StudyHeading:
    """The part of a study that changes and that a claim tells its worker."""

    id: int
    uid: str
    name: str
    model_threshold: float | None


@dataclass(frozen=True)
class QueuedTrial:
    """The part of a trial the queue decides by."""

    id: int
    uid: str
    study_id: int
    number: int
    kind: str
    state: str
    attempt: int
    infra_attempts: int
    oom_attempts: int
    worker_id: int | None
    last_epoch: int
    started_at: datetime | None
    device_seconds: float
    study_uid: str
    model_threshold: float | None


@dataclass(frozen=True)
class NewTrialRow:
    """A trial about to be created; `search_index` is None but for search trials, `grid_index` but for grids."""

    uid: str
    number: int
    kind: str
    search_index: int | None
    grid_index: int | None
    params: Params
    seed: int
    n_weights: int | None
    parent_id: int | None
    refit_epochs: int | None


@dataclass(frozen=True)
class FailedRow:
    """A failed trial that may be tried again."""

    id: int
    uid: str
    kind: str
    attempt: int
    cause: str | None


@dataclass(frozen=True)
class ClaimedRow:
    """A trial as its new worker gets it."""

    id: int
    uid: str
    study_id: int
    number: int
    kind: str
    attempt: int
    params: dict[str, Any]
    seed: int
    n_weights: int | None
    refit_epochs: int | None
    split_seed: int | None
    infra_attempts: int
    oom_attempts: int


@dataclass(frozen=True)
class WorkerRecord:
    """One worker process."""

    id: int
    uid: str
    token_uid: str
    name: str
    version: str | None
    devices: list[dict[str, Any]]
    state: str
    quarantined_until: float | None
    quarantine_reason: str | None
    n_quarantines: int
    n_failures_in_row: int
    n_finished: int
    registered_at: datetime
    last_seen_at: datetime
    progress: dict[str, Any] | None


@dataclass(frozen=True)
class NewDatasetRow:
    """A data set about to be stored, its profile as JSON."""

    uid: str
    name: str
    source: str
    digest: str
    size_bytes: int
    n_rows: int
    n_columns: int
    target: str
    task: str
    profile: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class DatasetRecord:
    """One data set with its profile as JSON."""

    id: int
    uid: str
    name: str
    source: str
    digest: str
    size_bytes: int
    n_rows: int
    n_columns: int
    target: str
    task: str
    profile: dict[str, Any]
    created_at: datetime


@dataclass(frozen=True)
class TokenRecord:
    """One token; of its secret only the hash."""

    uid: str
    public_id: str
    secret_sha256: str
    name: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class ModelRecord:
    """One stored model file."""

    trial_id: int
    attempt: int
    digest: str
    size_bytes: int


@dataclass(frozen=True)
class ContentRecord:
    """One content of the store: its SHA-256 in hex, which copy of it, and its size in bytes."""

    digest: str
    copy: str
    size_bytes: int


@cache
def columns_of(kind: type, table: Table) -> tuple[Column[Any], ...]:
    """Return the columns of the table that fill the record type, in its order."""
    return tuple(table.c[field.name] for field in fields(kind))


def to_record(kind: type[Record], row: Row[Any]) -> Record:
    """Return the record of a row selected with `columns_of`."""
    values: tuple[Any, ...] = tuple(row)
    return kind(*values)


# Columns of `trial` that a Trial takes over as they are.
_SAME: Final = (
    "number", "search_index", "grid_index", "attempt", "params", "seed", "n_weights", "value", "best_epoch", "epochs",
    "stop_reason", "cause", "device_seconds", "duration_s", "created_at", "started_at", "ended_at",
)  # fmt: skip


def to_trial(row: Any) -> Trial:
    """Return the domain's Trial of a row of `TrialRepository._select_trials`."""
    return Trial.model_construct(
        trial_id=row.uid,
        study_id=row.study_uid,
        kind=TrialKind(row.kind),
        state=TrialState(row.state),
        metrics=row.metrics or {},
        detail=row.detail,
        worker_id=row.worker_uid,
        parent_id=row.parent_uid,
        has_model=row.model_digest is not None,
        **{name: getattr(row, name) for name in _SAME},
    )
