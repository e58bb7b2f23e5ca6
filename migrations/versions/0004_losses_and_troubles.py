"""What is lost apart from what failed, what keeps a study from going on, and why a worker is in quarantine."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_LOST_BEFORE = """
    UPDATE study SET n_search_lost = (
        SELECT count(*) FROM trial
        WHERE trial.study_id = study.id AND trial.kind = 'search'
        AND trial.state = 'FAILED' AND trial.cause = 'lost_repeatedly'
    )
"""


def upgrade() -> None:
    """Apply."""
    op.add_column("study", sa.Column("n_search_lost", sa.Integer(), nullable=False, server_default="0"))
    op.execute(sa.text(_LOST_BEFORE))
    op.add_column("study", sa.Column("trouble", sa.Text(), nullable=True))
    op.add_column("worker", sa.Column("quarantine_reason", sa.Text(), nullable=True))
    op.create_index("ix_worker_token", "worker", ["token_uid", "name"])


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_worker_token", table_name="worker")
    with op.batch_alter_table("worker") as batch_op:
        batch_op.drop_column("quarantine_reason")
    with op.batch_alter_table("study") as batch_op:
        batch_op.drop_column("trouble")
        batch_op.drop_column("n_search_lost")
