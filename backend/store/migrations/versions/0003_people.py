"""People, rights, logins, tokens and the audit log

Revision: 0003, after 0002
"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    op.create_table(
        "user",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("password", sa.String(length=200), nullable=True),
        sa.Column("subject", sa.String(length=300), nullable=True),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_user")),
        sa.UniqueConstraint("name", name=op.f("uq_user_name")),
        sa.UniqueConstraint("subject", name=op.f("uq_user_subject")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "right",
        sa.Column("id", sa.Integer(), nullable=False),
        _user("right"),
        _project("right"),
        sa.Column("role", sa.String(length=10), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_right")),
        sa.UniqueConstraint("user_id", "project_id", name=op.f("uq_right_user_id_project_id")),
    )
    op.create_table(
        "login",
        sa.Column("digest", sa.String(length=64), nullable=False),
        _user("login"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_login")),
    )
    op.create_index("ix_login_user", "login", ["user_id"])
    op.create_table(
        "token",
        sa.Column("id", sa.Integer(), nullable=False),
        _user("token"),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("role", sa.String(length=10), nullable=False),
        _project("token"),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("revoked_at", MOMENT, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_token")),
        sa.UniqueConstraint("digest", name=op.f("uq_token_digest")),
    )
    op.create_table(
        "audit",
        sa.Column("id", sa.Integer(), nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("who", sa.String(length=100), nullable=False),
        sa.Column("action", sa.String(length=100), nullable=False),
        sa.Column("subject", sa.String(length=200), nullable=False),
        sa.Column("project", sa.String(length=100), nullable=True),
        sa.Column("status", sa.Integer(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit")),
    )
    op.create_index("ix_audit_project", "audit", ["project", "id"])


def _user(table: str) -> sa.Column[int]:
    name = op.f(f"fk_{table}_user_id_user")
    return sa.Column("user_id", sa.Integer(), sa.ForeignKey("user.id", name=name, ondelete="CASCADE"), nullable=False)


def _project(table: str) -> sa.Column[int]:
    name = op.f(f"fk_{table}_project_id_project")
    return sa.Column(
        "project_id", sa.Integer(), sa.ForeignKey("project.id", name=name, ondelete="CASCADE"), nullable=True
    )


def downgrade() -> None:
    for table in ("audit", "token", "login", "right", "user"):
        op.drop_table(table)
