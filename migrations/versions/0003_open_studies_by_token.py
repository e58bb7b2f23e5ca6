"""An index that counts the open studies of a token."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    is_open = sa.text("ended_at IS NULL")
    op.create_index("ix_study_open_token", "study", ["token_uid"], sqlite_where=is_open, postgresql_where=is_open)


def downgrade() -> None:
    """Undo."""
    op.drop_index("ix_study_open_token", table_name="study")
