"""When a worker last succeeded, and indexes that pages of trials sorted by their results begin in."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SORTED = {"ix_trial_value": "value", "ix_trial_epochs": "epochs", "ix_trial_duration": "duration_s"}


def upgrade() -> None:
    """Apply."""
    op.add_column("worker", sa.Column("succeeded_at", sa.DateTime(timezone=True), nullable=True))
    for name, column in _SORTED.items():
        known = sa.text(f"{column} IS NOT NULL")
        op.create_index(name, "trial", ["study_id", column, "id"], sqlite_where=known, postgresql_where=known)


def downgrade() -> None:
    """Undo."""
    for name in _SORTED:
        op.drop_index(name, table_name="trial")
    with op.batch_alter_table("worker") as batch_op:
        batch_op.drop_column("succeeded_at")
