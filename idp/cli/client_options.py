"""The options of `idp client add` and `idp client update`: one for each thing that a client's document may say.

What the options say becomes a document in the form of RFC 7591, which is then read as any other one is.
"""

import itertools
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import IO, Any, TypeVar

import click

from idp.accounts.registration import POLICIES
from idp.errors import InvalidInputError
from idp.oidc import client_document, clients
from idp.oidc.clients import IMPLICIT
from idp.oidc.keys import ALGORITHMS

Command = TypeVar("Command", bound=Callable[..., Any])

TEXT, LIST, FLAG, NUMBER, JSON_FILE = "text", "list", "flag", "number", "json_file"


@dataclass(frozen=True)
class Choice:
    """One option.

    Attributes:
        flag: how it is written.
        member: of the document.
        help: what it is for.
        kind: of the value.
        metavar: what stands for the value in the help.
        among: what there is to choose from, where that is a list.
    """

    flag: str
    member: str
    help: str
    kind: str = TEXT
    metavar: str = "URL"
    among: Sequence[str] = ()


_GRANTS = (*clients.GRANT_TYPES, IMPLICIT)
_RESPONSES = tuple(clients.GRANTS_OF_RESPONSE_TYPES)
_SUBJECTS = ("public", "pairwise")
_SECONDS = "SECONDS"

GROUPS: Mapping[str, Sequence[Choice]] = {
    "Signing in": (
        Choice(
            "--redirect-uri", "redirect_uris", "Where people return to after sign-in; may be repeated.", LIST, "URI"
        ),
        Choice(
            "--post-logout-redirect-uri",
            "post_logout_redirect_uris",
            "Where people may return to after sign-out; may be repeated.",
            LIST,
            "URI",
        ),
        Choice(
            "--application-type",
            "application_type",
            "Native apps may return to a private scheme. [default: as the redirect URIs are]",
            among=("web", "native"),
        ),
        Choice("--scope", "scope", "A scope that it may ask for; may be repeated.", LIST, "SCOPE"),
        Choice("--grant", "grant_types", "A way to get tokens; may be repeated.", LIST, among=_GRANTS),
        Choice(
            "--response-type",
            "response_types",
            "A response type that it may ask for; may be repeated.",
            LIST,
            among=_RESPONSES,
        ),
        Choice("--trusted", "is_trusted", "Of your own house: nobody is asked for consent.", FLAG),
        Choice(
            "--pkce-required",
            "is_pkce_required",
            "Requests without PKCE are refused, as those of public apps always are.",
            FLAG,
        ),
        Choice("--default-max-age", "default_max_age", "Whoever signed in longer ago signs in anew.", NUMBER, _SECONDS),
        Choice(
            "--require-auth-time",
            "require_auth_time",
            "The ID token says when people signed in, as it always does.",
            FLAG,
        ),
        Choice(
            "--default-acr-value",
            "default_acr_values",
            "How people should prove themselves, which decides nothing here; may be repeated.",
            LIST,
            "ACR",
        ),
        Choice("--initiate-login-uri", "initiate_login_uri", "Where a sign-in can begin from the account page."),
    ),
    "The app proves who it is": (
        Choice("--auth-method", "token_endpoint_auth_method", "How it does so.", among=clients.AUTH_METHODS),
        Choice(
            "--auth-signing-algorithm",
            "token_endpoint_auth_signing_alg",
            "Signs its assertions; any other is refused.",
            metavar="ALG",
        ),
        Choice("--jwks", "jwks", "File with its public keys (JWK Set), - for stdin.", JSON_FILE, "FILE"),
        Choice("--jwks-uri", "jwks_uri", "Where its public keys are."),
    ),
    "Its requests": (
        Choice(
            "--pushed-requests-required",
            "require_pushed_authorization_requests",
            "Only pushed requests are taken (PAR).",
            FLAG,
        ),
        Choice(
            "--signed-requests-required", "require_signed_request_object", "Only signed requests are taken (JAR).", FLAG
        ),
        Choice(
            "--unsigned-requests-allowed",
            "may_send_unsigned_request_objects",
            "Unsigned request objects are taken too.",
            FLAG,
        ),
        Choice("--request-signing-algorithm", "request_object_signing_alg", "Signs its requests.", metavar="ALG"),
        Choice("--request-uri", "request_uris", "Where request objects may be fetched; may be repeated.", LIST),
    ),
    "Its tokens": (
        Choice("--signing-algorithm", "id_token_signed_response_alg", "Signs its ID tokens.", among=ALGORITHMS),
        Choice("--id-token-encryption", "id_token_encrypted_response_alg", "Encrypts its ID tokens.", metavar="ALG"),
        Choice(
            "--id-token-encryption-enc", "id_token_encrypted_response_enc", "Encrypts their content.", metavar="ENC"
        ),
        Choice("--userinfo-signing-algorithm", "userinfo_signed_response_alg", "Signs userinfo.", among=ALGORITHMS),
        Choice("--userinfo-encryption", "userinfo_encrypted_response_alg", "Encrypts userinfo.", metavar="ALG"),
        Choice("--userinfo-encryption-enc", "userinfo_encrypted_response_enc", "Encrypts its content.", metavar="ENC"),
        Choice(
            "--id-token-claims",
            "has_id_token_claims",
            "ID tokens hold the claims, for apps that never call userinfo.",
            FLAG,
        ),
        Choice(
            "--subject-type",
            "subject_type",
            "Pairwise: no other app knows people by the same subject.",
            among=_SUBJECTS,
        ),
        Choice("--sector-identifier-uri", "sector_identifier_uri", "Lists the redirect URIs of one sector."),
        Choice("--session-bound", "is_access_token_session_bound", "Access tokens end with the browser session.", FLAG),
        Choice("--access-token-format", "access_token_format", "Opaque, or JWT for APIs.", among=("opaque", "jwt")),
        Choice("--resource", "resources", "An API that it may ask tokens for; may be repeated.", LIST, "URI"),
        Choice(
            "--protected-resource", "protected_resources", "An API that it is itself; may be repeated.", LIST, "URI"
        ),
        Choice("--dpop-required", "dpop_bound_access_tokens", "Only tokens bound to its key (DPoP).", FLAG),
        Choice(
            "--access-token-lifetime", "access_token_lifetime", "How long its access tokens are good.", NUMBER, _SECONDS
        ),
        Choice("--id-token-lifetime", "id_token_lifetime", "How long its ID tokens are good.", NUMBER, _SECONDS),
        Choice(
            "--refresh-token-lifetime",
            "refresh_token_lifetime",
            "How long a refresh token may lie unused.",
            NUMBER,
            _SECONDS,
        ),
    ),
    "Signing out": (
        Choice("--backchannel-logout-uri", "backchannel_logout_uri", "Where it is told that a session has ended."),
        Choice(
            "--backchannel-logout-session-required",
            "backchannel_logout_session_required",
            "It is told which session.",
            FLAG,
        ),
        Choice(
            "--frontchannel-logout-uri",
            "frontchannel_logout_uri",
            "What the browser loads in a frame at a session's end.",
        ),
        Choice(
            "--frontchannel-logout-session-required",
            "frontchannel_logout_session_required",
            "It is told which session.",
            FLAG,
        ),
    ),
    "Who may use it": (
        Choice(
            "--registration-policy",
            "registration_policy",
            "Who may register there; narrows the setting registration.",
            among=POLICIES,
        ),
        Choice(
            "--registration-domain",
            "registration_domains",
            "Only addresses of this domain may register there; may be repeated.",
            LIST,
            "DOMAIN",
        ),
        Choice(
            "--registration-role",
            "registration_roles",
            "A role that it may give to people who register there; may be repeated.",
            LIST,
            "ROLE",
        ),
        Choice(
            "--max-concurrent-users", "max_concurrent_users", "How many people it takes in at once.", NUMBER, "COUNT"
        ),
        Choice(
            "--single-session",
            "is_single_session",
            "Whoever signs in to it in another browser is signed out of it in the first.",
            FLAG,
        ),
    ),
    "What people are shown": (
        Choice("--client-uri", "client_uri", "Its home page."),
        Choice("--logo-uri", "logo_uri", "Its logo."),
        Choice("--policy-uri", "policy_uri", "Its privacy policy."),
        Choice("--tos-uri", "tos_uri", "Its terms of service."),
        Choice("--contact", "contacts", "Who answers for it; may be repeated.", LIST, "TEXT"),
        Choice("--software-id", "software_id", "What software it is.", metavar="TEXT"),
        Choice("--software-version", "software_version", "And which version.", metavar="TEXT"),
    ),
}
POLICY_MEMBERS = (
    *("registration_policy", "registration_domains", "registration_roles", "max_concurrent_users"),
    *("is_single_session", "backchannel_logout_uri", "frontchannel_logout_uri"),
)
MEMBERS = tuple(choice.member for choice in itertools.chain(*GROUPS.values()))
FIELDS = (*client_document.OF_SOFTWARE, *client_document.OF_OPERATOR)


class GroupedOption(click.Option):
    """An option with a place in the help.

    Args:
        group: under which heading it stands.
    """

    def __init__(self, *arguments: Any, group: str, **given: Any) -> None:
        super().__init__(*arguments, **given)
        self.group = group


class GroupedCommand(click.Command):
    """A command whose help shows its options in groups."""

    def format_options(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        """Write each group under a heading of its own."""
        groups: dict[str, list[tuple[str, str]]] = {"Options": []}
        for parameter in self.get_params(context):
            if isinstance(parameter, click.Option) and (record := parameter.get_help_record(context)):
                groups.setdefault(getattr(parameter, "group", "") or "Options", []).append(record)
        for heading, records in sorted(groups.items(), key=lambda group: group[0] == "Options"):
            with formatter.section(heading):
                formatter.write_dl(records)


def metadata_options(*, members: Collection[str] = MEMBERS) -> Callable[[Command], Command]:
    """Give a command an option for each member of the document, or for some."""

    def decorate(command: Command) -> Command:
        for group, choices in reversed(list(GROUPS.items())):
            for choice in reversed([each for each in choices if each.member in members]):
                command = _option(group, choice)(command)
        return command

    return decorate


def as_document(given: dict[str, Any], *, members: Collection[str] = MEMBERS) -> dict[str, Any]:
    """Take the members out of a command's options and return them as a document.

    Args:
        given: all options by name; those of the document are taken out.
        members: which ones there are.

    Raises:
        BadParameter: a file with keys holds no JSON object.
    """
    said: dict[str, Any] = {}
    for choice in itertools.chain(*GROUPS.values()):
        if choice.member not in members:
            continue
        value = given.pop(choice.member)
        if value is None or value is False or value == ():
            continue
        if choice.kind == JSON_FILE:
            value = _read_json(choice, value)
        if choice.member == "scope":
            value = " ".join(value)
        said[choice.member] = list(value) if isinstance(value, tuple) else value
    return said


def _read_json(choice: Choice, file: IO[bytes]) -> dict[str, Any]:
    try:
        return client_document.parse(file.read())
    except InvalidInputError as refused:
        raise click.BadParameter(f"{refused.message} A JWK Set is needed.", param_hint=choice.flag) from None


def _option(group: str, choice: Choice) -> Callable[[Command], Command]:
    text = click.Choice(choice.among) if choice.among else str
    kinds: Mapping[str, Any] = {NUMBER: int, JSON_FILE: click.File("rb"), TEXT: text, LIST: text}
    if choice.kind == FLAG:
        return click.option(choice.flag, choice.member, is_flag=True, help=choice.help, cls=GroupedOption, group=group)
    return click.option(
        choice.flag,
        choice.member,
        type=kinds[choice.kind],
        multiple=choice.kind == LIST,
        metavar=None if choice.among else choice.metavar,
        help=choice.help,
        cls=GroupedOption,
        group=group,
    )
