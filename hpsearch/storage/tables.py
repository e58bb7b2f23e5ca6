"""The tables: real columns for what is queried or ordered, JSON for what is only carried.

Rows have a small integer `id` for joins and a public `uid`. Instants are aware UTC; lease times are seconds since the
epoch on the database's own clock, so that arithmetic is the same on both databases.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    text,
)

from hpsearch.storage.column_types import Id, Instant, Json, OrderedJson, partial_index

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _uid() -> Column[Any]:
    return Column("uid", String(36), nullable=False, unique=True)


def _trial_ref(*, primary: bool = True) -> Column[Any]:
    return Column(
        "trial_id",
        Id,
        ForeignKey("trial.id", ondelete="CASCADE"),
        nullable=False,
        primary_key=primary,
        autoincrement=False,
    )


token = Table(
    "token",
    metadata,
    Column("id", Id, primary_key=True),
    _uid(),
    Column("public_id", String(32), nullable=False, unique=True),
    Column("secret_sha256", String(64), nullable=False),
    Column("name", Text, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant),
    Column("revoked_at", Instant),
)

dataset = Table(
    "dataset",
    metadata,
    Column("id", Id, primary_key=True),
    _uid(),
    Column("name", Text, nullable=False),
    Column("source", String(16), nullable=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("n_rows", BigInteger, nullable=False),
    Column("n_columns", Integer, nullable=False),
    Column("target", Text, nullable=False),
    Column("task", String(16), nullable=False),
    Column("profile", Json, nullable=False),
    Column("created_at", Instant, nullable=False),
)

_study_open = text("ended_at IS NULL")

study = Table(
    "study",
    metadata,
    Column("id", Id, primary_key=True),
    _uid(),
    Column("name", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("phase", String(16), nullable=False),
    Column("end_reason", String(24)),
    # In the order of its space the points of a seed are drawn.
    Column("definition", OrderedJson, nullable=False),
    Column("resolved", Json, nullable=False),
    Column("dataset_id", Id, ForeignKey("dataset.id"), nullable=False, index=True),
    Column("token_uid", String(36)),
    Column("priority", Integer, nullable=False),
    Column("notes", Text, nullable=False),
    Column("labels", Json, nullable=False),
    Column("advice", Text),
    # Why its trials wait although there are workers, such as a data file that is gone; None again with the next result.
    Column("trouble", Text),
    Column("max_trials", Integer, nullable=False),
    # Counters, kept under the row's lock, so that a page of a large study costs what a page of a small one costs.
    Column("n_numbers", Integer, nullable=False),
    Column("n_search", Integer, nullable=False),
    Column("n_search_finished", Integer, nullable=False),
    Column("n_search_failed", Integer, nullable=False),
    # Of those that failed, the ones that were lost again and again: they say nothing of the training.
    Column("n_search_lost", Integer, nullable=False, server_default="0"),
    Column("n_search_cancelled", Integer, nullable=False),
    Column("n_complete", Integer, nullable=False),
    Column("n_pruned", Integer, nullable=False),
    Column("n_infeasible", Integer, nullable=False),
    Column("n_failed", Integer, nullable=False),
    Column("n_cancelled", Integer, nullable=False),
    Column("grid_cursor", Integer, nullable=False),
    Column("device_seconds", Float, nullable=False),
    Column("best_trial_id", Id),
    Column("best_value", Float),
    Column("model_threshold", Float),
    Column("version", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("ended_at", Instant),
    partial_index("ix_study_open", "id", where=_study_open),
    partial_index("ix_study_open_token", "token_uid", where=_study_open),
    Index("ix_study_state", "state", "id"),
)

_waiting = text("state = 'WAITING' AND NOT held")
_running = text("state = 'RUNNING'")
_open = text("state IN ('WAITING', 'RUNNING')")
_ranked = text("state = 'COMPLETE' AND kind IN ('search', 'baseline')")

trial = Table(
    "trial",
    metadata,
    Column("id", Id, primary_key=True),
    _uid(),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("kind", String(16), nullable=False),
    Column("state", String(16), nullable=False),
    Column("search_index", Integer),
    Column("grid_index", Integer),
    Column("params", Json, nullable=False),
    Column("seed", BigInteger, nullable=False),
    Column("n_weights", BigInteger),
    Column("parent_id", Id),
    Column("refit_epochs", Integer),
    Column("split_seed", BigInteger),
    # The queue. Precedence is minus the study's priority: one rising index then serves claims.
    Column("precedence", Integer, nullable=False),
    # 0 goes before 1 within a precedence: points that somebody asked for are tried first.
    Column("turn", Integer, nullable=False),
    Column("held", Boolean, nullable=False),
    Column("available_at", Float, nullable=False),
    Column("avoid_worker_id", Id),
    Column("attempt", Integer, nullable=False),
    Column("infra_attempts", Integer, nullable=False),
    Column("oom_attempts", Integer, nullable=False),
    Column("worker_id", Id),
    Column("lease_expires_at", Float),
    Column("last_epoch", Integer, nullable=False),
    # The result, as leaderboards order by it; its proof of uniqueness is the `result` table.
    Column("value", Float),
    # What leaderboards order by. Tier 0 is confirmed over seeds and stands before tier 1. The score is the value (or,
    # once confirmed, the mean) turned so that smaller is better: one rising index serves both directions.
    Column("tier", Integer, nullable=False),
    Column("score", Float),
    Column("confirmation", Json),
    Column("best_epoch", Integer),
    Column("epochs", Integer),
    Column("device_seconds", Float, nullable=False),
    Column("duration_s", Float),
    Column("stop_reason", String(24)),
    Column("cause", String(24)),
    Column("created_at", Instant, nullable=False),
    Column("started_at", Instant),
    Column("ended_at", Instant),
    UniqueConstraint("study_id", "number"),
    UniqueConstraint("study_id", "search_index"),
    UniqueConstraint("study_id", "grid_index"),
    partial_index("ix_trial_claim", "precedence", "turn", "id", where=_waiting),
    partial_index("ix_trial_lease", "lease_expires_at", where=_running),
    partial_index("ix_trial_worker", "worker_id", where=_running),
    partial_index("ix_trial_open", "study_id", where=_open),
    Index("ix_trial_state", "study_id", "state", "number"),
    partial_index("ix_trial_ranked", "study_id", "tier", "score", "id", where=_ranked),
    Index("ix_trial_parent", "parent_id"),
    # Pages sorted by a result begin where the index says. Only trials that have one stand there: beats cost no more.
    *(
        partial_index(name, "study_id", column, "id", where=known)
        for name, column, known in (
            ("ix_trial_value", "value", text("value IS NOT NULL")),
            ("ix_trial_epochs", "epochs", text("epochs IS NOT NULL")),
            ("ix_trial_duration", "duration_s", text("duration_s IS NOT NULL")),
        )
    ),
)

attempt = Table(
    "attempt",
    metadata,
    _trial_ref(),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("worker_id", Id, nullable=False),
    Column("claim_id", Text, nullable=False),
    Column("started_at", Instant, nullable=False),
    Column("ended_at", Instant),
    Column("state", String(16)),
    Column("cause", String(24)),
    Column("detail", Text),
    Column("device_seconds", Float, nullable=False),
    Column("outcome_digest", String(64)),
    Index("ix_attempt_claim", "worker_id", "claim_id"),
)

measurement = Table(
    "measurement",
    metadata,
    _trial_ref(),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("epoch", Integer, primary_key=True, autoincrement=False),
    Column("metrics", Json, nullable=False),
    sqlite_with_rowid=False,
)

result = Table(
    "result",
    metadata,
    _trial_ref(),
    Column("attempt", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("value", Float),
    Column("metrics", Json, nullable=False),
    Column("detail", Text),
    Column("outcome_digest", String(64), nullable=False),
    Column("accepted_at", Instant, nullable=False),
)

model = Table(
    "model",
    metadata,
    _trial_ref(),
    Column("attempt", Integer, primary_key=True, autoincrement=False),
    Column("digest", String(64), nullable=False, index=True),
    Column("size_bytes", BigInteger, nullable=False),
    Column("created_at", Instant, nullable=False),
)

event = Table(
    "event",
    metadata,
    Column("id", Id, primary_key=True),
    # PostgreSQL only: the writing transaction. Numbers are taken before commit, so a reader that followed `id` alone
    # would skip an event whose transaction commits late; (xact, id) below the oldest open transaction is gapless.
    Column("xact", BigInteger, nullable=False),
    Column("study_id", Id, ForeignKey("study.id", ondelete="CASCADE")),
    Column("trial_uid", String(36)),
    Column("kind", String(40), nullable=False),
    Column("data", Json, nullable=False),
    Column("at", Instant, nullable=False),
    Index("ix_event_study", "study_id", "xact", "id"),
    sqlite_autoincrement=True,
)

worker = Table(
    "worker",
    metadata,
    Column("id", Id, primary_key=True),
    _uid(),
    Column("token_uid", String(36), nullable=False),
    Column("name", Text, nullable=False),
    Column("version", Text),
    Column("devices", Json, nullable=False),
    Column("state", String(16), nullable=False),
    Column("quarantined_until", Float),
    Column("quarantine_reason", Text),
    Column("n_quarantines", Integer, nullable=False),
    Column("n_failures_in_row", Integer, nullable=False),
    Column("n_finished", Integer, nullable=False),
    Column("registered_at", Instant, nullable=False),
    Column("last_seen_at", Instant, nullable=False),
    Column("progress", Json),
    Column("succeeded_at", Instant),
    Index("ix_worker_token", "token_uid", "name"),
)

idempotency = Table(
    "idempotency",
    metadata,
    Column("token_uid", String(36), primary_key=True),
    Column("key", String(200), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("object_uid", String(36), nullable=False),
    Column("created_at", Instant, nullable=False),
)

replica = Table(
    "replica",
    metadata,
    Column("uid", String(36), primary_key=True),
    Column("alive_at", Float, nullable=False),
    Column("started_at", Instant, nullable=False),
)

# One row, of id 1: where the contents of this database are.
content_store = Table(
    "content_store",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    # The store carries an id made of this one and its location: a server that sees another is at the wrong place.
    Column("uid", String(36), nullable=False),
    # As HPSEARCH_CONTENT names it; NULL before a server was started on this database.
    Column("location", Text),
)

# What is in the store, or on its way there; see decision 21.
content = Table(
    "content",
    metadata,
    Column("digest", String(64), primary_key=True),
    Column("copy", String(8), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("touched_at", Float, nullable=False),
)

# Contents kept in the database itself.
content_piece = Table(
    "content_piece",
    metadata,
    Column("name", String(80), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("data", LargeBinary, nullable=False),
)
