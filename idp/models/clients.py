"""Apps that people sign in to, and what people allowed them."""

from sqlalchemy import ForeignKey, Integer, String, false
from sqlalchemy.orm import Mapped, mapped_column

from idp.models.base import Base, Flag, LongText, Seconds, Strings


class Client(Base):
    """A client (RFC 6749 section 2). Columns bear the names of RFC 7591 section 2 where it has one."""

    __tablename__ = "client"

    client_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)  # grows with every change: caches ask for it
    client_name: Mapped[str] = mapped_column(String(100))
    client_secret_digest: Mapped[str | None] = mapped_column(String(64))
    token_endpoint_auth_method: Mapped[str] = mapped_column(String(40))
    redirect_uris: Mapped[Strings]
    post_logout_redirect_uris: Mapped[Strings]
    grant_types: Mapped[Strings]
    response_types: Mapped[Strings]
    scopes: Mapped[Strings]  # what it may ask for
    client_uri: Mapped[str | None] = mapped_column(String(500))
    logo_uri: Mapped[str | None] = mapped_column(String(500))
    policy_uri: Mapped[str | None] = mapped_column(String(500))
    tos_uri: Mapped[str | None] = mapped_column(String(500))
    id_token_signed_response_alg: Mapped[str | None] = mapped_column(String(20))

    is_trusted: Mapped[Flag]  # of the operator's own house: nobody is asked for consent
    is_pkce_required: Mapped[Flag]
    has_id_token_claims: Mapped[Flag]  # profile claims in the ID token, for apps that never call userinfo
    is_access_token_session_bound: Mapped[Flag]  # lives as long as the browser session, and dies with it
    access_token_lifetime: Mapped[int | None]
    id_token_lifetime: Mapped[int | None]
    refresh_token_lifetime: Mapped[int | None]

    registration_policy: Mapped[str | None] = mapped_column(String(20))  # narrows the provider's own; never widens it
    registration_domains: Mapped[Strings] = mapped_column(server_default="[]")  # empty: any
    registration_roles: Mapped[Strings] = mapped_column(server_default="[]")  # that it may give
    max_concurrent_users: Mapped[int | None]
    is_single_session: Mapped[Flag] = mapped_column(server_default=false())
    backchannel_logout_uri: Mapped[str | None] = mapped_column(String(500))

    created_at: Mapped[Seconds]
    updated_at: Mapped[Seconds]


class Consent(Base):
    """What a person allowed a client, remembered so that they are asked once."""

    __tablename__ = "consent"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    client_id: Mapped[str] = mapped_column(ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True)
    scope: Mapped[LongText]
    claims: Mapped[Strings]  # asked for by name with the claims parameter
    granted_at: Mapped[Seconds]
