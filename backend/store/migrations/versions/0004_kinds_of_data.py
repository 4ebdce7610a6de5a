"""Examples may be texts or rows of a table

Revision: 0004, after 0003. In plain SQL: batch mode recreates a table on SQLite, which would delete all that hangs on
it.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("project", sa.Column("shape", sa.JSON(), nullable=False, server_default="{}"))
    project = sa.table("project", sa.column("id"), sa.column("image_size"), sa.column("shape", sa.JSON()))
    for number, size in op.get_bind().execute(sa.select(project.c.id, project.c.image_size)).all():
        shape = {"kind": "image", "image_size": size, "n_tokens": 0, "vocabulary_size": 0, "n_features": 0}
        op.execute(project.update().where(project.c.id == number).values(shape=shape))
    op.execute("ALTER TABLE project DROP COLUMN image_size")
    op.execute("ALTER TABLE project RENAME COLUMN pixels TO inputs")
    op.add_column("example", sa.Column("content", sa.Text(), nullable=True))


def downgrade() -> None:
    op.execute("ALTER TABLE example DROP COLUMN content")
    op.execute("ALTER TABLE project RENAME COLUMN inputs TO pixels")
    op.add_column("project", sa.Column("image_size", sa.Integer(), nullable=False, server_default="64"))
    op.execute("ALTER TABLE project DROP COLUMN shape")
