"""Indexes, so that nothing that runs again and again reads a whole table, and nobody's removal does.

Any of them may exist already: whoever has many rows on PostgreSQL makes them beforehand with CREATE INDEX CONCURRENTLY,
while the provider works (docs/deployment.md).
"""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

_LIVES = sa.text("ended_at IS NULL")
# Name, table, columns, and the condition where only some rows are in it: as SQLite and as PostgreSQL write it.
_INDEXES = (
    (
        "ix_user_pending",
        "user",
        ["created_at"],
        sa.text("is_registration_pending = 1"),
        sa.text("is_registration_pending"),
    ),
    ("ix_browser_session_living_expires", "browser_session", ["expires_at"], _LIVES, _LIVES),
    ("ix_browser_session_living_seen", "browser_session", ["last_seen_at"], _LIVES, _LIVES),
    ("ix_audit_event_event_at", "audit_event", ["event", "at"], None, None),
    ("ix_audit_event_user_at", "audit_event", ["user_id", "at"], None, None),
    ("ix_mail_message_state_created", "mail_message", ["state", "created_at"], None, None),
    ("ix_mail_message_recipient", "mail_message", ["recipient", "created_at"], None, None),
    ("ix_mail_message_claimed_until", "mail_message", ["claimed_until"], None, None),
    ("ix_mail_message_finished_at", "mail_message", ["finished_at"], None, None),
    ("ix_logout_notice_client_due", "logout_notice", ["state", "client_id", "next_attempt_at"], None, None),
    ("ix_logout_notice_client_id", "logout_notice", ["client_id"], None, None),
    ("ix_logout_notice_state_created", "logout_notice", ["state", "created_at"], None, None),
    ("ix_logout_notice_claimed_until", "logout_notice", ["claimed_until"], None, None),
    ("ix_logout_notice_finished_at", "logout_notice", ["finished_at"], None, None),
    ("ix_authorization_grant_client_revoked", "authorization_grant", ["client_id", "revoked_at"], None, None),
    ("ix_consent_client_id", "consent", ["client_id"], None, None),
    ("ix_parked_request_browser_digest", "parked_request", ["browser_digest"], None, None),
    ("ix_parked_request_client_id", "parked_request", ["client_id"], None, None),
    ("ix_pushed_request_client_id", "pushed_request", ["client_id"], None, None),
    ("ix_device_authorization_client_id", "device_authorization", ["client_id"], None, None),
    ("ix_device_authorization_grant_id", "device_authorization", ["grant_id"], None, None),
)
# What others of them do as well.
_REPLACED = (("ix_audit_event_event", ["event"]), ("ix_audit_event_user_id", ["user_id"]))


def upgrade() -> None:
    """Take the step."""
    for name, table, columns, sqlite, postgresql in _INDEXES:
        op.create_index(name, table, columns, sqlite_where=sqlite, postgresql_where=postgresql, if_not_exists=True)
    for name, _columns in _REPLACED:
        op.drop_index(name, table_name="audit_event", if_exists=True)


def downgrade() -> None:
    """Take the step back."""
    for name, columns in _REPLACED:
        op.create_index(name, "audit_event", columns)
    for name, table, *_ in _INDEXES:
        op.drop_index(name, table_name=table)
