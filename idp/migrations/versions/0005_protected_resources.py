"""Which APIs a client itself is: it may ask about tokens that are meant for them (RFC 7662, RFC 9728)."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.add_column(sa.Column("protected_resources", sa.JSON(), server_default="[]", nullable=False))


def downgrade() -> None:
    """Take the step back."""
    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.drop_column("protected_resources")
