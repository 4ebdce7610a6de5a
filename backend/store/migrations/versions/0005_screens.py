"""Saved views, guidelines of a group set, reports that expire, and who looked at test when

Revision: 0005, after 0004
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "saved_view",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("project_id", sa.Integer(), sa.ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("split", sa.String(10), nullable=False),
        sa.Column("rule", sa.JSON(), nullable=False),
        sa.Column("positions", sa.JSON(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.UniqueConstraint("project_id", "name", name="uq_saved_view_project_id_name"),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "test_reveal",
        sa.Column("id", sa.Integer(), primary_key=True),
        sa.Column("project_id", sa.Integer(), sa.ForeignKey("project.id", ondelete="CASCADE"), nullable=False),
        sa.Column("who", sa.String(64), nullable=False),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_index("ix_test_reveal_project", "test_reveal", ["project_id", "id"])
    op.add_column("group_set", sa.Column("guidelines", sa.Text(), nullable=False, server_default=""))
    op.add_column("report", sa.Column("expires_at", sa.DateTime(timezone=True), nullable=True))


def downgrade() -> None:
    op.drop_column("report", "expires_at")
    op.drop_column("group_set", "guidelines")
    op.drop_index("ix_test_reveal_project", "test_reveal")
    op.drop_table("test_reveal")
    op.drop_table("saved_view")
