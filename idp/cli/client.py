"""`idp client`: the apps that people sign in to."""

import json
from collections.abc import Sequence
from typing import IO, Any

import click

from idp.accounts.visitor import OPERATOR
from idp.cli import client_token, output, secret_input
from idp.cli.client_policies import policy_options, read_policies
from idp.cli.client_streamlit import add_streamlit
from idp.cli.instance import load_ready, open_ready
from idp.oidc import client_store, clients
from idp.oidc.clients import ApplicationType, ClientMetadata
from idp.oidc.keys import ALGORITHMS

DEFAULT_SCOPES = ("openid", "profile", "email", "roles")


@click.group(short_help="Apps that people sign in to.")
def command() -> None:
    """Apps: add, add-streamlit, list, show, remove, rotate-secret, token."""


command.add_command(add_streamlit)
command.add_command(client_token.command)


@command.command(
    epilog="""
\b
Examples:
  idp client add "Wiki" --redirect-uri https://wiki.example.org/callback
  idp client add "Phone app" --public --redirect-uri org.example.app:/callback
  idp client add "Nightly job" --grant client_credentials --json
"""
)
@click.argument("name")
@click.option("--redirect-uri", "redirect_uris", multiple=True, metavar="URI", help="Where people return to; repeat.")
@click.option(
    "--post-logout-redirect-uri", "post_logout_redirect_uris", multiple=True, metavar="URI", help="After sign-out."
)
@click.option(
    "--application-type",
    type=click.Choice(("web", "native")),
    help="Native apps may return to a private scheme. [default: as the redirect URIs are]",
)
@click.option("--public", is_flag=True, help="It can keep no secret (phone, desktop, browser): PKCE instead.")
@click.option("--trusted", is_flag=True, help="Of your own house: nobody is asked for consent.")
@click.option(
    "--scope", "scopes", multiple=True, metavar="SCOPE", help=f"May ask for it. [default: {' '.join(DEFAULT_SCOPES)}]"
)
@click.option(
    "--grant",
    "grants",
    multiple=True,
    type=click.Choice(clients.GRANT_TYPES),
    default=("authorization_code",),
    show_default=True,
    help="A way to get tokens; may be repeated.",
)
@click.option("--id", "client_id", default="", help="An id of your choice; otherwise one is made.")
@click.option("--secret-stdin", is_flag=True, help="Read the secret from stdin; otherwise one is made.")
@click.option("--auth-method", type=click.Choice(clients.AUTH_METHODS), help="How it proves who it is.")
@click.option("--jwks", type=click.File(encoding="utf-8"), help="File with its public keys (JWK Set), - for stdin.")
@click.option("--jwks-uri", metavar="URL", help="Where it publishes its public keys.")
@click.option("--pkce-required", is_flag=True, help="Refuse requests without PKCE. Public clients always need it.")
@click.option("--id-token-claims", is_flag=True, help="Profile claims in the ID token, if it never calls userinfo.")
@click.option("--session-bound", is_flag=True, help="Its access tokens live and die with the browser session.")
@click.option("--signing-algorithm", type=click.Choice(ALGORITHMS), help="Signs its ID tokens.")
@click.option("--access-token-lifetime", type=int, metavar="SECONDS", help="Instead of the setting's.")
@click.option("--id-token-lifetime", type=int, metavar="SECONDS", help="Instead of the setting's.")
@click.option("--refresh-token-lifetime", type=int, metavar="SECONDS", help="Instead of the setting's.")
@click.option("--client-uri", metavar="URL", help="Its home page.")
@click.option("--logo-uri", metavar="URL", help="Its logo.")
@click.option("--policy-uri", metavar="URL", help="Its privacy policy.")
@click.option("--tos-uri", metavar="URL", help="Its terms of service.")
@policy_options
@output.json_option
def add(
    name: str,
    application_type: ApplicationType | None,
    public: bool,
    trusted: bool,
    scopes: Sequence[str],
    grants: Sequence[str],
    secret_stdin: bool,
    auth_method: str | None,
    jwks: IO[str] | None,
    pkce_required: bool,
    id_token_claims: bool,
    session_bound: bool,
    signing_algorithm: str | None,
    as_json: bool,
    **texts: Any,
) -> None:
    """Register an app, and print its id and secret: the secret is shown this once.

    Every redirect URI is compared to the letter; https, or http on this machine itself.
    """
    if public and auth_method not in (None, "none"):
        raise click.UsageError("--public and --auth-method exclude each other: a public client shows no secret.")
    method = "none" if public else auth_method or clients.CONFIDENTIAL_METHODS[0]
    if method == "private_key_jwt" and secret_stdin:
        raise click.UsageError("--secret-stdin is for clients that keep a secret; this one proves itself by its keys.")
    if method == "none" and secret_stdin:
        raise click.UsageError("--secret-stdin is for clients that keep a secret; a public client has none.")
    policies = read_policies(texts)
    plain: dict[str, Any] = {k: tuple(dict.fromkeys(v)) if isinstance(v, tuple) else v for k, v in texts.items()}
    metadata = ClientMetadata(
        client_name=name,
        application_type=application_type or _application_type(texts["redirect_uris"]),
        token_endpoint_auth_method=method,
        jwks=_read_jwks(jwks),
        grant_types=tuple(dict.fromkeys(grants)),
        response_types=("code",) if "authorization_code" in grants else (),
        scopes=_scopes(scopes, grants),
        is_trusted=trusted,
        is_pkce_required=pkce_required,
        has_id_token_claims=id_token_claims,
        is_access_token_session_bound=session_bound,
        id_token_signed_response_alg=signing_algorithm,
        **policies,
        **plain,
    )
    load_ready()  # before a secret is read for nothing
    secret = secret_input.read_stdin("client_secret") if secret_stdin else None
    with open_ready() as (settings, db):
        metadata, secret = client_store.register_client(db, settings, OPERATOR, metadata, secret=secret)
    output.note(f"Registered {metadata.client_name}." + (" Keep the secret: it is shown this once." if secret else ""))
    if as_json:
        output.data({**metadata.as_dict(), "client_secret": secret})
    else:
        output.record({"client_id": metadata.client_id, "client_secret": secret})


@command.command("list")
@output.json_option
def list_all(as_json: bool) -> None:
    """List all apps."""
    with open_ready() as (_settings, db):
        found = client_store.list_clients(db)
    if as_json:
        output.data([client.as_dict() for client in found])
    elif not found:
        output.note("There are no apps yet: add one with `idp client add` or `idp client add-streamlit`.")
    else:
        output.table(
            ("client id", "name", "kind", "grants", "created"),
            [(c.client_id, c.client_name, _kind(c), c.grant_types, output.instant(c.created_at)) for c in found],
        )


@command.command()
@click.argument("client_id")
@output.json_option
def show(client_id: str, as_json: bool) -> None:
    """Show one app."""
    with open_ready() as (_settings, db):
        client = client_store.get_client(db, client_id)
    if as_json:
        output.data(client.as_dict())
    else:
        output.record({**client.as_dict(), "created_at": output.instant(client.created_at)})


@command.command()
@click.argument("client_id")
def remove(client_id: str) -> None:
    """Remove an app: its tokens and what people allowed it go at once."""
    with open_ready() as (_settings, db):
        name = client_store.get_client(db, client_id).client_name
        client_store.remove_client(db, OPERATOR, client_id)
    output.note(f"Removed {name} ({client_id}).")


@command.command("rotate-secret")
@click.argument("client_id")
@output.json_option
def rotate_secret(client_id: str, as_json: bool) -> None:
    """Give an app a new secret and print it this once; the old one is worthless at once."""
    with open_ready() as (settings, db):
        secret = client_store.rotate_secret(db, settings, OPERATOR, client_id)
    output.note("Keep the secret: it is shown this once.")
    shown = {"client_id": client_id, "client_secret": secret}
    if as_json:
        output.data(shown)
    else:
        output.record(shown)


def _read_jwks(file: IO[str] | None) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        document: dict[str, Any] = json.load(file)
    except (ValueError, RecursionError):
        raise click.BadParameter("The file holds no JSON.", param_hint="--jwks") from None
    return document


def _scopes(given: Sequence[str], grants: Sequence[str]) -> tuple[str, ...]:
    if given:
        return tuple(dict.fromkeys(word for each in given for word in each.split()))
    if "authorization_code" not in grants:
        return ()
    return (*DEFAULT_SCOPES, "offline_access") if "refresh_token" in grants else DEFAULT_SCOPES


def _application_type(redirect_uris: Sequence[str]) -> ApplicationType:
    has_private_scheme = any(not uri.startswith(("https:", "http:")) for uri in redirect_uris)
    return "native" if has_private_scheme else "web"


def _kind(client: ClientMetadata) -> list[str]:
    return ["public" if client.is_public else "confidential", *(["trusted"] if client.is_trusted else [])]
