"""What ends authorization codes that are under way: they have no row before they are redeemed."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.add_column(sa.Column("code_epoch", sa.Integer(), server_default="0", nullable=False))


def downgrade() -> None:
    """Take the step back."""
    with op.batch_alter_table("user", schema=None) as batch_op:
        batch_op.drop_column("code_epoch")
