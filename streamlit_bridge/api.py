"""The HTTP client of the provider: discovery, tokens of the app itself, and the account API.

Everything the bridge says over the wire is here; what the answers mean to a widget is told elsewhere.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Final, NamedTuple
from urllib.parse import quote_plus

import httpx

from streamlit_bridge import texts
from streamlit_bridge.errors import (
    AccountApiAbsent,
    AnswerLost,
    CallRefused,
    ProviderUnavailable,
    ScopeMissing,
    SessionEnded,
)
from streamlit_bridge.identity import Identity

# A rerun waits for these calls, so they must give up before a person does.
TIMEOUT: Final = httpx.Timeout(3.0, connect=2.0)
# Whoever has just pressed a button waits longer, and hashing a password takes a while on a busy machine.
CHANGE_TIMEOUT: Final = httpx.Timeout(10.0, connect=2.0)
# After any other trouble the provider may have got the request.
NEVER_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
# What a proxy says that passed the request on and got no answer.
LOST_STATUSES: Final = (502, 504)
# What a token endpoint says for good, and what that means to who runs the app.
REFUSED_GRANTS: Final = {
    "invalid_scope": texts.SCOPE_NOT_GRANTED,
    "unauthorized_client": texts.SCOPE_NOT_GRANTED,
    "unsupported_grant_type": texts.SCOPE_NOT_GRANTED,
    "invalid_client": texts.CREDENTIALS_REFUSED,
}


class ClientToken(NamedTuple):
    """An access token of the app itself, and for how many seconds it is good."""

    value: str
    lifetime: float


def open_client() -> httpx.Client:
    """Open the connection pool that all sessions of the app share; it is safe to use from several threads.

    Redirects are not followed, so an access token never travels to another address than the announced one.
    """
    return httpx.Client(timeout=TIMEOUT, follow_redirects=False, headers={"Accept": "application/json"})


def fetch_document(client: httpx.Client, url: str) -> Mapping[str, object]:
    """Fetch a public JSON document of the provider: the discovery document or the signing keys.

    Parameters:
        client: the shared connection pool.
        url: where the document is.

    Raises:
        ProviderUnavailable: no answer, or not a JSON object.

    Source: OpenID Connect Discovery 1.0, section 4; RFC 7517, section 5.
    """
    response = _send_json(client, "GET", url, {}, None, TIMEOUT, 1)
    if response.status_code != 200:
        raise _describe_trouble(response)
    return _read_object(response)


def fetch_profile(
    client: httpx.Client, metadata: Mapping[str, object], access_token: str, is_passive: bool = False
) -> Identity:
    """Ask the account API who the token's owner is, which also proves that the session lives.

    Parameters:
        client: the shared connection pool.
        metadata: the discovery document.
        access_token: the user's opaque access token.
        is_passive: nobody did anything, so the session at the provider grows idle all the same.

    Returns:
        The person with current name, e-mail and roles.

    Raises:
        AccountApiAbsent: the discovery document announces no account API.
        SessionEnded: the provider refuses the token.
        ScopeMissing: the token is alive but may not read the account.
        ProviderUnavailable: anything else; the session's state is unknown.
    """
    try:
        document = call_account_api(client, metadata, access_token, "GET", "/me", is_passive=is_passive)
        return Identity.from_claims(document)
    except CallRefused as refusal:
        raise ProviderUnavailable(str(refusal), refusal.retry_after) from refusal
    except ValueError as error:
        raise ProviderUnavailable("the account API answered without a subject") from error


def call_account_api(
    client: httpx.Client,
    metadata: Mapping[str, object],
    access_token: str,
    method: str,
    path: str,
    body: Mapping[str, object] | None = None,
    idempotency_key: str | None = None,
    is_passive: bool = False,
    language: str = "",
) -> Mapping[str, object]:
    """Make one call of the account API.

    Parameters:
        client: the shared connection pool.
        metadata: the discovery document.
        access_token: a user's token, or one of the app itself.
        method: the HTTP method.
        path: the path below the announced endpoint.
        body: the JSON object to send, if any.
        idempotency_key: makes the call repeatable: after a broken connection it is sent once more under the same key.
        is_passive: the call is no activity of the user's.
        language: in which a refusal is to be said; empty for English.

    Returns:
        The JSON object that it was answered with, an empty one where that has no content.

    Raises:
        AccountApiAbsent: the discovery document announces no account API.
        SessionEnded: the provider refuses the token.
        ScopeMissing: the token is alive but lacks the scope for this call.
        CallRefused: the provider says no and why.
        AnswerLost: the call changes something, and may have been done or not.
        ProviderUnavailable: no usable answer; nothing was done.

    Source: RFC 6750, section 3 (bearer tokens), RFC 9457 (problem details).
    """
    endpoint = metadata.get("account_api_endpoint")
    if not isinstance(endpoint, str) or not endpoint:
        raise AccountApiAbsent("no account_api_endpoint in the discovery document")
    headers = {"Authorization": f"Bearer {access_token}"}
    if idempotency_key is not None:
        headers["Idempotency-Key"] = idempotency_key
    if is_passive:
        headers["Idp-Passive"] = "1"
    if language:
        headers["Accept-Language"] = language
    url = f"{endpoint.rstrip('/')}{path}"
    attempts = 2 if idempotency_key is not None else 1
    timeout = TIMEOUT if method == "GET" else CHANGE_TIMEOUT
    response = _send_json(client, method, url, headers, body, timeout, attempts)
    if response.status_code == 401:
        raise SessionEnded("the provider refused the access token")
    if 200 <= response.status_code < 300:
        return _read_object(response) if response.content else {}
    if response.status_code < 400 or response.status_code >= 500:
        raise _describe_trouble(response)
    refusal = _read_refusal(response)
    if refusal.code == "insufficient_scope":
        raise ScopeMissing("the access token lacks the scope for this call")
    raise refusal


def fetch_client_token(
    client: httpx.Client, metadata: Mapping[str, object], client_id: str, client_secret: str, scope: str
) -> ClientToken:
    """Ask for an access token that stands for the app itself.

    Parameters:
        client: the shared connection pool.
        metadata: the discovery document.
        client_id: the app's name at the provider.
        client_secret: the app's secret.
        scope: what the token shall permit.

    Raises:
        ScopeMissing: the operator has not granted this to the app, or its credentials are wrong; the text says which.
        ProviderUnavailable: no usable answer.

    Source: RFC 6749, sections 4.4 (grant), 2.3.1 (credentials) and 5.2 (refusals).
    """
    endpoint = metadata.get("token_endpoint")
    if not isinstance(endpoint, str):
        raise ProviderUnavailable("no token_endpoint in the discovery document")
    credentials = httpx.BasicAuth(quote_plus(client_id), quote_plus(client_secret))
    try:
        response = client.post(
            endpoint, data={"grant_type": "client_credentials", "scope": scope}, auth=credentials, timeout=TIMEOUT
        )
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ProviderUnavailable(_name_trouble(error)) from error
    refusal = str(_read_object(response).get("error")) if response.status_code in {400, 401} else ""
    if refusal in REFUSED_GRANTS:
        raise ScopeMissing(REFUSED_GRANTS[refusal])
    if response.status_code != 200:
        raise _describe_trouble(response)
    document = _read_object(response)
    value, lifetime, granted = document.get("access_token"), document.get("expires_in"), document.get("scope", scope)
    if not isinstance(value, str) or not isinstance(lifetime, int | float):
        raise ProviderUnavailable("a token response without a token")
    if not isinstance(granted, str) or scope not in granted.split():
        raise ScopeMissing(texts.SCOPE_NOT_GRANTED)
    return ClientToken(value, float(lifetime))


def _send_json(
    client: httpx.Client,
    method: str,
    url: str,
    headers: Mapping[str, str],
    body: Mapping[str, object] | None,
    timeout: httpx.Timeout,
    attempts: int,
) -> httpx.Response:
    is_change, may_be_done = method != "GET", False
    while True:
        attempts -= 1
        try:
            response = client.request(
                method, url, headers=dict(headers), json=None if body is None else dict(body), timeout=timeout
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            may_be_done |= is_change and not isinstance(error, NEVER_SENT)
            if attempts and isinstance(error, httpx.TransportError):
                continue
            raise (AnswerLost if may_be_done else ProviderUnavailable)(_name_trouble(error)) from error
        may_be_done |= is_change and response.status_code in LOST_STATUSES
        if may_be_done and response.status_code >= 500:
            raise AnswerLost(f"status {response.status_code}", _read_retry_after(response))
        return response


def _name_trouble(error: Exception) -> str:
    """Name the kind of trouble alone: messages of the transport may repeat the address with its query."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__  # its connection pool breaks the chain of causes
    kind = type(error).__name__
    return kind if cause is None else f"{kind}, {cause.reason}"


def _describe_trouble(response: httpx.Response) -> ProviderUnavailable:
    return ProviderUnavailable(f"status {response.status_code}", _read_retry_after(response))


def _read_retry_after(response: httpx.Response) -> float | None:
    """Read the delay in seconds; the form with a date is rare and then our own delay applies (RFC 9110, 10.2.3)."""
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None


def _read_object(response: httpx.Response) -> Mapping[str, object]:
    try:
        document = response.json()
    except ValueError as error:
        raise ProviderUnavailable("an answer that is not JSON") from error
    if not isinstance(document, dict):
        raise ProviderUnavailable("an answer that is not a JSON object")
    return document


def _read_refusal(response: httpx.Response) -> CallRefused:
    try:
        problem = _read_object(response)
    except ProviderUnavailable:
        problem = {}
    code, detail = problem.get("code"), problem.get("detail")
    faults = problem.get("faults")
    return CallRefused(
        response.status_code,
        code if isinstance(code, str) else "",
        detail if isinstance(detail, str) else "",
        {str(name): _read_sentences(said) for name, said in faults.items()} if isinstance(faults, dict) else {},
        _read_retry_after(response),
    )


def _read_sentences(said: object) -> tuple[str, ...]:
    if isinstance(said, str):
        return (said,)
    return tuple(sentence for sentence in said if isinstance(sentence, str)) if isinstance(said, list) else ()
