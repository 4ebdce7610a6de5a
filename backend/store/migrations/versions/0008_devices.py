"""Workers say which device they have

Revision: 0008, after 0007
"""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("worker_beat", sa.Column("device", sa.String(length=20), server_default="cpu", nullable=False))


def downgrade() -> None:
    op.drop_column("worker_beat", "device")
