"""Where a device asked from: shown to the person who is to allow it."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    with op.batch_alter_table("device_authorization", schema=None) as batch_op:
        batch_op.add_column(sa.Column("address", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("user_agent", sa.String(length=300), nullable=True))


def downgrade() -> None:
    """Take the step back."""
    with op.batch_alter_table("device_authorization", schema=None) as batch_op:
        batch_op.drop_column("user_agent")
        batch_op.drop_column("address")
