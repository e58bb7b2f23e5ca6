"""On PostgreSQL definitions keep the order of their keys, by which a seed's points are drawn."""

from __future__ import annotations

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    # Studies that are there keep the order in which JSONB has put their keys, and so the points they would be given.
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE study ALTER COLUMN definition TYPE JSON USING definition::json")


def downgrade() -> None:
    """Undo."""
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE study ALTER COLUMN definition TYPE JSONB USING definition::jsonb")
