"""A small HTTP client that chooses where its connections come from, and says what became of each request."""

import http.client
import socket
import ssl
from dataclasses import dataclass
from urllib.parse import urlencode

PATIENCE = 60  # seconds that anybody waits for an answer


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        status: of the response; 0 when there was none.
        headers: in small letters.
        cookies: those that were set.
        text: the body.
    """

    status: int
    headers: dict[str, str]
    cookies: dict[str, str]
    text: str


class Wire:
    """Sends requests from an address: its own, on loopback, or one that a proxy would tell.

    Args:
        port: where the instance listens.
        is_proxied: whether addresses are told by `X-Forwarded-For`, as a proxy does; else connections come from them.
        trust: whose certificates count, where a proxy with TLS listens there.
    """

    def __init__(self, port: int, is_proxied: bool, trust: ssl.SSLContext | None = None) -> None:
        self.port, self.is_proxied, self.trust = port, is_proxied, trust
        self._open: http.client.HTTPConnection | None = None

    def send(
        self,
        method: str,
        path: str,
        address: str = "127.0.0.1",
        *,
        form: dict[str, str] | None = None,
        body: bytes | None = None,
        headers: dict[str, str] | None = None,
        cookies: dict[str, str] | None = None,
        patience: float = PATIENCE,
    ) -> Answer:
        """Send one request; a connection is used again where addresses are told by a header."""
        sent = dict(headers or {})
        if self.is_proxied:
            sent["X-Forwarded-For"] = address
        if cookies:
            sent["Cookie"] = "; ".join(f"{name}={value}" for name, value in cookies.items())
        if form is not None:
            body = urlencode(form).encode()
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        if not self.is_proxied:
            sent["Connection"] = "close"
        for attempt in (1, 2):
            is_fresh = self._open is None
            connection = self._open or self._connect(address, patience)
            try:
                connection.request(method, path, body, sent)
                response = connection.getresponse()
                text = response.read().decode("utf-8", "replace")
            except (OSError, http.client.HTTPException):
                self.close(connection)
                if is_fresh or attempt == 2:
                    return Answer(0, {}, {}, "")
                continue
            if self.is_proxied and not response.will_close:
                self._open = connection
            else:
                self.close(connection)
            return Answer(response.status, {name.lower(): value for name, value in response.getheaders()},
                          _cookies(response), text)  # fmt: skip
        raise AssertionError

    def close(self, connection: http.client.HTTPConnection) -> None:
        """Close a connection."""
        connection.close()
        if connection is self._open:
            self._open = None

    def connect_raw(self, address: str) -> socket.socket:
        """Open a connection for bytes that are no well-behaved request."""
        source = None if self.is_proxied else (address, 0)
        opened = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE, source_address=source)
        return self.trust.wrap_socket(opened, server_hostname="127.0.0.1") if self.trust else opened

    def _connect(self, address: str, patience: float) -> http.client.HTTPConnection:
        source = None if self.is_proxied else (address, 0)
        if self.trust:
            return http.client.HTTPSConnection(
                "127.0.0.1", self.port, timeout=patience, source_address=source, context=self.trust
            )
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=patience, source_address=source)


def csrf_token(page: str) -> str:
    """Return the token of a page's form."""
    return page.partition('name="csrf_token" value="')[2].partition('"')[0]


def _cookies(response: http.client.HTTPResponse) -> dict[str, str]:
    pairs = (header.partition(";")[0].partition("=") for header in response.headers.get_all("Set-Cookie") or ())
    return {name: value for name, _, value in pairs}
