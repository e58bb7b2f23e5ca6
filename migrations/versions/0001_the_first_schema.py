"""The first schema."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

_JSON = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")
_ID = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_INSTANT = sa.DateTime(timezone=True)

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "dataset",
        sa.Column("id", _ID, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("source", sa.String(length=16), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("n_rows", sa.BigInteger(), nullable=False),
        sa.Column("n_columns", sa.Integer(), nullable=False),
        sa.Column("target", sa.Text(), nullable=False),
        sa.Column("task", sa.String(length=16), nullable=False),
        sa.Column("profile", _JSON, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset")),
        sa.UniqueConstraint("uid", name=op.f("uq_dataset_uid")),
    )
    with op.batch_alter_table("dataset", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_dataset_digest"), ["digest"], unique=False)

    op.create_table(
        "idempotency",
        sa.Column("token_uid", sa.String(length=36), nullable=False),
        sa.Column("key", sa.String(length=200), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("object_uid", sa.String(length=36), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("token_uid", "key", name=op.f("pk_idempotency")),
    )
    op.create_table(
        "replica",
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("alive_at", sa.Float(), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.PrimaryKeyConstraint("uid", name=op.f("pk_replica")),
    )
    op.create_table(
        "token",
        sa.Column("id", _ID, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("public_id", sa.String(length=32), nullable=False),
        sa.Column("secret_sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", _JSON, nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("expires_at", _INSTANT, nullable=True),
        sa.Column("revoked_at", _INSTANT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("public_id", name=op.f("uq_token_public_id")),
        sa.UniqueConstraint("uid", name=op.f("uq_token_uid")),
    )
    op.create_table(
        "worker",
        sa.Column("id", _ID, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("token_uid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("version", sa.Text(), nullable=True),
        sa.Column("devices", _JSON, nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("quarantined_until", sa.Float(), nullable=True),
        sa.Column("n_quarantines", sa.Integer(), nullable=False),
        sa.Column("n_failures_in_row", sa.Integer(), nullable=False),
        sa.Column("n_finished", sa.Integer(), nullable=False),
        sa.Column("registered_at", _INSTANT, nullable=False),
        sa.Column("last_seen_at", _INSTANT, nullable=False),
        sa.Column("progress", _JSON),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_worker")),
        sa.UniqueConstraint("uid", name=op.f("uq_worker_uid")),
    )
    op.create_table(
        "study",
        sa.Column("id", _ID, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("phase", sa.String(length=16), nullable=False),
        sa.Column("end_reason", sa.String(length=24), nullable=True),
        sa.Column("definition", _JSON, nullable=False),
        sa.Column("resolved", _JSON, nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("dataset_id", _ID, nullable=False),
        sa.Column("token_uid", sa.String(length=36), nullable=True),
        sa.Column("priority", sa.Integer(), nullable=False),
        sa.Column("notes", sa.Text(), nullable=False),
        sa.Column("labels", _JSON, nullable=False),
        sa.Column("advice", sa.Text(), nullable=True),
        sa.Column("max_trials", sa.Integer(), nullable=False),
        sa.Column("n_numbers", sa.Integer(), nullable=False),
        sa.Column("n_search", sa.Integer(), nullable=False),
        sa.Column("n_search_finished", sa.Integer(), nullable=False),
        sa.Column("n_search_failed", sa.Integer(), nullable=False),
        sa.Column("n_search_cancelled", sa.Integer(), nullable=False),
        sa.Column("n_complete", sa.Integer(), nullable=False),
        sa.Column("n_pruned", sa.Integer(), nullable=False),
        sa.Column("n_infeasible", sa.Integer(), nullable=False),
        sa.Column("n_failed", sa.Integer(), nullable=False),
        sa.Column("n_cancelled", sa.Integer(), nullable=False),
        sa.Column("grid_cursor", sa.Integer(), nullable=False),
        sa.Column("device_seconds", sa.Float(), nullable=False),
        sa.Column("best_trial_id", _ID, nullable=True),
        sa.Column("best_value", sa.Float(), nullable=True),
        sa.Column("model_threshold", sa.Float(), nullable=True),
        sa.Column("version", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["dataset_id"], ["dataset.id"], name=op.f("fk_study_dataset_id_dataset")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_study")),
        sa.UniqueConstraint("uid", name=op.f("uq_study_uid")),
    )
    with op.batch_alter_table("study", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_study_dataset_id"), ["dataset_id"], unique=False)
        batch_op.create_index(batch_op.f("ix_study_fingerprint"), ["fingerprint"], unique=False)
        batch_op.create_index(
            "ix_study_open",
            ["id"],
            unique=False,
            sqlite_where=sa.text("ended_at IS NULL"),
            postgresql_where=sa.text("ended_at IS NULL"),
        )
        batch_op.create_index("ix_study_state", ["state", "id"], unique=False)

    op.create_table(
        "event",
        sa.Column("id", _ID, nullable=False),
        sa.Column("xact", sa.BigInteger(), nullable=False),
        sa.Column("study_id", _ID, nullable=True),
        sa.Column("trial_uid", sa.String(length=36), nullable=True),
        sa.Column("kind", sa.String(length=40), nullable=False),
        sa.Column("data", _JSON, nullable=False),
        sa.Column("at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_event_study_id_study"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_event")),
        sqlite_autoincrement=True,
    )
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.create_index("ix_event_study", ["study_id", "xact", "id"], unique=False)

    op.create_table(
        "trial",
        sa.Column("id", _ID, nullable=False),
        sa.Column("uid", sa.String(length=36), nullable=False),
        sa.Column("study_id", _ID, nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("search_index", sa.Integer(), nullable=True),
        sa.Column("grid_index", sa.Integer(), nullable=True),
        sa.Column("params", _JSON, nullable=False),
        sa.Column("seed", sa.BigInteger(), nullable=False),
        sa.Column("n_weights", sa.BigInteger(), nullable=True),
        sa.Column("parent_id", _ID, nullable=True),
        sa.Column("refit_epochs", sa.Integer(), nullable=True),
        sa.Column("split_seed", sa.BigInteger(), nullable=True),
        sa.Column("precedence", sa.Integer(), nullable=False),
        sa.Column("turn", sa.Integer(), nullable=False),
        sa.Column("held", sa.Boolean(), nullable=False),
        sa.Column("available_at", sa.Float(), nullable=False),
        sa.Column("avoid_worker_id", _ID, nullable=True),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("infra_attempts", sa.Integer(), nullable=False),
        sa.Column("oom_attempts", sa.Integer(), nullable=False),
        sa.Column("worker_id", _ID, nullable=True),
        sa.Column("lease_expires_at", sa.Float(), nullable=True),
        sa.Column("last_epoch", sa.Integer(), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("tier", sa.Integer(), nullable=False),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("confirmation", _JSON, nullable=True),
        sa.Column("best_epoch", sa.Integer(), nullable=True),
        sa.Column("epochs", sa.Integer(), nullable=True),
        sa.Column("device_seconds", sa.Float(), nullable=False),
        sa.Column("duration_s", sa.Float(), nullable=True),
        sa.Column("stop_reason", sa.String(length=24), nullable=True),
        sa.Column("cause", sa.String(length=24), nullable=True),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.Column("started_at", _INSTANT, nullable=True),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.ForeignKeyConstraint(["study_id"], ["study.id"], name=op.f("fk_trial_study_id_study"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_trial")),
        sa.UniqueConstraint("study_id", "grid_index", name=op.f("uq_trial_study_id_grid_index")),
        sa.UniqueConstraint("study_id", "number", name=op.f("uq_trial_study_id_number")),
        sa.UniqueConstraint("study_id", "search_index", name=op.f("uq_trial_study_id_search_index")),
        sa.UniqueConstraint("uid", name=op.f("uq_trial_uid")),
    )
    with op.batch_alter_table("trial", schema=None) as batch_op:
        batch_op.create_index(
            "ix_trial_claim",
            ["precedence", "turn", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'WAITING' AND NOT held"),
            postgresql_where=sa.text("state = 'WAITING' AND NOT held"),
        )
        batch_op.create_index(
            "ix_trial_lease",
            ["lease_expires_at"],
            unique=False,
            sqlite_where=sa.text("state = 'RUNNING'"),
            postgresql_where=sa.text("state = 'RUNNING'"),
        )
        batch_op.create_index(
            "ix_trial_open",
            ["study_id"],
            unique=False,
            sqlite_where=sa.text("state IN ('WAITING', 'RUNNING')"),
            postgresql_where=sa.text("state IN ('WAITING', 'RUNNING')"),
        )
        batch_op.create_index("ix_trial_parent", ["parent_id"], unique=False)
        batch_op.create_index(
            "ix_trial_ranked",
            ["study_id", "tier", "score", "id"],
            unique=False,
            sqlite_where=sa.text("state = 'COMPLETE' AND kind IN ('search', 'baseline')"),
            postgresql_where=sa.text("state = 'COMPLETE' AND kind IN ('search', 'baseline')"),
        )
        batch_op.create_index("ix_trial_state", ["study_id", "state", "number"], unique=False)
        batch_op.create_index(
            "ix_trial_worker",
            ["worker_id"],
            unique=False,
            sqlite_where=sa.text("state = 'RUNNING'"),
            postgresql_where=sa.text("state = 'RUNNING'"),
        )

    op.create_table(
        "attempt",
        sa.Column("trial_id", _ID, autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("worker_id", _ID, nullable=False),
        sa.Column("claim_id", sa.Text(), nullable=False),
        sa.Column("started_at", _INSTANT, nullable=False),
        sa.Column("ended_at", _INSTANT, nullable=True),
        sa.Column("state", sa.String(length=16), nullable=True),
        sa.Column("cause", sa.String(length=24), nullable=True),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("device_seconds", sa.Float(), nullable=False),
        sa.Column("outcome_digest", sa.String(length=64), nullable=True),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name=op.f("fk_attempt_trial_id_trial"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "attempt", name=op.f("pk_attempt")),
    )
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.create_index("ix_attempt_claim", ["worker_id", "claim_id"], unique=False)

    op.create_table(
        "measurement",
        sa.Column("trial_id", _ID, autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("epoch", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("metrics", _JSON, nullable=False),
        sa.ForeignKeyConstraint(
            ["trial_id"], ["trial.id"], name=op.f("fk_measurement_trial_id_trial"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("trial_id", "attempt", "epoch", name=op.f("pk_measurement")),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "model",
        sa.Column("trial_id", _ID, autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("created_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name=op.f("fk_model_trial_id_trial"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", "attempt", name=op.f("pk_model")),
    )
    with op.batch_alter_table("model", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_model_digest"), ["digest"], unique=False)

    op.create_table(
        "result",
        sa.Column("trial_id", _ID, autoincrement=False, nullable=False),
        sa.Column("attempt", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("value", sa.Float(), nullable=True),
        sa.Column("metrics", _JSON, nullable=False),
        sa.Column("detail", sa.Text(), nullable=True),
        sa.Column("outcome_digest", sa.String(length=64), nullable=False),
        sa.Column("accepted_at", _INSTANT, nullable=False),
        sa.ForeignKeyConstraint(["trial_id"], ["trial.id"], name=op.f("fk_result_trial_id_trial"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("trial_id", name=op.f("pk_result")),
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("result")
    with op.batch_alter_table("model", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_model_digest"))

    op.drop_table("model")
    op.drop_table("measurement")
    with op.batch_alter_table("attempt", schema=None) as batch_op:
        batch_op.drop_index("ix_attempt_claim")

    op.drop_table("attempt")
    with op.batch_alter_table("trial", schema=None) as batch_op:
        batch_op.drop_index(
            "ix_trial_worker", sqlite_where=sa.text("state = 'RUNNING'"), postgresql_where=sa.text("state = 'RUNNING'")
        )
        batch_op.drop_index("ix_trial_state")
        batch_op.drop_index(
            "ix_trial_ranked",
            sqlite_where=sa.text("state = 'COMPLETE' AND kind IN ('search', 'baseline')"),
            postgresql_where=sa.text("state = 'COMPLETE' AND kind IN ('search', 'baseline')"),
        )
        batch_op.drop_index("ix_trial_parent")
        batch_op.drop_index(
            "ix_trial_open",
            sqlite_where=sa.text("state IN ('WAITING', 'RUNNING')"),
            postgresql_where=sa.text("state IN ('WAITING', 'RUNNING')"),
        )
        batch_op.drop_index(
            "ix_trial_lease", sqlite_where=sa.text("state = 'RUNNING'"), postgresql_where=sa.text("state = 'RUNNING'")
        )
        batch_op.drop_index(
            "ix_trial_claim",
            sqlite_where=sa.text("state = 'WAITING' AND NOT held"),
            postgresql_where=sa.text("state = 'WAITING' AND NOT held"),
        )

    op.drop_table("trial")
    with op.batch_alter_table("event", schema=None) as batch_op:
        batch_op.drop_index("ix_event_study")

    op.drop_table("event")
    with op.batch_alter_table("study", schema=None) as batch_op:
        batch_op.drop_index("ix_study_state")
        batch_op.drop_index(
            "ix_study_open", sqlite_where=sa.text("ended_at IS NULL"), postgresql_where=sa.text("ended_at IS NULL")
        )
        batch_op.drop_index(batch_op.f("ix_study_fingerprint"))
        batch_op.drop_index(batch_op.f("ix_study_dataset_id"))

    op.drop_table("study")
    op.drop_table("worker")
    op.drop_table("token")
    op.drop_table("replica")
    op.drop_table("idempotency")
    with op.batch_alter_table("dataset", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_dataset_digest"))

    op.drop_table("dataset")
