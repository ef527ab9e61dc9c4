"""The authorization response: how success and error travel back to the client, and where to.

The one place that knows response types and response modes (OAuth 2.0 Multiple Response Type Encoding Practices, OAuth
2.0 Form Post Response Mode). `state` comes back as it came, and `iss` tells who answers (RFC 9207): always, whatever
the answer is and however it travels.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, cast, get_args
from urllib.parse import urlencode

from idp.oidc.client_uris import with_parameters
from idp.oidc.clients import GRANTS_OF_RESPONSE_TYPES
from idp.oidc.requests import Parameters
from idp.settings import Settings

ResponseMode = Literal["query", "fragment", "form_post"]
RESPONSE_MODES: Sequence[ResponseMode] = get_args(ResponseMode)
CODE = "code"
# Those of the implicit and hybrid flows (OIDC Core section 3), their words in the order of the alphabet.
WITH_TOKENS = tuple(each for each in GRANTS_OF_RESPONSE_TYPES if each != CODE)
CODE_ALONE, EVERY_RESPONSE_TYPE = (CODE,), (CODE, *WITH_TOKENS)


def supported_response_types(settings: Settings) -> Sequence[str]:
    """Return the response types that the operator admits."""
    return EVERY_RESPONSE_TYPE if settings.response_types == "all" else CODE_ALONE


def in_order(response_type: str) -> str:
    """Return a response type with its words in the order of the alphabet: theirs does not matter (RFC 6749 3.1.1)."""
    if " " not in response_type:
        return response_type
    return " ".join(sorted(set(response_type.split(" ")) - {""}))


def default_mode(response_type: str | None) -> ResponseMode:
    """Return how the answer travels when the client does not say: tokens never in a query."""
    return "fragment" if carries_tokens(response_type or CODE) else "query"


def carries_tokens(response_type: str) -> bool:
    """Tell whether tokens come straight from the authorization endpoint."""
    return not {"token", "id_token"}.isdisjoint(response_type.split(" "))


@dataclass(frozen=True)
class ReturnAddress:
    """Where an answer goes, and how.

    Attributes:
        redirect_uri: checked: it is the client's.
        response_mode: how the parameters travel.
        state: given back as it came.
    """

    redirect_uri: str
    response_mode: ResponseMode = "query"
    state: str | None = None

    def respond(self, issuer: str, answer: Mapping[str, str]) -> "Redirect | FormPost":
        """Address an answer to the client, success or error alike.

        Args:
            issuer: who answers.
            answer: its own parameters; `state` and `iss` are added.
        """
        parameters = dict(answer)
        if self.state is not None:
            parameters["state"] = self.state
        parameters["iss"] = issuer
        if self.response_mode == "form_post":
            return FormPost(self.redirect_uri, parameters)
        if self.response_mode == "fragment":
            return Redirect(f"{self.redirect_uri}#{urlencode(parameters)}")
        return Redirect(with_parameters(self.redirect_uri, parameters))


@dataclass(frozen=True)
class Redirect:
    """The browser is sent to the client; the answer stands in the query or behind the `#`."""

    location: str


@dataclass(frozen=True)
class FormPost:
    """A page whose form the browser posts to the client: the answer shows in no URL, log or history."""

    action: str
    fields: Mapping[str, str]


def address_of(redirect_uri: str, parameters: Parameters) -> ReturnAddress:
    """Return where to answer a request, whatever else is wrong with it.

    What was sent twice counts as not sent: nobody can say which of both was meant. A response mode that is not known,
    or that would put tokens into a query, gives way to the default: it is a fault to tell of, and that needs a way.
    """
    repeated = parameters.repeated()
    known = {name: parameters.get(name) for name in ("response_type", "response_mode", "state") if name not in repeated}
    response_type, mode = known.get("response_type"), known.get("response_mode")
    if mode is None or mode not in RESPONSE_MODES or not is_mode_allowed(response_type or CODE, mode):
        mode = default_mode(response_type)
    return ReturnAddress(redirect_uri, cast(ResponseMode, mode), known.get("state"))


def is_mode_allowed(response_type: str, response_mode: str) -> bool:
    """Tell whether a response of this type may travel so: tokens in a query end up in logs and Referer headers."""
    return not (response_mode == "query" and carries_tokens(response_type))
