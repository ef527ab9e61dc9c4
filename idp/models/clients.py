"""Apps that people sign in to, and what people allowed them."""

from typing import Any

from sqlalchemy import JSON, ForeignKey, Integer, LargeBinary, String, false
from sqlalchemy.orm import Mapped, mapped_column

from idp.models.base import Base, Digest, Flag, Id, LongText, Seconds, Strings


class Client(Base):
    """A client (RFC 6749 section 2). Columns bear the names of RFC 7591 section 2 where it has one."""

    __tablename__ = "client"

    client_id: Mapped[str] = mapped_column(String(128), primary_key=True)
    version: Mapped[int] = mapped_column(Integer)  # grows with every change: caches ask for it
    client_name: Mapped[str] = mapped_column(String(100))
    application_type: Mapped[str] = mapped_column(String(10), server_default="web")
    client_secret_digest: Mapped[str | None] = mapped_column(String(64))
    client_secret_sealed: Mapped[LongText | None]  # where it keys an HMAC (client_secret_jwt): encrypted, not digested
    registration_token_digest: Mapped[str | None] = mapped_column(
        String(64)
    )  # RFC 7592: for those who registered alone
    token_endpoint_auth_method: Mapped[str] = mapped_column(String(40))
    token_endpoint_auth_signing_alg: Mapped[str | None] = mapped_column(String(20))
    jwks: Mapped[dict[str, Any] | None] = mapped_column(JSON)  # a JWK Set (RFC 7517)
    jwks_uri: Mapped[str | None] = mapped_column(String(500))
    redirect_uris: Mapped[Strings]
    post_logout_redirect_uris: Mapped[Strings]
    grant_types: Mapped[Strings]
    response_types: Mapped[Strings]
    scopes: Mapped[Strings]  # what it may ask for
    client_uri: Mapped[str | None] = mapped_column(String(500))
    logo_uri: Mapped[str | None] = mapped_column(String(500))
    policy_uri: Mapped[str | None] = mapped_column(String(500))
    tos_uri: Mapped[str | None] = mapped_column(String(500))
    contacts: Mapped[Strings] = mapped_column(server_default="[]")
    software_id: Mapped[str | None] = mapped_column(String(200))
    software_version: Mapped[str | None] = mapped_column(String(100))

    subject_type: Mapped[str] = mapped_column(String(10), server_default="public")  # public, pairwise
    sector_identifier_uri: Mapped[str | None] = mapped_column(String(500))
    id_token_signed_response_alg: Mapped[str | None] = mapped_column(String(20))
    id_token_encrypted_response_alg: Mapped[str | None] = mapped_column(String(20))
    id_token_encrypted_response_enc: Mapped[str | None] = mapped_column(String(20))
    userinfo_signed_response_alg: Mapped[str | None] = mapped_column(String(20))
    userinfo_encrypted_response_alg: Mapped[str | None] = mapped_column(String(20))
    userinfo_encrypted_response_enc: Mapped[str | None] = mapped_column(String(20))

    request_object_signing_alg: Mapped[str | None] = mapped_column(String(20))
    request_uris: Mapped[Strings] = mapped_column(server_default="[]")
    require_signed_request_object: Mapped[Flag] = mapped_column(server_default=false())
    may_send_unsigned_request_objects: Mapped[Flag] = mapped_column(server_default=false())
    require_pushed_authorization_requests: Mapped[Flag] = mapped_column(server_default=false())
    dpop_bound_access_tokens: Mapped[Flag] = mapped_column(server_default=false())
    default_max_age: Mapped[int | None]
    require_auth_time: Mapped[Flag] = mapped_column(server_default=false())
    default_acr_values: Mapped[Strings] = mapped_column(server_default="[]")
    initiate_login_uri: Mapped[str | None] = mapped_column(String(500))
    access_token_format: Mapped[str] = mapped_column(String(10), server_default="opaque")  # opaque, jwt (RFC 9068)
    resources: Mapped[Strings] = mapped_column(server_default="[]")  # that it may ask tokens for (RFC 8707)
    protected_resources: Mapped[Strings] = mapped_column(server_default="[]")  # that it is itself (RFC 9728)

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
    backchannel_logout_session_required: Mapped[Flag] = mapped_column(server_default=false())
    frontchannel_logout_uri: Mapped[str | None] = mapped_column(String(500))
    frontchannel_logout_session_required: Mapped[Flag] = mapped_column(server_default=false())

    created_at: Mapped[Seconds]
    updated_at: Mapped[Seconds]


class Consent(Base):
    """What a person allowed a client, remembered so that they are asked once."""

    __tablename__ = "consent"

    user_id: Mapped[str] = mapped_column(ForeignKey("user.id", ondelete="CASCADE"), primary_key=True)
    client_id: Mapped[str] = mapped_column(
        ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True, index=True
    )
    scope: Mapped[LongText]
    claims: Mapped[Strings]  # asked for by name with the claims parameter
    granted_at: Mapped[Seconds]


class ClientLogo(Base):
    """An app's logo as fetched from its `logo_uri`: pages show nothing that another host serves."""

    __tablename__ = "client_logo"

    client_id: Mapped[str] = mapped_column(ForeignKey("client.client_id", ondelete="CASCADE"), primary_key=True)
    logo_uri: Mapped[str] = mapped_column(String(500))  # where it was fetched: another one is fetched anew
    content_type: Mapped[str | None] = mapped_column(String(40))  # None: there was nothing to show
    content: Mapped[bytes | None] = mapped_column(LargeBinary)
    fetched_at: Mapped[Seconds]


class InitialAccessToken(Base):
    """Lets software register itself (RFC 7591 section 3)."""

    __tablename__ = "initial_access_token"

    id: Mapped[Id]
    name: Mapped[str] = mapped_column(String(100))  # for the operator
    token_digest: Mapped[Digest] = mapped_column(unique=True)
    uses_left: Mapped[int | None]  # None: any number
    created_at: Mapped[Seconds]
    expires_at: Mapped[Seconds] = mapped_column(index=True)
