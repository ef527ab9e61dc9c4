"""The route at which the provider tells the app that a session has ended."""

from __future__ import annotations

import logging
from time import time
from typing import Final
from urllib.parse import parse_qs

from starlette.concurrency import run_in_threadpool
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response

from streamlit_bridge.errors import ProviderUnavailable
from streamlit_bridge.logout_token import LogoutTokenRefused, read_logout_token
from streamlit_bridge.memory import open_shared_memory
from streamlit_bridge.session import read_auth_setting, read_metadata_url

logger = logging.getLogger(__name__)

LONGEST_BODY: Final = 32_768
# Keys change rarely, and a stranger must not make the app ask for them again and again.
SHORTEST_KEY_AGE: Final = 15.0
HEADERS: Final = {"Cache-Control": "no-store"}


async def receive_logout(request: Request) -> Response:
    """Take a logout token and end the sessions that it names, at once and for all tabs of this process.

    Parameters:
        request: the provider's POST with the form field ``logout_token``.

    Returns:
        200 when done, also for a repetition; 400 for anything but a proper token; 503 while the provider's keys
        cannot be had, so that it tries again.

    Source: OpenID Connect Back-Channel Logout 1.0, sections 2.5 to 2.8.
    """
    try:
        token = await _read_token(request)
        await run_in_threadpool(_end_sessions, token)
    except LogoutTokenRefused as refusal:
        logger.warning("A logout token was refused: %s.", refusal)
        return JSONResponse({"error": "invalid_request", "error_description": str(refusal)}, 400, HEADERS)
    except ProviderUnavailable as trouble:
        logger.warning("A logout token could not be checked, because the provider did not answer (%s).", trouble)
        return Response(status_code=503, headers=HEADERS | {"Retry-After": str(int(SHORTEST_KEY_AGE))})
    return Response(status_code=200, headers=HEADERS)


async def _read_token(request: Request) -> str:
    body = b""
    try:
        async for chunk in request.stream():
            body += chunk
            if len(body) > LONGEST_BODY:
                raise LogoutTokenRefused("the request is too long")
    except ClientDisconnect as error:
        raise LogoutTokenRefused("the request broke off") from error
    try:
        values = parse_qs(body.decode("ascii"), max_num_fields=20).get("logout_token", [])
    except ValueError as error:
        raise LogoutTokenRefused("the request is no form") from error
    if len(values) != 1:
        raise LogoutTokenRefused("the request has no token")
    return values[0]


def _end_sessions(token: str) -> None:
    metadata_url, client_id = read_metadata_url(), read_auth_setting("client_id")
    if metadata_url is None or client_id is None:
        raise LogoutTokenRefused("this app is not set up for signing in")
    memory = open_shared_memory()
    metadata = memory.read_metadata(metadata_url)
    address = metadata.get("jwks_uri")
    if not isinstance(address, str):
        raise ProviderUnavailable("no jwks_uri in the discovery document")
    try:
        notice = read_logout_token(token, memory.read_metadata(address), metadata.get("issuer"), client_id, time())
    except LogoutTokenRefused:
        # The provider may have begun to use a new key since the keys were fetched.
        keys = memory.read_metadata(address, longest_age=SHORTEST_KEY_AGE)
        notice = read_logout_token(token, keys, metadata.get("issuer"), client_id, time())
    if memory.ended_sessions.claim_logout_token(notice.token_id):
        memory.ended_sessions.end(notice.session_id, notice.subject, notice.issued_at)
