"""How well an attribution predicts retraining

Revision: 0007, after 0006
"""

import sqlalchemy as sa
from alembic import op

from backend.store.tables import Moment

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "fidelity",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("attribution_id", sa.Integer(), nullable=False),
        sa.Column("key", sa.String(64), nullable=False),
        sa.Column("params", sa.JSON(), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("created_at", Moment(), nullable=False),
        sa.ForeignKeyConstraint(
            ["attribution_id"], ["attribution.id"], name="fk_fidelity_attribution_id_attribution", ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_fidelity"),
        sa.UniqueConstraint("key", name="uq_fidelity_key"),
    )
    op.create_index("ix_fidelity_list", "fidelity", ["attribution_id", "created_at"])


def downgrade() -> None:
    op.drop_table("fidelity")
