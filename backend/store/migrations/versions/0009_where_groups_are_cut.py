"""Group sets say where their directions were cut

Revision: 0009, after 0008
"""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("group_set", sa.Column("cut", sa.String(length=20), server_default="zero", nullable=False))


def downgrade() -> None:
    op.drop_column("group_set", "cut")
