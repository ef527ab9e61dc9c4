"""`idp client`: the apps that people sign in to."""

from pathlib import Path
from typing import Any

import click

from idp import crypto
from idp.accounts.visitor import OPERATOR
from idp.cli import client_token, output, secret_input
from idp.cli.client_explained import explain
from idp.cli.client_options import FIELDS, MEMBERS, GroupedCommand, as_document, metadata_options
from idp.cli.client_streamlit import add_streamlit
from idp.cli.instance import load_ready, open_ready
from idp.oidc import client_document, client_store
from idp.oidc.client_admission import admit_client
from idp.oidc.client_presets import STREAMLIT_CALLBACK
from idp.oidc.clients import DEVICE_CODE_GRANT, IMPLICIT, ClientMetadata
from idp.settings import Settings

SHOWN = (
    *("client_id", "client_name", "redirect_uris", "post_logout_redirect_uris"),
    *("client_uri", "logo_uri", "policy_uri", "tos_uri", "contacts"),
)
DEFAULT_SCOPES = ("openid", "profile", "email", "roles")
_metadata_option = click.option(
    "--metadata",
    "metadata_path",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A document in the form of RFC 7591; options count more.",
)


@click.group
def command() -> None:
    """Apps: add, add-streamlit, update, list, show, remove, rotate-secret, token."""


command.add_command(add_streamlit)
command.add_command(client_token.command)


@command.command(
    cls=GroupedCommand,
    epilog="""
\b
Examples:
  idp client add "Wiki" --redirect-uri https://wiki.example.org/callback
  idp client add "Phone app" --public --redirect-uri org.example.app:/callback
  idp client add "Nightly job" --grant client_credentials --json
  idp client add "TV" --public --grant urn:ietf:params:oauth:grant-type:device_code
  idp client add --metadata wiki.json --trusted
""",
)
@click.argument("name", required=False)
@metadata_options()
@click.option("--public", is_flag=True, help="It can keep no secret (phone, desktop, browser): PKCE instead.")
@click.option("--id", "client_id", default="", help="An id of your choice; otherwise one is made.")
@click.option("--secret-stdin", is_flag=True, help="Read the secret from stdin; otherwise one is made.")
@_metadata_option
@output.json_option
def add(
    name: str | None,
    public: bool,
    client_id: str,
    secret_stdin: bool,
    metadata_path: Path | None,
    as_json: bool,
    **said: Any,
) -> None:
    """Register an app, and print its id and secret.

    The secret is shown this once. Every redirect URI is compared to the letter; https, or http on this machine itself.
    Where you do not say otherwise, the app signs people in, and may ask for openid, profile, email and roles.
    """
    document = _document(metadata_path, said, public=public)
    if name is not None:
        document["client_name"] = name
    if not document.get("client_name"):
        raise click.UsageError("A NAME is needed, or a document that has a client_name.")
    base = ClientMetadata(client_id=client_id or crypto.new_id(), client_name="")
    wanted = client_document.read(_with_defaults(document), base, FIELDS)
    if secret_stdin and not wanted.needs_secret:
        reason = "a public client has none" if wanted.is_public else "this one proves itself by its keys"
        raise click.UsageError(f"--secret-stdin is for clients that keep a secret; {reason}.")
    settings = load_ready()  # before a secret is read for nothing
    secret = secret_input.read_stdin("client_secret") if secret_stdin else None
    admit_client(settings, wanted, secret)
    with open_ready() as (settings, db):
        client, secret = client_store.register_client(db, settings, OPERATOR, wanted, secret=secret)
    output.note(f"Registered {client.client_name}." + (" Keep the secret: it is shown this once." if secret else ""))
    callbacks = [uri for uri in client.redirect_uris if uri.endswith(STREAMLIT_CALLBACK)]
    if callbacks and not (client.has_id_token_claims and {*callbacks} <= {*client.post_logout_redirect_uris}):
        output.note(
            "It looks like a Streamlit app. Streamlit reads names, addresses and roles from the ID token alone, and "
            "returns to its callback after a sign-out too: `idp client add-streamlit` registers it like that."
        )
    if as_json:
        output.data({**_as_json(client, settings), "client_secret": secret})
    else:
        output.record({"client_id": client.client_id, "client_secret": secret})


@command.command(
    cls=GroupedCommand,
    epilog="""
\b
Examples:
  idp client update CLIENT_ID --trusted
  idp client update CLIENT_ID --redirect-uri https://new.example.org/callback --clear logo_uri
  idp client update CLIENT_ID --metadata wiki.json
""",
)
@click.argument("client_id")
@click.option("--name", "client_name", help="What people call it.")
@metadata_options()
@click.option("--public", is_flag=True, help="It can keep no secret any more.")
@click.option(
    "--clear",
    "cleared",
    multiple=True,
    metavar="MEMBER",
    help="Back to the default, such as logo_uri; may be repeated.",
)
@_metadata_option
@output.json_option
def update(
    client_id: str,
    client_name: str | None,
    public: bool,
    cleared: tuple[str, ...],
    metadata_path: Path | None,
    as_json: bool,
    **said: Any,
) -> None:
    """Change what an app is; it counts at once. What is not named stays.

    A list that is given takes the place of the one before. When a grant, a scope, a resource or the kind of subject is
    taken away, or an app that acts offline becomes session-bound, the app's tokens end, and its people sign in anew;
    what they allowed it stays.
    """
    if unknown := [each for each in cleared if each not in MEMBERS]:
        raise click.UsageError(f"--clear {unknown[0]}: there is {', '.join(MEMBERS)}.")
    document = {**_document(metadata_path, said, public=public), **dict.fromkeys(cleared)}
    if client_name is not None:
        document["client_name"] = client_name
    with open_ready() as (settings, db):
        before = client_store.get_client(db, client_id)
        wanted = client_document.read(document, before, FIELDS)
        admit_client(settings, wanted)
        client, secret = client_store.update_client(db, settings, OPERATOR, before, wanted)
    changed = [name for name in FIELDS if getattr(before, name) != getattr(client, name)]
    output.note(f"Changed {', '.join(changed)}." if changed else "Nothing was to be changed.")
    if secret:
        output.note("It needs a secret now. Keep it: it is shown this once.")
    if as_json:
        output.data({**_as_json(client, settings), **({"client_secret": secret} if secret else {})})
    elif secret:
        output.record({"client_id": client_id, "client_secret": secret})


@command.command("list")
@output.json_option
def list_all(as_json: bool) -> None:
    """List all apps."""
    with open_ready() as (settings, db):
        found = client_store.list_clients(db)
    if as_json:
        output.data([_as_json(client, settings) for client in found])
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
    """Show one app: what it is, and in sentences what it may do."""
    with open_ready() as (settings, db):
        client = client_store.get_client(db, client_id)
    if as_json:
        output.data(_as_json(client, settings))
        return
    output.record({name: getattr(client, name) for name in SHOWN})
    click.echo()
    output.topics(explain(client, settings))


@command.command()
@click.argument("client_id")
def remove(client_id: str) -> None:
    """Remove an app, with its tokens and what people allowed it."""
    with open_ready() as (_settings, db):
        name = client_store.get_client(db, client_id).client_name
        client_store.remove_client(db, OPERATOR, client_id)
    output.note(f"Removed {name} ({client_id}).")


@command.command("rotate-secret")
@click.argument("client_id")
@output.json_option
def rotate_secret(client_id: str, as_json: bool) -> None:
    """Give an app a new secret, and print it.

    It is shown this once. The old one is worthless at once.
    """
    with open_ready() as (settings, db):
        secret = client_store.rotate_secret(db, settings, OPERATOR, client_id)
    output.note("Keep the secret: it is shown this once.")
    shown = {"client_id": client_id, "client_secret": secret}
    if as_json:
        output.data(shown)
    else:
        output.record(shown)


def _document(path: Path | None, said: dict[str, Any], *, public: bool) -> dict[str, Any]:
    """Return what a file and the options say together."""
    document = client_document.parse(path.read_bytes()) if path else {}
    document |= as_document(said)
    if public:
        if document.get("token_endpoint_auth_method", "none") != "none":
            raise click.UsageError("--public and --auth-method exclude each other: a public client shows no secret.")
        document["token_endpoint_auth_method"] = "none"  # noqa: S105 - a method's name
    return document


def _with_defaults(document: dict[str, Any]) -> dict[str, Any]:
    """Fill in what an operator means who does not say it; what is no list is refused later."""
    if not isinstance(grants := document.get("grant_types") or [], list):
        return document
    signs_in = not grants or any(each in grants for each in ("authorization_code", IMPLICIT, DEVICE_CODE_GRANT))
    offline = ("offline_access",) if "refresh_token" in grants else ()
    uris = document.get("redirect_uris")
    is_native = isinstance(uris, list) and any(not str(uri).startswith(("https:", "http:")) for uri in uris)
    defaults = {
        "scope": " ".join((*DEFAULT_SCOPES, *offline)) if signs_in else "",
        "application_type": "native" if is_native else "web",
    }
    return {**defaults, **document}


def _as_json(client: ClientMetadata, settings: Settings) -> dict[str, Any]:
    """Return a client for programs: its document in the form of RFC 7591; what is left to a setting is null."""
    document = client_document.describe(client, settings, FIELDS)
    return {**document, **client.as_dict(), "is_self_registered": client.is_self_registered}


def _kind(client: ClientMetadata) -> list[str]:
    kinds = ["public" if client.is_public else "confidential"]
    return [*kinds, *["trusted"] * client.is_trusted, *["self-registered"] * client.is_self_registered]
