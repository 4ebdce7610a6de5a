"""A prune set is its rows: two sets of subpopulations may be equally large

Revision: 0006, after 0005
"""

from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("prune_set") as batch_op:
        batch_op.drop_constraint("uq_prune_set_score_set_id_rule_k", type_="unique")
        batch_op.create_unique_constraint("uq_prune_set_score_set_id_rule_digest", ["score_set_id", "rule", "digest"])


def downgrade() -> None:
    with op.batch_alter_table("prune_set") as batch_op:
        batch_op.drop_constraint("uq_prune_set_score_set_id_rule_digest", type_="unique")
        batch_op.create_unique_constraint("uq_prune_set_score_set_id_rule_k", ["score_set_id", "rule", "k"])
