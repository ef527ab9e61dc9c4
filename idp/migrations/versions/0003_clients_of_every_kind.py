"""Clients of every kind."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Take the step."""
    op.create_table(
        "initial_access_token",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("token_digest", sa.String(length=64), nullable=False),
        sa.Column("uses_left", sa.Integer(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_initial_access_token")),
        sa.UniqueConstraint("token_digest", name=op.f("uq_initial_access_token_token_digest")),
    )
    with op.batch_alter_table("initial_access_token", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_initial_access_token_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "seen_assertion",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_seen_assertion")),
    )
    with op.batch_alter_table("seen_assertion", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_seen_assertion_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "client_logo",
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("logo_uri", sa.String(length=500), nullable=False),
        sa.Column("content_type", sa.String(length=40), nullable=True),
        sa.Column("content", sa.LargeBinary(), nullable=True),
        sa.Column("fetched_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.client_id"], name=op.f("fk_client_logo_client_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("client_id", name=op.f("pk_client_logo")),
    )
    op.create_table(
        "pushed_request",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("parameters", sa.JSON(), nullable=False),
        sa.Column("source", sa.String(length=20), server_default="pushed", nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.client_id"], name=op.f("fk_pushed_request_client_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pushed_request")),
    )
    with op.batch_alter_table("pushed_request", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_pushed_request_expires_at"), ["expires_at"], unique=False)

    op.create_table(
        "device_authorization",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("client_id", sa.String(length=128), nullable=False),
        sa.Column("device_code_digest", sa.String(length=64), nullable=False),
        sa.Column("user_code_digest", sa.String(length=64), nullable=False),
        sa.Column("scope", sa.Text(), nullable=False),
        sa.Column("resources", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=10), nullable=False),
        sa.Column("grant_id", sa.String(length=32), nullable=True),
        sa.Column("interval", sa.Integer(), nullable=False),
        sa.Column("last_polled_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("claimed_at", sa.BigInteger(), nullable=True),
        sa.ForeignKeyConstraint(
            ["client_id"], ["client.client_id"], name=op.f("fk_device_authorization_client_id"), ondelete="CASCADE"
        ),
        sa.ForeignKeyConstraint(
            ["grant_id"], ["authorization_grant.id"], name=op.f("fk_device_authorization_grant_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_device_authorization")),
        sa.UniqueConstraint("device_code_digest", name=op.f("uq_device_authorization_device_code_digest")),
        sa.UniqueConstraint("user_code_digest", name=op.f("uq_device_authorization_user_code_digest")),
    )
    with op.batch_alter_table("device_authorization", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_device_authorization_expires_at"), ["expires_at"], unique=False)

    with op.batch_alter_table("authorization_grant", schema=None) as batch_op:
        batch_op.add_column(sa.Column("kind", sa.String(length=20), server_default="code", nullable=False))
        batch_op.add_column(sa.Column("resources", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("dpop_jkt", sa.String(length=43), nullable=True))
        batch_op.alter_column("redirect_uri", existing_type=sa.TEXT(), nullable=True)
        batch_op.alter_column("code_digest", existing_type=sa.VARCHAR(length=64), nullable=True)
        batch_op.alter_column("code_expires_at", existing_type=sa.BIGINT(), nullable=True)

    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.add_column(sa.Column("application_type", sa.String(length=10), server_default="web", nullable=False))
        batch_op.add_column(sa.Column("client_secret_sealed", sa.Text(), nullable=True))
        batch_op.add_column(sa.Column("registration_token_digest", sa.String(length=64), nullable=True))
        batch_op.add_column(sa.Column("token_endpoint_auth_signing_alg", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("jwks", sa.JSON(), nullable=True))
        batch_op.add_column(sa.Column("jwks_uri", sa.String(length=500), nullable=True))
        batch_op.add_column(sa.Column("contacts", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("software_id", sa.String(length=200), nullable=True))
        batch_op.add_column(sa.Column("software_version", sa.String(length=100), nullable=True))
        batch_op.add_column(sa.Column("subject_type", sa.String(length=10), server_default="public", nullable=False))
        batch_op.add_column(sa.Column("sector_identifier_uri", sa.String(length=500), nullable=True))
        batch_op.add_column(sa.Column("id_token_encrypted_response_alg", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("id_token_encrypted_response_enc", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("userinfo_signed_response_alg", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("userinfo_encrypted_response_alg", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("userinfo_encrypted_response_enc", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("request_object_signing_alg", sa.String(length=20), nullable=True))
        batch_op.add_column(sa.Column("request_uris", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(
            sa.Column("require_signed_request_object", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("may_send_unsigned_request_objects", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("require_pushed_authorization_requests", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(
            sa.Column("dpop_bound_access_tokens", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column("default_max_age", sa.Integer(), nullable=True))
        batch_op.add_column(sa.Column("require_auth_time", sa.Boolean(), server_default=sa.false(), nullable=False))
        batch_op.add_column(sa.Column("default_acr_values", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(sa.Column("initiate_login_uri", sa.String(length=500), nullable=True))
        batch_op.add_column(
            sa.Column("access_token_format", sa.String(length=10), server_default="opaque", nullable=False)
        )
        batch_op.add_column(sa.Column("resources", sa.JSON(), server_default="[]", nullable=False))
        batch_op.add_column(
            sa.Column("backchannel_logout_session_required", sa.Boolean(), server_default=sa.false(), nullable=False)
        )
        batch_op.add_column(sa.Column("frontchannel_logout_uri", sa.String(length=500), nullable=True))
        batch_op.add_column(
            sa.Column("frontchannel_logout_session_required", sa.Boolean(), server_default=sa.false(), nullable=False)
        )

    with op.batch_alter_table("parked_request", schema=None) as batch_op:
        batch_op.add_column(sa.Column("source", sa.String(length=20), server_default="query", nullable=False))

    with op.batch_alter_table("refresh_token", schema=None) as batch_op:
        batch_op.add_column(sa.Column("dpop_jkt", sa.String(length=43), nullable=True))


def downgrade() -> None:
    """Take the step back."""
    with op.batch_alter_table("refresh_token", schema=None) as batch_op:
        batch_op.drop_column("dpop_jkt")

    with op.batch_alter_table("parked_request", schema=None) as batch_op:
        batch_op.drop_column("source")

    with op.batch_alter_table("client", schema=None) as batch_op:
        batch_op.drop_column("frontchannel_logout_session_required")
        batch_op.drop_column("frontchannel_logout_uri")
        batch_op.drop_column("backchannel_logout_session_required")
        batch_op.drop_column("resources")
        batch_op.drop_column("access_token_format")
        batch_op.drop_column("initiate_login_uri")
        batch_op.drop_column("default_acr_values")
        batch_op.drop_column("require_auth_time")
        batch_op.drop_column("default_max_age")
        batch_op.drop_column("dpop_bound_access_tokens")
        batch_op.drop_column("require_pushed_authorization_requests")
        batch_op.drop_column("may_send_unsigned_request_objects")
        batch_op.drop_column("require_signed_request_object")
        batch_op.drop_column("request_uris")
        batch_op.drop_column("request_object_signing_alg")
        batch_op.drop_column("userinfo_encrypted_response_enc")
        batch_op.drop_column("userinfo_encrypted_response_alg")
        batch_op.drop_column("userinfo_signed_response_alg")
        batch_op.drop_column("id_token_encrypted_response_enc")
        batch_op.drop_column("id_token_encrypted_response_alg")
        batch_op.drop_column("sector_identifier_uri")
        batch_op.drop_column("subject_type")
        batch_op.drop_column("software_version")
        batch_op.drop_column("software_id")
        batch_op.drop_column("contacts")
        batch_op.drop_column("jwks_uri")
        batch_op.drop_column("jwks")
        batch_op.drop_column("token_endpoint_auth_signing_alg")
        batch_op.drop_column("registration_token_digest")
        batch_op.drop_column("client_secret_sealed")
        batch_op.drop_column("application_type")

    # Grants that began without a code have no place in the older schema; their tokens end with them.
    op.execute("DELETE FROM authorization_grant WHERE code_digest IS NULL")
    with op.batch_alter_table("authorization_grant", schema=None) as batch_op:
        batch_op.alter_column("code_expires_at", existing_type=sa.BIGINT(), nullable=False)
        batch_op.alter_column("code_digest", existing_type=sa.VARCHAR(length=64), nullable=False)
        batch_op.alter_column("redirect_uri", existing_type=sa.TEXT(), nullable=False)
        batch_op.drop_column("dpop_jkt")
        batch_op.drop_column("resources")
        batch_op.drop_column("kind")

    with op.batch_alter_table("device_authorization", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_device_authorization_expires_at"))

    op.drop_table("device_authorization")
    with op.batch_alter_table("pushed_request", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_pushed_request_expires_at"))

    op.drop_table("pushed_request")
    op.drop_table("client_logo")
    with op.batch_alter_table("seen_assertion", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_seen_assertion_expires_at"))

    op.drop_table("seen_assertion")
    with op.batch_alter_table("initial_access_token", schema=None) as batch_op:
        batch_op.drop_index(batch_op.f("ix_initial_access_token_expires_at"))

    op.drop_table("initial_access_token")
