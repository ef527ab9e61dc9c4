"""What the protocol reads of an HTTP request, and the form of its answers, independent of the web framework."""

from collections.abc import Callable, Collection, Mapping
from typing import Any, Self
from urllib.parse import parse_qsl

from authlib.oauth2.rfc6749.errors import InvalidRequestError
from authlib.oauth2.rfc6749.requests import OAuth2Payload, OAuth2Request
from sqlalchemy.orm import Session

from idp.accounts.visitor import Visitor
from idp.oidc.clients import ClientMetadata

FORM = "application/x-www-form-urlencoded"
REPEATABLE = ("resource", "audience")  # RFC 8707 section 2; all others are sent once (RFC 6749 section 3.1)
FIELDS_MOST = 100  # of a form or a query
_BEGINNING = 6  # characters
Answer = tuple[int, dict[str, Any] | str, list[tuple[str, str]]]  # status; members, or a JWT; headers
NO_STORE = [("Content-Type", "application/json"), ("Cache-Control", "no-store"), ("Pragma", "no-cache")]


class Parameters(OAuth2Payload):
    """The parameters of a query or a form. One without a value counts as left out (RFC 6749 section 3.1)."""

    def __init__(self, pairs: list[tuple[str, str]]) -> None:
        self._data: dict[str, str] = {}
        self._datalist: dict[str, list[str]] = {}
        for name, value in pairs:
            if not value:
                continue
            if name in self._data:
                self._datalist[name].append(value)
            else:
                self._data[name] = value
                self._datalist[name] = [value]

    @classmethod
    def of_stored(cls, stored: Mapping[str, str | list[str]]) -> Self:
        """Read back what `as_stored` gave."""
        pairs = ((name, [value] if isinstance(value, str) else value) for name, value in stored.items())
        return cls([(name, value) for name, values in pairs for value in values])

    def as_stored(self, names: Collection[str]) -> dict[str, str | list[str]]:
        """Return what a row keeps of them: a text each, or a list where there are several.

        Args:
            names: which ones; others are forgotten.
        """
        kept = {name: values for name, values in self._datalist.items() if name in names}
        return {name: values[0] if len(values) == 1 else values for name, values in kept.items()}

    def replaced(self, name: str, value: str) -> Self:
        """Return them with one value for a parameter, whatever was sent under its name."""
        others = [(other, each) for other, values in self._datalist.items() if other != name for each in values]
        return self.__class__([(name, value), *others])

    @property
    def data(self) -> dict[str, str]:
        """The first value of each parameter."""
        return self._data

    @property
    def datalist(self) -> dict[str, list[str]]:
        """All values of each parameter."""
        return self._datalist

    def get(self, name: str) -> str | None:
        """Return a parameter's value, or None."""
        return self._data.get(name)

    def required(self, name: str) -> str:
        """Return a parameter's value.

        Raises:
            InvalidRequestError: it is missing.
        """
        value = self._data.get(name)
        if value is None:
            raise InvalidRequestError(f"The parameter {name} is missing.")
        return value

    def get_all(self, name: str) -> tuple[str, ...]:
        """Return all values of a parameter that may come more than once."""
        return tuple(self._datalist.get(name, ()))

    def repeated(self) -> list[str]:
        """Return the parameters that were sent more than once and may not be."""
        return [name for name, values in self._datalist.items() if values[1:] and name not in REPEATABLE]

    def check_single(self, *names: str) -> None:
        """Refuse parameters that were sent more than once (RFC 6749 section 3.2).

        Args:
            names: which ones matter; all, when none is given.

        Raises:
            InvalidRequestError: names the first one.
        """
        for name in self.repeated():
            if not names or name in names:
                raise InvalidRequestError(f"The parameter {safe(name)} was sent more than once.")


def parse_parameters(raw: bytes | str) -> Parameters:
    """Read a query string or a form body.

    Raises:
        InvalidRequestError: not UTF-8, too many fields, or a NUL character.
    """
    try:
        text = raw.decode("ascii") if isinstance(raw, bytes) else raw
        pairs = parse_qsl(text, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MOST)
    except UnicodeError:
        raise InvalidRequestError("The parameters are not percent-encoded UTF-8.") from None
    except ValueError:
        raise InvalidRequestError(f"There are more than {FIELDS_MOST} parameters.") from None
    if "%00" in text or "\x00" in text:
        raise InvalidRequestError("A parameter holds a NUL character.")
    return Parameters(pairs)


class ProtocolRequest(OAuth2Request):
    """A request to an endpoint of the protocol, with the database session and the visitor that go with it.

    Args:
        uri: the endpoint's public URL, made from the issuer: never from what the request claims its host to be.
        payload: the parameters: of the query or form at the authorization endpoint, of the form elsewhere.
        find_visitor: tells who asks, where that matters: of a request that is refused, as a rule.
        dpop_proof: the header `DPoP` (RFC 9449).
    """

    def __init__(
        self,
        *,
        method: str,
        uri: str,
        headers: Mapping[str, str],
        payload: Parameters,
        db: Session,
        find_visitor: Callable[[], Visitor],
        dpop_proof: str | None = None,
    ) -> None:
        # Not Authlib's own beginning: it parses the URI, which was made from the issuer, to look for https.
        self.method = method
        self.uri = uri
        self.headers: Mapping[str, str] = headers
        self.payload: Parameters = payload
        self.client: ClientMetadata | None = None  # type: ignore[assignment]  # Authlib wants its own mixin there
        self.db = db
        self._find_visitor = find_visitor
        self.dpop_proof = dpop_proof

    @property
    def visitor(self) -> Visitor:
        """Who asks."""
        return self._find_visitor()

    @property
    def args(self) -> dict[str, str | None]:
        """Nothing: no endpoint of ours reads the query where a form is due."""
        return {}

    @property
    def form(self) -> dict[str, str]:
        """The parameters, under the name that Authlib's endpoints use."""
        return self.payload.data


def safe(text: Any, most: int = 80) -> str:
    """Return text fit for an error_description: no quotes, backslashes, non-ASCII (RFC 6749 section 4.1.2.1).

    Args:
        most: characters that are shown of it.
    """
    shown = str(text)[:most]
    return "".join(c if " " <= c <= "~" and c not in '"\\' else "?" for c in shown)


def beginning(unknown: str) -> str:
    """Return enough of an id that nobody has to recognise it by: an app may have sent its secret in the id's place.

    What this returns goes into the log and the audit, and into an answer that the app may log in its turn.
    """
    begins = safe(unknown, _BEGINNING)
    return begins if len(unknown) <= _BEGINNING else f"{begins}... ({len(unknown)} characters)"
