"""What a client may do, in sentences: for `idp client show`."""

from collections.abc import Iterator

from idp.cli import output
from idp.clock import DAY
from idp.oidc.clients import DEVICE_CODE_GRANT, IMPLICIT, TOKEN_EXCHANGE_GRANT, ClientMetadata
from idp.settings import Settings

_UNITS = (("day", DAY), ("hour", 3_600), ("minute", 60), ("second", 1))
_GRANTS_OF_PEOPLE = frozenset({"authorization_code", IMPLICIT, DEVICE_CODE_GRANT})
_FORMATS = {"opaque": "opaque", "jwt": "JWT"}
_RIGHTS = {
    "account": "By the account API it sees all that is on file of its people, and may change their profile (account).",
    "registration": "It may register people (registration).",
    "recovery": "It may have people mailed what they forgot (recovery).",
    "recovery:password": "It may hand out one-time passwords for all accounts, and learns which there are "
    "(recovery:password).",
}
_METHODS = {
    "client_secret_basic": "by a secret, in the Authorization header or in the form",
    "client_secret_post": "by a secret, in the form or in the Authorization header",
    "client_secret_jwt": "by JWTs that its secret signs; the secret itself never travels",
    "private_key_jwt": "by JWTs that its private key signs",
}


def explain(client: ClientMetadata, settings: Settings) -> Iterator[tuple[str, str]]:
    """Tell what a client may do: a topic and a sentence, one by one."""
    who = "It registered itself" if client.is_self_registered else "The operator registered it"
    yield "registered", f"{who} as a {client.application_type} app, on {output.instant(client.created_at)}."
    if client.software_id or client.software_version:
        yield "software", " ".join(filter(None, (client.software_id, client.software_version)))
    yield "proof", _proof(client)
    yield from (("grants", sentence) for sentence in _grants(client))
    yield from (("scopes", sentence) for sentence in _scopes(client))
    is_for_people = bool(_GRANTS_OF_PEOPLE & {*client.grant_types})
    if is_for_people:
        yield from _consent(client)
        yield from (("sign-in", sentence) for sentence in _sign_in(client))
    else:
        yield "people", "Nobody signs in to it."
    yield from (("requests", sentence) for sentence in _requests(client))
    yield from (("tokens", sentence) for sentence in _tokens(client, settings, is_for_people))
    if is_for_people or TOKEN_EXCHANGE_GRANT in client.grant_types:
        yield "subject", _subject(client)
    yield "keys", _keys(client)
    if is_for_people:
        yield from (("sign-out", sentence) for sentence in _sign_out(client))
    yield from (("people", sentence) for sentence in _people(client))
    if client.initiate_login_uri:
        yield "start", f"People start it from their account page, at {client.initiate_login_uri}."


def _consent(client: ClientMetadata) -> Iterator[tuple[str, str]]:
    if client.is_trusted:
        yield "consent", "Trusted: nobody is asked before it learns what its scopes stand for."
    else:
        yield "consent", "Not trusted: each person is asked before it learns anything."
    if "authorization_code" in client.grant_types:
        pkce = "Requests without PKCE are refused." if client.must_use_pkce else "PKCE is taken where it is offered."
        yield "PKCE", pkce


def _sign_in(client: ClientMetadata) -> Iterator[str]:
    if client.default_max_age is not None:
        yield f"Whoever signed in longer than {span(client.default_max_age)} ago signs in anew."
    if client.require_auth_time:
        yield "Each ID token says when the person signed in."
    if client.default_acr_values:
        yield f"It prefers proofs of {', '.join(client.default_acr_values)}, which decides nothing: there is one way."


def _subject(client: ClientMetadata) -> str:
    sector = f" All apps of {uri} share it." if (uri := client.sector_identifier_uri) else ""
    if client.subject_type == "pairwise":
        return f"People have a subject that no other app knows them by.{sector}"
    return "People have the same subject here as at other apps."


def _proof(client: ClientMetadata) -> str:
    if client.is_public:
        return "Public: it proves nothing, since it can keep no secret."
    how = _METHODS.get(client.token_endpoint_auth_method, "by its own means")
    signed = f" ({algorithm})" if (algorithm := client.token_endpoint_auth_signing_alg) else ""
    return f"Confidential: it proves who it is {how}{signed}."


def _grants(client: ClientMetadata) -> Iterator[str]:
    told = {
        "authorization_code": "People sign in to it with a code (authorization_code).",
        IMPLICIT: f"Tokens come in the browser's address ({', '.join(client.response_types)}): OAuth 2.1 drops that.",
        "refresh_token": (
            "It may stay signed in without the person (refresh_token)."
            if client.may_act_offline
            else "It is registered for refresh_token, but gets none: that takes the scope offline_access, "
            "and access tokens that are not bound to the browser session."
        ),
        DEVICE_CODE_GRANT: "It connects devices that show no browser: people type a code elsewhere (device code).",
        "client_credentials": "It gets tokens in its own name (client_credentials).",
        TOKEN_EXCHANGE_GRANT: "It exchanges access tokens for lesser ones, or for other APIs (token exchange).",
    }
    yield from (told.get(grant, f"It may use the grant {grant}.") for grant in client.grant_types)


def _scopes(client: ClientMetadata) -> Iterator[str]:
    if people := client.scopes_of_people:
        yield f"For people it may ask for {', '.join(people)}."
    yield from (right for scope, right in _RIGHTS.items() if scope in client.scopes)
    if not client.scopes:
        yield "It may ask for no scope."


def _requests(client: ClientMetadata) -> Iterator[str]:
    if client.require_pushed_authorization_requests:
        yield "It must push its requests (PAR)."
    if client.require_signed_request_object:
        yield "It must sign its requests (JAR)."
    if client.may_send_unsigned_request_objects:
        yield "It may send request objects that nobody signed (alg none)."
    if client.request_object_signing_alg:
        yield f"What it signs counts only with {client.request_object_signing_alg}."
    if client.request_uris:
        yield f"Request objects are fetched at {', '.join(client.request_uris)}."


def _tokens(client: ClientMetadata, settings: Settings, is_for_people: bool) -> Iterator[str]:
    algorithm = client.id_token_signed_response_alg or settings.signing_algorithm
    what = "with profile claims in them" if client.has_id_token_claims else "claims come from userinfo"
    encrypted = _encrypted(client.id_token_encrypted_response_alg, client.id_token_encrypted_response_enc)
    lifetime = span(client.id_token_lifetime or settings.id_token_lifetime)
    if is_for_people:
        yield f"ID tokens: {algorithm}{encrypted}, good for {lifetime}, {what}."
        signed = client.userinfo_signed_response_alg or "JSON"
        encrypted = _encrypted(client.userinfo_encrypted_response_alg, client.userinfo_encrypted_response_enc)
        yield f"Userinfo: {signed}{encrypted}."
    lifetime = span(client.access_token_lifetime or settings.access_token_lifetime)
    bound = ", bound to its key (DPoP)" if client.dpop_bound_access_tokens else ""
    form = _FORMATS[client.access_token_format]
    if client.is_access_token_session_bound:
        most = f", and for {lifetime} at most" if client.access_token_lifetime else ""
        yield f"Access tokens: {form}{bound}, good as long as the browser session{most}."
    else:
        yield f"Access tokens: {form}{bound}, good for {lifetime}."
    if client.may_act_offline:
        lifetime = span(client.refresh_token_lifetime or settings.refresh_token_lifetime)
        yield f"Refresh tokens: new at each use, worthless when unused for {lifetime}."
    if client.resources:
        yield f"It may ask for tokens for {', '.join(client.resources)}."
    if client.protected_resources:
        names = ", ".join(client.protected_resources)
        yield f"It is an API itself: {names}. It may ask about tokens for that (introspection)."


def _encrypted(algorithm: str | None, content: str | None) -> str:
    return f", encrypted with {algorithm} and {content}" if algorithm else ""


def _keys(client: ClientMetadata) -> str:
    if client.jwks_uri:
        return f"Its public keys are fetched from {client.jwks_uri}."
    if client.jwks is not None:
        count = len(client.jwks["keys"])
        return f"{count} public key{'s are' if count != 1 else ' is'} registered."
    return "It has registered no public keys."


def _sign_out(client: ClientMetadata) -> Iterator[str]:
    if client.backchannel_logout_uri:
        yield f"It is told at {client.backchannel_logout_uri} when a session ends (back-channel)."
    if client.frontchannel_logout_uri:
        yield f"The browser visits {client.frontchannel_logout_uri} when a person signs out (front-channel)."
    if not (client.backchannel_logout_uri or client.frontchannel_logout_uri):
        yield "It is not told when a session ends."


def _people(client: ClientMetadata) -> Iterator[str]:
    if client.registration_policy:
        yield f"Registration there is {client.registration_policy}, or narrower where the provider's own is."
    if client.registration_domains:
        yield f"Only addresses of {', '.join(client.registration_domains)} register there."
    if client.registration_roles:
        yield f"It may give {', '.join(client.registration_roles)} to who registers there."
    if client.max_concurrent_users:
        yield f"It takes in {client.max_concurrent_users} people at once."
    if client.is_single_session:
        yield "Who signs in elsewhere is signed out of it here."


def span(seconds: int) -> str:
    """Return a span as people say it, in the largest unit that it is a whole number of."""
    name, size = next((name, size) for name, size in _UNITS if seconds % size == 0)
    count = seconds // size
    return f"{count} {name}{'' if count == 1 else 's'}"
