"""Clients: registered by the operator, read by every request.

One validation for all ways to register (RFC 7591 section 2, RFC 9700 section 2.1, OAuth 2.1 section 2.3).
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal
from urllib.parse import urlsplit

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts import audit, names
from idp.accounts.audit import Event
from idp.accounts.registration import POLICIES, RegistrationRules
from idp.accounts.roles import fault_of_role
from idp.accounts.visitor import Visitor
from idp.errors import AlreadyExistsError, NotFoundError
from idp.models import Client
from idp.oidc import scopes as known_scopes
from idp.oidc.keys import ALGORITHMS
from idp.settings import RegistrationPolicy, is_loopback

ApplicationType = Literal["web", "native"]
SubjectType = Literal["public", "pairwise"]
AccessTokenFormat = Literal["opaque", "jwt"]
GRANT_TYPES = ("authorization_code", "refresh_token", "client_credentials")
CONFIDENTIAL_METHODS = ("client_secret_basic", "client_secret_post")
AUTH_METHODS = (*CONFIDENTIAL_METHODS, "none")
_MOST_USERS = 2**31 - 1  # what the column holds
_NEVER_SHOWN = ("client_secret_digest", "client_secret_sealed", "registration_token_digest")
_CLIENT_ID = re.compile(r"[A-Za-z0-9._~-]{1,128}")
_SECRET = re.compile(r"[\x20-\x7e]{16,512}")


@dataclass(frozen=True, kw_only=True)
class ClientMetadata:
    """What is known of a client. Frozen: requests share one from the cache."""

    client_id: str
    client_name: str
    version: int = 1
    application_type: ApplicationType = "web"
    client_secret_digest: str | None = None
    client_secret_sealed: str | None = None
    registration_token_digest: str | None = None
    token_endpoint_auth_method: str = "client_secret_basic"  # noqa: S105
    token_endpoint_auth_signing_alg: str | None = None
    jwks: Mapping[str, Any] | None = None
    jwks_uri: str | None = None
    redirect_uris: Sequence[str] = ()
    post_logout_redirect_uris: Sequence[str] = ()
    grant_types: Sequence[str] = ("authorization_code",)
    response_types: Sequence[str] = ("code",)
    scopes: Sequence[str] = ("openid", "profile", "email")
    client_uri: str | None = None
    logo_uri: str | None = None
    policy_uri: str | None = None
    tos_uri: str | None = None
    contacts: Sequence[str] = ()
    software_id: str | None = None
    software_version: str | None = None
    subject_type: SubjectType = "public"
    sector_identifier_uri: str | None = None
    id_token_signed_response_alg: str | None = None
    id_token_encrypted_response_alg: str | None = None
    id_token_encrypted_response_enc: str | None = None
    userinfo_signed_response_alg: str | None = None
    userinfo_encrypted_response_alg: str | None = None
    userinfo_encrypted_response_enc: str | None = None
    request_object_signing_alg: str | None = None
    request_uris: Sequence[str] = ()
    require_signed_request_object: bool = False
    may_send_unsigned_request_objects: bool = False
    require_pushed_authorization_requests: bool = False
    dpop_bound_access_tokens: bool = False
    default_max_age: int | None = None
    require_auth_time: bool = False
    default_acr_values: Sequence[str] = ()
    initiate_login_uri: str | None = None
    access_token_format: AccessTokenFormat = "opaque"  # noqa: S105
    resources: Sequence[str] = ()
    is_trusted: bool = False
    is_pkce_required: bool = False
    has_id_token_claims: bool = False
    is_access_token_session_bound: bool = False
    access_token_lifetime: int | None = None
    id_token_lifetime: int | None = None
    refresh_token_lifetime: int | None = None
    registration_policy: RegistrationPolicy | None = None
    registration_domains: Sequence[str] = ()
    registration_roles: Sequence[str] = ()
    max_concurrent_users: int | None = None
    is_single_session: bool = False
    backchannel_logout_uri: str | None = None
    backchannel_logout_session_required: bool = False
    frontchannel_logout_uri: str | None = None
    frontchannel_logout_session_required: bool = False
    created_at: int = field(default_factory=clock.now)

    @property
    def is_public(self) -> bool:
        """Whether it can keep no secret (RFC 6749 section 2.1)."""
        return self.token_endpoint_auth_method == "none"  # noqa: S105

    @property
    def must_use_pkce(self) -> bool:
        """Public clients always do (RFC 9700 section 2.1.1)."""
        return self.is_public or self.is_pkce_required

    @property
    def registration_rules(self) -> RegistrationRules:
        """What the operator set for people who register with this app."""
        return RegistrationRules(
            self.registration_policy, self.registration_domains, self.registration_roles, self.client_id
        )

    @property
    def scopes_of_people(self) -> tuple[str, ...]:
        """What it may ask for in the name of a person."""
        return tuple(scope for scope in self.scopes if scope not in known_scopes.OF_CLIENTS)

    @property
    def may_act_offline(self) -> bool:
        """Whether it may get refresh tokens, and so act while the person is away."""
        may_refresh = "refresh_token" in self.grant_types and "offline_access" in self.scopes
        return may_refresh and not self.is_access_token_session_bound

    def has_secret(self, secret: str) -> bool:
        """Tell in constant time whether `secret` is this client's."""
        return self.client_secret_digest is not None and crypto.is_digest_of(secret, self.client_secret_digest)

    def as_dict(self) -> dict[str, Any]:
        """Return what may be shown: everything but the secrets' digests."""
        shown = {name: value for name, value in asdict(self).items() if name not in _NEVER_SHOWN}
        return {key: list(value) if isinstance(value, tuple) else value for key, value in shown.items()}


_COLUMNS = tuple(getattr(Client, name) for name in ClientMetadata.__dataclass_fields__)


def register_client(
    db: Session, visitor: Visitor, metadata: ClientMetadata, *, secret: str | None = None
) -> tuple[ClientMetadata, str | None]:
    """Register a client.

    Args:
        metadata: what it wants to be; `client_id` may be empty, then one is made.
        secret: one brought along; otherwise one is made, unless the client is public.

    Returns:
        The client as stored, and its secret: this is the only time that it is seen.

    Raises:
        InvalidInputError: names every field with a fault.
        AlreadyExistsError: the id is taken.
    """
    if not metadata.client_id:
        metadata = replace(metadata, client_id=crypto.new_id())
    check_metadata(metadata, secret)
    if metadata.is_public:
        secret = None
    else:
        secret = secret or crypto.new_token()
        metadata = replace(metadata, client_secret_digest=crypto.digest(secret))
    # A version that no earlier client of the same id had: caches may still hold that one.
    first_version = int.from_bytes(crypto.random_bytes(3), "big")
    metadata = replace(metadata, version=first_version, created_at=clock.now())
    try:
        with db.begin_nested():
            db.execute(insert(Client).values(**_row(metadata), updated_at=metadata.created_at))
    except IntegrityError:
        raise AlreadyExistsError(f"There is a client {metadata.client_id!r} already.") from None
    audit.record(db, Event.CLIENT_CREATED, visitor, client_id=metadata.client_id, name=metadata.client_name)
    return metadata, secret


def check_metadata(metadata: ClientMetadata, secret: str | None = None) -> None:
    """Check a client's metadata.

    Raises:
        InvalidInputError: names every field with a fault.
    """
    has_code = "authorization_code" in metadata.grant_types
    faults: dict[str, list[str]] = {
        "client_id": _faults_of_id(metadata.client_id),
        "client_name": _faults_of_name(metadata.client_name),
        "client_secret": _faults_of_secret(secret),
        "redirect_uris": [fault for uri in metadata.redirect_uris if (fault := fault_of_redirect_uri(uri))],
        "post_logout_redirect_uris": [
            fault for uri in metadata.post_logout_redirect_uris if (fault := fault_of_redirect_uri(uri))
        ],
        "grant_types": _unknown("grant type", metadata.grant_types, GRANT_TYPES),
        "scopes": _unknown("scope", metadata.scopes, known_scopes.SUPPORTED),
        "token_endpoint_auth_method": _unknown("method", (metadata.token_endpoint_auth_method,), AUTH_METHODS),
        "id_token_signed_response_alg": _unknown(
            "algorithm", filter(None, (metadata.id_token_signed_response_alg,)), ALGORITHMS
        ),
    }
    if has_code and not metadata.redirect_uris:
        faults["redirect_uris"].append("An app that people sign in to needs at least one redirect URI.")
    if not metadata.grant_types:
        faults["grant_types"].append("At least one grant type is needed.")
    if metadata.is_public and "client_credentials" in metadata.grant_types:
        faults["grant_types"].append("A public client has no credentials: client_credentials needs a secret.")
    if "refresh_token" in metadata.grant_types and not has_code:
        faults["grant_types"].append("refresh_token goes with authorization_code.")
    for name in ("access_token_lifetime", "id_token_lifetime", "refresh_token_lifetime"):
        lifetime = getattr(metadata, name)
        if lifetime is not None and not 10 <= lifetime <= 366 * 86_400:
            faults[name] = ["A lifetime is 10 seconds to 366 days."]
    for name in ("client_uri", "logo_uri", "policy_uri", "tos_uri"):
        uri = getattr(metadata, name)
        if uri is not None and not uri.startswith(("https://", "http://")):
            faults[name] = [f"{uri!r} is no web address."]
    if "client_credentials" not in metadata.grant_types and any(s in known_scopes.OF_CLIENTS for s in metadata.scopes):
        faults["scopes"].append(f"{', '.join(known_scopes.OF_CLIENTS)} need the grant client_credentials.")
    names.refuse(faults | _faults_of_policies(metadata))


def _faults_of_policies(metadata: ClientMetadata) -> dict[str, list[str]]:
    """What is wrong with what the operator set for the client's people: who may register, how many may be signed in."""
    uri = metadata.backchannel_logout_uri
    most = metadata.max_concurrent_users
    faults = {
        "registration_policy": _unknown("policy", filter(None, (metadata.registration_policy,)), POLICIES),
        "registration_domains": [
            f"{domain!r} is no domain such as example.org."
            for domain in metadata.registration_domains
            if names.check_email(f"somebody@{domain}")[1]
        ],
        "registration_roles": [fault for role in metadata.registration_roles if (fault := fault_of_role(role))],
        "backchannel_logout_uri": [fault for each in (uri,) if each and (fault := fault_of_redirect_uri(each))],
    }
    if uri and not uri.startswith(("https://", "http://")):
        faults["backchannel_logout_uri"] = [f"{uri!r} is no web address."]
    if most is not None and not 1 <= most <= _MOST_USERS:
        faults["max_concurrent_users"] = ["At least one person must be able to sign in."]
    return faults


def fault_of_redirect_uri(uri: str) -> str | None:
    """Say what is wrong with a redirect URI, or None (RFC 6749 section 3.1.2, RFC 8252, RFC 9700)."""
    try:
        url = urlsplit(uri)
        host, _ = url.hostname, url.port
    except ValueError:
        return f"{uri!r} is no URI."
    if not uri.isascii() or re.search(r"[\s\x00-\x1f\x7f\"<>\\^`{|}]", uri):
        return f"{uri!r} holds characters that a URI cannot have."
    if url.fragment or uri.endswith("#"):
        return f"{uri!r} has a fragment."
    if url.scheme in ("http", "https"):
        if not host:
            return f"{uri!r} names no host."
        if url.username is not None or url.password is not None:
            return f"{uri!r} holds a user name."
        if "*" in uri:
            return f"{uri!r} holds a wildcard; every redirect URI is compared to the letter."
        if url.scheme == "http" and not is_loopback(host):
            return f"{uri!r} must be https (http only on this machine itself)."
        return None
    if "." not in url.scheme:  # javascript:, data:, file: and the like have none
        return f"{uri!r} must be https, or a private scheme with a dot such as org.example.app:/callback."
    return None


def load_client(db: Session, client_id: str) -> ClientMetadata | None:
    """Read a client from the database, or None."""
    row = db.execute(select(*_COLUMNS).where(Client.client_id == client_id)).first()
    return None if row is None else _from_row(row._mapping)


def get_client(db: Session, client_id: str) -> ClientMetadata:
    """Read a client.

    Raises:
        NotFoundError: there is none.
    """
    client = load_client(db, client_id)
    if client is None:
        raise NotFoundError(f"There is no client {client_id!r}.")
    return client


def list_clients(db: Session) -> list[ClientMetadata]:
    """Return all clients in the order of their names."""
    rows = db.execute(select(*_COLUMNS).order_by(Client.client_name, Client.client_id))
    return [_from_row(row._mapping) for row in rows]


def remove_client(db: Session, visitor: Visitor, client_id: str) -> None:
    """Remove a client; its grants, tokens and consents go with it.

    Raises:
        NotFoundError: there is none.
    """
    get_client(db, client_id)
    db.execute(delete(Client).where(Client.client_id == client_id))
    audit.record(db, Event.CLIENT_REMOVED, visitor, client_id=client_id)


def rotate_secret(db: Session, visitor: Visitor, client_id: str) -> str:
    """Give a client a new secret; the old one is worthless at once.

    Returns:
        The secret: this is the only time that it is seen.

    Raises:
        NotFoundError: there is no such client, or it is public and has none.
    """
    client = get_client(db, client_id)
    if client.is_public:
        raise NotFoundError(f"The client {client_id!r} is public: it has no secret.")
    secret = crypto.new_token()
    db.execute(
        update(Client)
        .where(Client.client_id == client_id)
        .values(client_secret_digest=crypto.digest(secret), version=Client.version + 1, updated_at=clock.now())
    )
    audit.record(db, Event.CLIENT_SECRET_ROTATED, visitor, client_id=client_id)
    return secret


def streamlit_client(name: str, url: str, *, may_hand_out_passwords: bool = False) -> ClientMetadata:
    """Describe what a Streamlit app needs: to sign people in, and for its widgets to register and recover accounts.

    Streamlit never calls userinfo, so claims go into the ID token; it sends no refresh token, so its access token lives
    as long as the browser session and dies with it; it returns to its callback after sign-out too.

    Args:
        name: what people call it.
        url: where it is.
        may_hand_out_passwords: it gets the scope `recovery:password`: it learns which accounts there are, and may
            replace their passwords by one-time ones.
    """
    callback = url.rstrip("/") + "/oauth2callback"
    return ClientMetadata(
        client_id="",
        client_name=name,
        client_uri=url,
        redirect_uris=(callback,),
        post_logout_redirect_uris=(callback,),
        grant_types=("authorization_code", "client_credentials"),
        scopes=(
            *("openid", "profile", "email", "roles", "account", "registration", "recovery"),
            *(("recovery:password",) if may_hand_out_passwords else ()),
        ),
        is_trusted=True,
        is_pkce_required=True,
        has_id_token_claims=True,
        is_access_token_session_bound=True,
    )


def _faults_of_id(client_id: str) -> list[str]:
    if _CLIENT_ID.fullmatch(client_id):
        return []
    return ["A client id has 1 to 128 letters, digits, dots, hyphens, underscores or tildes."]


def _faults_of_name(name: str) -> list[str]:
    if not name.isprintable():
        return ["The name holds a character that cannot be shown."]
    return [] if 0 < len(name.strip()) <= 100 else ["A name of 1 to 100 characters is needed."]


def _faults_of_secret(secret: str | None) -> list[str]:
    fine = secret is None or _SECRET.fullmatch(secret)
    return [] if fine else ["A secret has 16 to 512 printable ASCII characters."]


def _unknown(what: str, given: Any, known: Sequence[str]) -> list[str]:
    return [f"{each!r} is no {what}: choose from {', '.join(known)}." for each in given if each not in known]


def _row(metadata: ClientMetadata) -> dict[str, Any]:
    return {
        name: list(value) if isinstance(value, tuple | list) else value
        for name in ClientMetadata.__dataclass_fields__
        for value in (getattr(metadata, name),)
    }


def _from_row(row: Any) -> ClientMetadata:
    values: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in row.items()}
    return ClientMetadata(**values)
