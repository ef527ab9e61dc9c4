"""The provider's metadata (OpenID Connect Discovery 1.0 section 3, RFC 8414 section 2)."""

from collections.abc import Mapping
from typing import Any

from idp.accounts.sessions import PASSWORD_ACR
from idp.oidc import (
    authorization_checks,
    authorization_response,
    client_keys,
    clients,
    dpop,
    encryption,
    keys,
    request_objects,
)
from idp.oidc import scopes as known_scopes
from idp.settings import Settings

CLAIMS_OF_TOKENS = ("iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "acr", "amr", "at_hash", "c_hash", "sid")


def build_metadata(settings: Settings) -> Mapping[str, Any]:
    """Return the metadata document: what is supported, and where."""
    prompts = list(authorization_checks.PROMPTS)
    assertion_algorithms = [*client_keys.PUBLIC_KEY_ALGORITHMS, *client_keys.SECRET_ALGORITHMS]
    pages = {
        "registration_page": settings.url("/register"),
        "forgot_password_page": settings.url("/forgot-password"),
        "forgot_username_page": settings.url("/forgot-username"),
    }
    if settings.registration == "closed":
        prompts.remove("create")
        del pages["registration_page"]
    registration = {}
    if settings.dynamic_registration != "off":
        registration["registration_endpoint"] = settings.url("/oauth/register")
    if settings.session_management == "on":
        pages["check_session_iframe"] = settings.url("/oauth/check-session")
    return {
        "issuer": settings.issuer,
        "authorization_endpoint": settings.url("/oauth/authorize"),
        "token_endpoint": settings.url("/oauth/token"),
        "userinfo_endpoint": settings.url("/oauth/userinfo"),
        "jwks_uri": settings.url("/oauth/jwks"),
        "introspection_endpoint": settings.url("/oauth/introspect"),
        "revocation_endpoint": settings.url("/oauth/revoke"),
        "device_authorization_endpoint": settings.url("/oauth/device_authorization"),
        "end_session_endpoint": settings.url("/oauth/end-session"),
        "scopes_supported": list(known_scopes.SUPPORTED),
        "response_types_supported": list(authorization_response.supported_response_types(settings)),
        "response_modes_supported": list(authorization_response.RESPONSE_MODES),
        "grant_types_supported": _grant_types(settings),
        "subject_types_supported": ["public", "pairwise"],
        "id_token_signing_alg_values_supported": list(keys.ALGORITHMS),
        "token_endpoint_auth_methods_supported": list(clients.AUTH_METHODS),
        "token_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "introspection_signing_alg_values_supported": [settings.signing_algorithm],
        "introspection_endpoint_auth_methods_supported": list(clients.CONFIDENTIAL_METHODS),
        "introspection_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "revocation_endpoint_auth_methods_supported": list(clients.AUTH_METHODS),
        "revocation_endpoint_auth_signing_alg_values_supported": assertion_algorithms,
        "dpop_signing_alg_values_supported": list(dpop.ALGORITHMS),
        "id_token_encryption_alg_values_supported": list(encryption.KEY_ALGORITHMS),
        "id_token_encryption_enc_values_supported": list(encryption.CONTENT_ALGORITHMS),
        "userinfo_signing_alg_values_supported": list(keys.ALGORITHMS),
        "userinfo_encryption_alg_values_supported": list(encryption.KEY_ALGORITHMS),
        "userinfo_encryption_enc_values_supported": list(encryption.CONTENT_ALGORITHMS),
        "code_challenge_methods_supported": ["S256"],
        "prompt_values_supported": prompts,
        "display_values_supported": ["page"],
        "acr_values_supported": [PASSWORD_ACR],
        "claim_types_supported": ["normal"],
        "claims_supported": list(dict.fromkeys((*CLAIMS_OF_TOKENS, *known_scopes.CLAIM_NAMES))),
        "claims_parameter_supported": True,
        "request_parameter_supported": True,
        "request_uri_parameter_supported": True,
        "require_request_uri_registration": True,
        "request_object_signing_alg_values_supported": list(request_objects.ALGORITHMS),
        "require_signed_request_object": False,
        "pushed_authorization_request_endpoint": settings.url("/oauth/par"),
        "require_pushed_authorization_requests": False,
        "ui_locales_supported": ["en", "de"],
        "authorization_response_iss_parameter_supported": True,
        "backchannel_logout_supported": True,
        "backchannel_logout_session_supported": True,
        "frontchannel_logout_supported": True,
        "frontchannel_logout_session_supported": True,
        "account_api_endpoint": settings.url("/api/v1"),
        "account_management_uri": settings.url("/account"),
        **registration,
        **pages,
    }


def _grant_types(settings: Settings) -> list[str]:
    """Return the grant types; implicit is a client's to be registered for, but nobody's to use unless it is on."""
    return [*clients.GRANT_TYPES, *((clients.IMPLICIT,) if settings.response_types == "all" else ())]
