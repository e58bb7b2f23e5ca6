"""Studies lose the fingerprint of their definition, and its index: nothing reads them."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.drop_index("ix_study_fingerprint", table_name="study")
    op.drop_column("study", "fingerprint")


def downgrade() -> None:
    """Undo."""
    op.add_column("study", sa.Column("fingerprint", sa.String(64), nullable=False, server_default=""))
    op.create_index("ix_study_fingerprint", "study", ["fingerprint"])
