"""A cheap HTTP client for load: one keep-alive connection for each thread, cookies kept by hand."""

import http.client
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlencode, urlsplit

FORM = "application/x-www-form-urlencoded"
PATIENCE = 120  # seconds


class NoAnswerError(Exception):
    """The connection broke, or nothing came in time."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    location: str
    body: bytes

    def hidden(self, name: str) -> str:
        """Return the value of a hidden field of the page."""
        mark = f'name="{name}" value="'.encode()
        return self.body.partition(mark)[2].partition(b'"')[0].decode()


class Wire:
    """Connections to one provider.

    Args:
        issuer: its address.
    """

    def __init__(self, issuer: str) -> None:
        parts = urlsplit(issuer)
        self._host, self._port = str(parts.hostname), parts.port or 80
        self._issuer = issuer
        self._mine = threading.local()

    def call(
        self,
        method: str,
        target: str,
        *,
        address: str,
        cookies: dict[str, str] | None = None,
        form: Mapping[str, str] | None = None,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """Send one request.

        Args:
            method: of HTTP.
            target: a path, or a URL of the provider.
            address: whose request it is, as a proxy would say.
            cookies: the browser's; what is set is put into it.
            form: becomes the body.
            body: something else, with its type among the headers.
            headers: more of them.

        Raises:
            NoAnswerError: nothing came back; what was asked for has happened, or has not.
        """
        sent = {"X-Forwarded-For": address, **(headers or {})}
        if form is not None:
            body, sent["Content-Type"] = urlencode(form).encode(), FORM
        if cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        connection, is_new = self._connection()
        path = target.removeprefix(self._issuer)
        try:
            answer = self._exchange(connection, method, path, body, sent, is_new=is_new)
            content = answer.read()
        except (OSError, http.client.HTTPException) as fault:
            connection.close()
            self._mine.connection = None
            raise NoAnswerError(f"{method} {path.partition('?')[0]}: {fault!r}") from fault
        if cookies is not None:
            for line in answer.headers.get_all("Set-Cookie", []):
                name, _, rest = line.partition("=")
                value = rest.partition(";")[0]
                if value:
                    cookies[name] = value
                else:
                    cookies.pop(name, None)
        return Answer(answer.status, answer.getheader("Location", ""), content)

    def _connection(self) -> tuple[http.client.HTTPConnection, bool]:
        found = getattr(self._mine, "connection", None)
        if found is not None:
            return found, False
        self._mine.connection = http.client.HTTPConnection(self._host, self._port, timeout=PATIENCE)
        return self._mine.connection, True

    def _exchange(
        self,
        connection: http.client.HTTPConnection,
        method: str,
        path: str,
        body: bytes,
        sent: Mapping[str, str],
        *,
        is_new: bool,
    ) -> http.client.HTTPResponse:
        try:
            connection.request(method, path, body or None, sent)
            return connection.getresponse()
        except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
            # The server closed a connection that was idle: it has read nothing of this request.
            connection.close()
            if is_new:
                raise
            connection.request(method, path, body or None, sent)
            return connection.getresponse()
