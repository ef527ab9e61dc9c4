"""The rules for a client's metadata: one table for all ways to register.

OIDC Registration section 2, RFC 7591 section 2, RFC 9700 section 2.1, OAuth 2.1 section 2.3. What else must be right
beside the rules, at this provider and on the wire, is for `client_admission`.
"""

from collections.abc import Sequence

from idp.accounts.registration import POLICIES
from idp.clock import DAY
from idp.errors import refuse_faults
from idp.oidc import client_field_rules as own
from idp.oidc import client_uris as uris
from idp.oidc.client_rule_kinds import Rule, between, each, one_of, text
from idp.oidc.clients import ClientMetadata
from idp.oidc.keys import ALGORITHMS

LIST_MOST = 50  # entries
_NUMBER_MOST = 2**31 - 1  # what the columns hold


def check_metadata(metadata: ClientMetadata, secret: str | None = None) -> None:
    """Check a client's metadata against every rule.

    Raises:
        InvalidInputError: names every field with a fault.
    """
    faults: dict[str, list[str]] = {"client_secret": list(own.secret(secret))}
    for field, rule in RULES:
        value = getattr(metadata, field)
        if isinstance(value, tuple | list) and len(value) > LIST_MOST:
            faults[field] = [f"At most {LIST_MOST} entries."]
            continue
        faults.setdefault(field, []).extend(rule(metadata, value))
    refuse_faults(faults)


_lifetime = between(10, 366 * DAY, "A lifetime is 10 seconds to 366 days.")

RULES: Sequence[tuple[str, Rule]] = (
    ("client_id", own.client_id),
    ("client_name", own.client_name),
    ("application_type", one_of("application type", ("web", "native"))),
    ("redirect_uris", own.redirect_uris),
    ("post_logout_redirect_uris", own.post_logout_redirect_uris),
    ("grant_types", own.grant_types),
    ("response_types", own.response_types),
    ("scopes", own.scopes),
    ("is_pkce_required", own.pkce),
    ("token_endpoint_auth_method", own.auth_method),
    ("token_endpoint_auth_signing_alg", own.auth_signing_alg),
    ("jwks", own.jwks),
    ("jwks_uri", each(uris.faults_of_called_uri)),
    ("client_uri", each(uris.faults_of_linked_uri)),
    ("logo_uri", each(uris.faults_of_linked_uri)),
    ("policy_uri", each(uris.faults_of_linked_uri)),
    ("tos_uri", each(uris.faults_of_linked_uri)),
    ("contacts", each(text)),
    ("software_id", each(text)),
    ("software_version", each(lambda version: text(version) if len(version) <= 100 else ["At most 100 characters."])),
    ("subject_type", own.subject_type),
    ("sector_identifier_uri", each(own.web_address_without_fragment)),
    ("id_token_signed_response_alg", one_of("algorithm", ALGORITHMS)),
    ("id_token_encrypted_response_alg", own.encryption("id_token")),
    ("id_token_encrypted_response_enc", own.content_encryption("id_token")),
    ("userinfo_signed_response_alg", one_of("algorithm", ALGORITHMS)),
    ("userinfo_encrypted_response_alg", own.encryption("userinfo")),
    ("userinfo_encrypted_response_enc", own.content_encryption("userinfo")),
    ("request_object_signing_alg", own.request_object_signing_alg),
    ("request_uris", each(uris.faults_of_called_uri)),
    ("require_signed_request_object", own.require_signed_request_object),
    ("default_max_age", between(0, _NUMBER_MOST, "An age is a number of seconds.")),
    ("default_acr_values", each(text)),
    ("initiate_login_uri", each(own.web_address_without_fragment)),
    ("access_token_format", one_of("format", ("opaque", "jwt"))),
    ("resources", each(uris.faults_of_resource)),
    ("protected_resources", own.protected_resources),
    ("access_token_lifetime", _lifetime),
    ("id_token_lifetime", _lifetime),
    ("refresh_token_lifetime", _lifetime),
    ("registration_policy", one_of("policy", POLICIES)),
    ("registration_domains", each(own.domain)),
    ("registration_roles", each(own.role)),
    ("max_concurrent_users", between(1, _NUMBER_MOST, "At least one person must be able to sign in.")),
    ("backchannel_logout_uri", each(own.web_address_without_fragment)),
    ("frontchannel_logout_uri", own.frontchannel_logout_uri),
)
