"""`idp client add-streamlit`: registers a Streamlit app, and writes what it needs to know."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import click
from sqlalchemy.orm import Session

from idp import crypto
from idp.accounts.visitor import OPERATOR
from idp.cli import output
from idp.cli.client_options import POLICY_MEMBERS, as_document, metadata_options
from idp.cli.instance import open_ready
from idp.cli.secrets_toml import SecretsToml, as_toml
from idp.errors import InvalidInputError
from idp.oidc import client_document, client_presets, client_store, client_uris
from idp.oidc.clients import ClientMetadata
from idp.settings import Settings


@click.command("add-streamlit")
@click.argument("name")
@click.option("--url", required=True, help="Where the app is, such as http://localhost:8501.")
@click.option(
    "--secrets",
    "secrets_path",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The app's secrets.toml, to write its [auth] section into; otherwise that goes to stdout.",
)
@click.option("--force", is_flag=True, help="Write over an [auth] section that is there already.")
@click.option(
    "--recovery-password", is_flag=True, help="It may hand out one-time passwords, and learn which accounts there are."
)
@metadata_options(members=POLICY_MEMBERS)
@output.json_option
def add_streamlit(
    name: str,
    url: str,
    secrets_path: Path | None,
    force: bool,
    recovery_password: bool,
    as_json: bool,
    **policies: Any,
) -> None:
    """Register a Streamlit app, and write its secrets.toml.

    The rest of an existing file stays as it is. When the file cannot be written, nothing is registered.

    \b
    Examples:
      idp client add-streamlit "Tea House" --url http://localhost:8501 --secrets .streamlit/secrets.toml
      idp client add-streamlit "Reports" --url https://reports.example.org > auth.toml
    """
    secrets = SecretsToml.read(secrets_path) if secrets_path else None
    before = secrets.client_id if secrets else None
    if secrets:
        secrets.check_free(force)
    with open_ready() as (settings, db):
        client, auth = register(
            db,
            settings,
            name,
            url,
            may_hand_out_passwords=recovery_password,
            policies=as_document(policies, members=POLICY_MEMBERS),
        )
        others = _sharing_cookies(db, client)
        if secrets:
            secrets.write(auth)
            try:
                db.commit()
            except BaseException:
                secrets.restore()
                raise
    output.note(f"Registered {client.client_name} ({client.client_id}).")
    shown: dict[str, Any] = {"client_id": client.client_id}
    if secrets:
        output.note(f"Wrote the [auth] section of {secrets_path}; keep that file out of version control.")
        if before and before != client.client_id:
            output.note(
                f"The client {before} that was named there is still registered: when nothing else uses it, "
                f"`idp client remove {before}`."
            )
        shown["secrets_file"] = str(secrets_path)
    else:
        output.note("Put this into the app's .streamlit/secrets.toml: the secrets in it are shown this once.")
        shown |= {"client_secret": auth["client_secret"], "auth": auth}
    if others:
        output.note(
            "Browsers tell apps apart by their host names, not by ports, nor an app from those below its path: "
            f"this app and {', '.join(others)} sign each other out. "
            "Reach one of them by another name (127.0.0.1 for localhost) or path, and register it with that."
        )
    if as_json:
        output.data(shown)
    elif secrets:
        output.record({"client_id": client.client_id})
    else:
        click.echo(as_toml(auth), nl=False)


def _sharing_cookies(db: Session, client: ClientMetadata) -> list[str]:
    """Return the names of the other Streamlit apps that get a new one's cookies, or whose cookies it gets."""
    own = client.redirect_uris[0]
    others = ((each.client_name, uri) for each in client_store.list_clients(db) for uri in each.redirect_uris)
    return list(dict.fromkeys(name for name, uri in others if uri != own and _share_cookies(uri, own)))


def _share_cookies(one: str, other: str) -> bool:
    """Tell whether of two redirect URIs, both Streamlit's, one is where the other is or below it, on whatever port."""
    apps = [urlsplit(uri) for uri in (one, other)]
    if not all(app.path.endswith(client_presets.STREAMLIT_CALLBACK) for app in apps):
        return False
    above, below = sorted(app.path.removesuffix(client_presets.STREAMLIT_CALLBACK) + "/" for app in apps)
    return apps[0].hostname == apps[1].hostname and below.startswith(above)


def register(
    db: Session,
    settings: Settings,
    name: str,
    url: str,
    *,
    may_hand_out_passwords: bool = False,
    policies: Mapping[str, Any] | None = None,
) -> tuple[ClientMetadata, dict[str, Any]]:
    """Register a Streamlit app.

    Args:
        db: the database; the caller commits.
        settings: say where the provider is.
        name: what people call the app.
        url: where the app is.
        may_hand_out_passwords: see `client_presets.streamlit_client`.
        policies: what else its document says, see `idp.cli.client_options`.

    Returns:
        The client, and the `[auth]` section of the app's secrets.

    Raises:
        InvalidInputError: names every field with a fault.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        raise InvalidInputError({"url": [f"{url!r} is no URL."]}) from None
    if parts.query or parts.fragment or parts.scheme not in ("http", "https") or not parts.netloc:
        raise InvalidInputError({"url": ["The app's own URL is needed, such as http://localhost:8501."]})
    if client_uris.can_be_read(url):  # as browsers write it: Streamlit compares them to the letter
        url = f"{client_uris.origin_of(url)}{parts.path}"
    metadata = client_presets.streamlit_client(name, url, may_hand_out_passwords=may_hand_out_passwords)
    client, secret = client_store.register_client(
        db, settings, OPERATOR, client_document.read(policies or {}, metadata, POLICY_MEMBERS)
    )
    return client, {
        "redirect_uri": client.redirect_uris[0],
        "cookie_secret": crypto.new_token(),
        "client_id": client.client_id,
        "client_secret": secret,
        "server_metadata_url": settings.url("/.well-known/openid-configuration"),
        "expose_tokens": ["access"],
        "client_kwargs": {"scope": " ".join(client.scopes_of_people), "prompt": ""},
    }
