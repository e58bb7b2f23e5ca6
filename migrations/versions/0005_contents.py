"""Which contents are stored, where, and those that lie in the database itself."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "content_store",
        sa.Column("id", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("uid", sa.String(36), nullable=False),
        sa.Column("location", sa.Text()),
        sa.PrimaryKeyConstraint("id", name="pk_content_store"),
    )
    op.create_table(
        "content",
        sa.Column("digest", sa.String(64), nullable=False),
        sa.Column("copy", sa.String(8), nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("touched_at", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name="pk_content"),
    )
    op.create_table(
        "content_piece",
        sa.Column("name", sa.String(80), nullable=False),
        sa.Column("number", sa.Integer(), autoincrement=False, nullable=False),
        sa.Column("data", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", "number", name="pk_content_piece"),
    )
    if op.get_bind().dialect.name == "postgresql":
        # Parquet and Keras files are compressed already: to try it again costs time and gains nothing.
        op.execute("ALTER TABLE content_piece ALTER COLUMN data SET STORAGE EXTERNAL")
    # What was stored before lies in files named by their digest alone.
    op.execute(
        "INSERT INTO content (digest, copy, size_bytes, touched_at) "
        "SELECT digest, '', max(size_bytes), 0 FROM "
        "(SELECT digest, size_bytes FROM dataset UNION ALL SELECT digest, size_bytes FROM model) AS known "
        "GROUP BY digest"
    )


def downgrade() -> None:
    """Undo."""
    op.drop_table("content_piece")
    op.drop_table("content")
    op.drop_table("content_store")
