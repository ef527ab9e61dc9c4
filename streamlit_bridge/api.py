"""The HTTP client of the provider: discovery and account API. Everything the bridge says over the wire is here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import httpx

from streamlit_bridge.errors import AccountApiAbsent, ProviderUnavailable, ScopeMissing, SessionEnded
from streamlit_bridge.identity import Identity

# A rerun waits for these calls, so they must give up before a person does.
TIMEOUT: Final = httpx.Timeout(3.0, connect=2.0)


def open_client() -> httpx.Client:
    """Open the connection pool that all sessions of the app share; it is safe to use from several threads.

    Redirects are not followed, so an access token never travels to another address than the announced one.
    """
    return httpx.Client(timeout=TIMEOUT, follow_redirects=False, headers={"Accept": "application/json"})


def fetch_metadata(client: httpx.Client, metadata_url: str) -> Mapping[str, object]:
    """Fetch the provider's discovery document.

    Parameters:
        client: the shared connection pool.
        metadata_url: ``server_metadata_url`` of Streamlit's ``[auth]`` section.

    Raises:
        ProviderUnavailable: no answer, or not a discovery document.

    Source: OpenID Connect Discovery 1.0, section 4.
    """
    response = _get(client, metadata_url, {})
    if response.status_code != 200:
        raise _describe_trouble(response)
    return _read_object(response)


def fetch_profile(client: httpx.Client, metadata: Mapping[str, object], access_token: str) -> Identity:
    """Ask the account API who the token's owner is, which also proves that the session lives.

    Parameters:
        client: the shared connection pool.
        metadata: the discovery document.
        access_token: the user's opaque access token.

    Returns:
        The person with current name, e-mail and roles.

    Raises:
        AccountApiAbsent: the discovery document announces no account API.
        SessionEnded: the provider refuses the token.
        ScopeMissing: the token is alive but may not read the account.
        ProviderUnavailable: anything else; the session's state is unknown.

    Source: RFC 6750, section 3 (bearer tokens), RFC 9457 (problem details).
    """
    endpoint = metadata.get("account_api_endpoint")
    if not isinstance(endpoint, str) or not endpoint:
        raise AccountApiAbsent("no account_api_endpoint in the discovery document")
    response = _get(client, f"{endpoint.rstrip('/')}/me", {"Authorization": f"Bearer {access_token}"})
    if response.status_code == 401:
        raise SessionEnded("the provider refused the access token")
    if response.status_code == 403 and _read_problem_code(response) == "insufficient_scope":
        raise ScopeMissing("the access token lacks the scope account")
    if response.status_code != 200:
        raise _describe_trouble(response)
    try:
        return Identity.from_claims(_read_object(response))
    except ValueError as error:
        raise ProviderUnavailable("the account API answered without a subject") from error


def _get(client: httpx.Client, url: str, headers: Mapping[str, str]) -> httpx.Response:
    try:
        return client.get(url, headers=dict(headers))
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        # The class name only: messages of the transport may repeat the address with its query.
        raise ProviderUnavailable(type(error).__name__) from error


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


def _read_problem_code(response: httpx.Response) -> object:
    try:
        return _read_object(response).get("code")
    except ProviderUnavailable:
        return None
