"""What is known of a client (RFC 7591 section 2): one frozen record, and the words that it is written in."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from idp import clock, crypto
from idp.accounts.registration import RegistrationRules
from idp.oidc import scopes as known_scopes
from idp.settings import RegistrationPolicy

ApplicationType = Literal["web", "native"]
SubjectType = Literal["public", "pairwise"]
AccessTokenFormat = Literal["opaque", "jwt"]
DEVICE_CODE_GRANT = "urn:ietf:params:oauth:grant-type:device_code"
TOKEN_EXCHANGE_GRANT = "urn:ietf:params:oauth:grant-type:token-exchange"  # noqa: S105 - a grant's name
GRANT_TYPES = (
    "authorization_code",
    "refresh_token",
    "client_credentials",
    DEVICE_CODE_GRANT,
    TOKEN_EXCHANGE_GRANT,
)
SECRET_METHODS = ("client_secret_basic", "client_secret_post")
ASSERTION_METHODS = ("private_key_jwt", "client_secret_jwt")
CONFIDENTIAL_METHODS = (*SECRET_METHODS, *ASSERTION_METHODS)
AUTH_METHODS = (*CONFIDENTIAL_METHODS, "none")
KEPT_MOST = 10_000  # clients of which a process keeps something in memory: strangers may register ever more of them
IMPLICIT = "implicit"  # of the implicit and hybrid flows; only where the setting `response_types` is `all`
# Which grants a response type belongs to (OIDC Registration section 2).
GRANTS_OF_RESPONSE_TYPES: Mapping[str, Sequence[str]] = {
    "code": ("authorization_code",),
    "id_token": (IMPLICIT,),
    "id_token token": (IMPLICIT,),
    "code id_token": ("authorization_code", IMPLICIT),
    "code token": ("authorization_code", IMPLICIT),
    "code id_token token": ("authorization_code", IMPLICIT),
}
_NEVER_SHOWN = ("client_secret_digest", "client_secret_sealed", "registration_token_digest")


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
    protected_resources: Sequence[str] = ()
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
    def has_keys(self) -> bool:
        """Whether it has told its public keys, or where they are."""
        return self.jwks is not None or self.jwks_uri is not None

    @property
    def is_self_registered(self) -> bool:
        """Whether software registered it, and not the operator (RFC 7591)."""
        return self.registration_token_digest is not None

    @property
    def signs_with_secret(self) -> bool:
        """Whether its secret keys a MAC (client_secret_jwt, RFC 9101), and must be known here more than as a digest."""
        by_secret = (self.request_object_signing_alg or "").startswith("HS")
        return by_secret or self.token_endpoint_auth_method == "client_secret_jwt"  # noqa: S105 - a method's name

    @property
    def needs_secret(self) -> bool:
        """Whether it has a secret: by its method of authentication, or to sign request objects with."""
        return self.signs_with_secret or self.token_endpoint_auth_method in SECRET_METHODS

    @property
    def has_readable_access_tokens(self) -> bool:
        """Whether its access tokens are JWTs that APIs read by themselves (RFC 9068)."""
        return self.access_token_format == "jwt"  # noqa: S105 - a format's name

    @property
    def must_use_pkce(self) -> bool:
        """Public clients always do (RFC 9700 section 2.1.1)."""
        return self.is_public or self.is_pkce_required

    def is_unproven(self, redirect_uri: str) -> bool:
        """Tell whether any program on a person's machine may pass for it (RFC 8252 section 8.6).

        That is so where neither a secret nor an address on the web shows who asks.

        Args:
            redirect_uri: where the answer goes.
        """
        return self.is_public and not redirect_uri.startswith("https:")

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


def make_room(kept: dict[str, Any]) -> None:
    """Let one more in where so much is kept, by client: all others are forgotten, and read again when they come."""
    if len(kept) >= KEPT_MOST:
        kept.clear()
