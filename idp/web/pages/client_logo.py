"""An app's logo, from our own address: pages show nothing that another host serves."""

from flask import Response, g, request, url_for
from sqlalchemy import select

from idp.errors import NotFoundError
from idp.models import ClientLogo
from idp.oidc.clients import ClientMetadata
from idp.web import context

# A picture that is opened by itself runs and loads nothing.
_POLICY = "default-src 'none'; sandbox"
_KEPT_FOR = "public, max-age=86400"


def client_logo_url(client: ClientMetadata) -> str | None:
    """Return where an app's logo is, or None where there is none to show: a letter stands in for it."""
    if client.logo_uri is None:
        return None
    known: dict[str, str | None] = g.setdefault("client_logos", {})
    if client.client_id not in known:
        fetched_at = context.database().scalar(
            select(ClientLogo.fetched_at).where(
                ClientLogo.client_id == client.client_id,
                ClientLogo.logo_uri == client.logo_uri,
                ClientLogo.content_type.is_not(None),
            )
        )
        known[client.client_id] = (
            None if fetched_at is None else url_for("show_client_logo", client_id=client.client_id, v=fetched_at)
        )
    return known[client.client_id]


def show_client_logo(client_id: str) -> Response:
    """Serve an app's logo as it was fetched."""
    found = (
        context.database()
        .execute(
            select(ClientLogo.content_type, ClientLogo.content).where(
                ClientLogo.client_id == client_id.replace("\x00", ""), ClientLogo.content_type.is_not(None)
            )
        )
        .first()
    )
    if found is None:
        raise NotFoundError("There is no such logo.")
    response = Response(found.content, mimetype=found.content_type)
    response.headers["Content-Security-Policy"] = _POLICY
    response.headers["Cache-Control"] = _KEPT_FOR
    response.add_etag()
    response.make_conditional(request)
    return response
