"""Requests that the provider itself makes: bounded in time and size, never redirected, and not to its own network.

A client's URI is a wish to have something fetched or posted by our machine (SSRF). The name is resolved once, every
address that it has is judged, and the connection goes to the very addresses that were judged, so that a name which
changes between look and use (DNS rebinding) gains nothing.
"""

import contextlib
import http.client
import socket
import ssl
import threading
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult, urlencode, urlsplit

from werkzeug.datastructures import ResponseCacheControl
from werkzeug.http import parse_cache_control_header

from idp import patience, turns
from idp.setting_rules import is_loopback
from idp.settings import Settings

STEP_TIMEOUT = 5  # seconds for each step on the wire
WHOLE_TIMEOUT = 15  # seconds for the answer as a whole
ANSWER_MOST = 64 * 1024  # bytes
# Documents fetched at once by a process. Somebody's request waits for each, and a host that is slow on purpose must not
# make all of the server's threads wait: those who ask for more are refused at once, and everybody else is served.
FETCHES_MOST = 8
FETCHES_OF_HOST_MOST = 4
ADDRESSES_MOST = 8  # of a name that are tried: whoever lists thousands must not have us knock at all of them
_HOLDING_IPV4 = tuple(ip_network(each) for each in ("::/96", "64:ff9b::/96", "64:ff9b:1::/48"))
# Global by their numbers, and yet nobody's host: IETF protocol assignments (RFC 6890), relays of 6to4 (RFC 7526), and
# where a machine in Azure finds its own keeper.
_SPECIAL = tuple(ip_network(each) for each in ("192.0.0.0/24", "192.88.99.0/24", "168.63.129.16/32"))


class OutgoingError(Exception):
    """A request that was not made, or brought no answer; the text says why, and holds no secret."""


@dataclass(frozen=True)
class Answer:
    """What came back.

    Attributes:
        good_for: seconds for which it may be used without asking again (RFC 9111 section 4.2.1); None where it does
            not say.
    """

    status: int
    content_type: str
    body: bytes
    good_for: int | None = None


def post_form(settings: Settings, url: str, form: Mapping[str, str]) -> Answer:
    """Post a form.

    Args:
        settings: say whether private addresses are allowed, and whose certificates are trusted.
        url: https, or http where the provider itself is on loopback.
        form: what to send.

    Raises:
        OutgoingError: the URL may not be called, or nobody answered properly in time.
    """
    headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "*/*"}
    return _request(settings, "POST", url, urlencode(form), headers, ANSWER_MOST)


def fetch(settings: Settings, url: str, accept: str, *, most: int = ANSWER_MOST) -> Answer:
    """Get a document. A redirect is an answer like any other, and not followed.

    Args:
        settings: say whether private addresses are allowed, and whose certificates are trusted.
        url: https, or http where the provider itself is on loopback; a fragment is not sent.
        accept: the media types that are wanted.
        most: bytes that it may have.

    Raises:
        OutgoingError: the URL may not be called, nobody answered properly in time, the status is not 200, or too many
            documents are being fetched already.
    """
    _, host, _ = _parts_of(url)
    with _places.taken(host):
        answer = _request(settings, "GET", url, None, {"Accept": accept}, most)
    if answer.status != 200:
        raise OutgoingError(f"it answered {answer.status}")
    return answer


def _request(
    settings: Settings, method: str, url: str, body: str | None, headers: Mapping[str, str], most: int
) -> Answer:
    target, host, port = _parts_of(url)
    if target.scheme not in ("https", "http") or not host:
        raise OutgoingError("it is no web address")
    if target.scheme == "http" and not is_loopback(host):
        raise OutgoingError("only https is called")
    with turns.aside():  # whoever runs a name's server decides how long that takes
        addresses = _judged_addresses(settings, host, port)
    path = (target.path or "/") + (f"?{target.query}" if target.query else "")
    connection = _Connection(settings, host, port, addresses, is_tls=target.scheme == "https")
    # Each step has its own time limit, but a server that drips would make any number of steps.
    guillotine = threading.Timer(patience.left(WHOLE_TIMEOUT), connection.cut)
    guillotine.daemon = True
    _start(guillotine)
    try:
        with turns.aside():
            connection.request(method, path, body, {**headers, "User-Agent": "streamlit-idp"})
            with connection.getresponse() as response:
                content = _read(response, most)
        if connection.is_cut:  # an answer that does not say its length would seem to be at its end
            raise OutgoingError("it takes too long")
        return Answer(response.status, response.headers.get_content_type(), content, _good_for(response.headers))
    except (http.client.HTTPException, OSError, ValueError) as fault:
        name = fault.__class__.__name__
        if connection.is_cut:
            raise OutgoingError("it takes too long") from None
        if isinstance(fault, http.client.HTTPException):  # its text repeats what the other side said
            raise OutgoingError(f"it speaks no HTTP that is understood here ({name})") from None
        raise OutgoingError(f"{name}: {fault}"[:200]) from None
    finally:
        guillotine.cancel()
        connection.close()


def _parts_of(url: str) -> tuple[SplitResult, str, int]:
    """Return a URL's parts, its host, and the port that it means."""
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80)
    except ValueError:
        raise OutgoingError("it is no web address") from None
    return parts, host, port


class _Places:
    """Who is being asked for a document at the moment."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()
        self._lock = threading.Lock()

    @contextlib.contextmanager
    def taken(self, host: str) -> Iterator[None]:
        """Take a place for the block, or refuse: who waits for a place would hold a thread as well."""
        with self._lock:
            if self._taken.total() >= FETCHES_MOST or self._taken[host] >= FETCHES_OF_HOST_MOST:
                raise OutgoingError("too many documents are being fetched already")
            self._taken[host] += 1
        try:
            yield
        finally:
            with self._lock:
                self._taken[host] -= 1
                self._taken += Counter()  # forgets hosts that nobody asks any more


_places = _Places()


def _resolve(host: str, port: int) -> set[str]:
    """Return a name's addresses. The system does not say when it gives up: it is left to itself when the time is over.

    Raises:
        OutgoingError: it has none, is no name at all, or takes too long; or there is nobody to look it up.
    """
    found: Future[set[str]] = Future()

    def look_up() -> None:
        try:
            found.set_result({str(entry[4][0]) for entry in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)})
        except BaseException as fault:
            found.set_exception(fault)

    _start(threading.Thread(target=look_up, name="look-up", daemon=True))
    try:
        return found.result(patience.left(WHOLE_TIMEOUT))
    except TimeoutError:
        raise OutgoingError("its name takes too long to resolve") from None
    except OSError as fault:
        raise OutgoingError(f"the name cannot be resolved ({fault.strerror})") from None
    except UnicodeError:  # a part of it is empty, or has more than 63 characters
        raise OutgoingError("the name cannot be resolved (no name is like that)") from None


def _start(thread: threading.Thread) -> None:
    """Start a thread. The system may have none left: that is a fault of this call only.

    Raises:
        OutgoingError: it has none.
    """
    try:
        thread.start()
    except RuntimeError:
        raise OutgoingError("no thread can be had for it now") from None


def _judged_addresses(settings: Settings, host: str, port: int) -> Sequence[str]:
    """Resolve a name; one address that may not be called makes the whole name suspect."""
    found = _resolve(host, port)
    for each in found:
        address = ip_address(each.partition("%")[0])
        is_own_machine = _really(address).is_loopback and settings.is_loopback
        if not (_is_public(address) or is_own_machine or settings.private_addresses == "allowed"):
            raise OutgoingError("it leads into a private network (see the setting private_addresses)")
    return sorted(found, key=lambda each: (":" in each, each))[:ADDRESSES_MOST]


def _really(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """Return the IPv4 address that an IPv6 address stands for: mapped, compatible, 6to4 or NAT64; or itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if any(address in network for network in _HOLDING_IPV4):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    """Tell whether an address belongs to nobody's inside; what is unclear does not count as public."""
    inner = _really(address)
    if inner.is_multicast or inner.is_reserved or getattr(inner, "is_site_local", False):
        return False
    return inner.is_global and not any(inner in network for network in _SPECIAL)


def _good_for(headers: http.client.HTTPMessage) -> int | None:
    """Return for how many seconds an answer is fresh, less those that it lay somewhere on the way."""
    told = ",".join(headers.get_all("Cache-Control", ())).lower()
    said = parse_cache_control_header(told, cls=ResponseCacheControl)
    if said.no_store or said.no_cache:
        return 0
    age = headers.get("Age", "")
    return said.max_age and max(0, said.max_age - (int(age) if age.isascii() and age.isdigit() else 0))


def _read(response: http.client.HTTPResponse, most: int) -> bytes:
    body = b""
    while chunk := response.read1(8_192):
        body += chunk
        if len(body) > most:
            raise OutgoingError("the answer is too long")
    return body


class _Connection(http.client.HTTPConnection):
    """A connection to one of the addresses that were judged, under the name that was asked for."""

    def __init__(self, settings: Settings, host: str, port: int, addresses: Sequence[str], *, is_tls: bool) -> None:
        super().__init__(host, port, timeout=STEP_TIMEOUT)
        self.default_port = 443 if is_tls else 80  # the library names any other in `Host`, which proxies may not know
        self._settings = settings
        self._addresses = addresses
        self._is_tls = is_tls
        self._raw: socket.socket | None = None
        self.is_cut = False

    def connect(self) -> None:
        """Connect to the first address that answers, and check the certificate against the name.

        Raises:
            OSError: none does, it is not to be trusted, or there is no file that says whom to trust.
            OutgoingError: the time was over meanwhile, when there was nothing to cut.
        """
        self.sock = self._raw = self._reach()
        if self._is_tls:
            trusted = ssl.create_default_context(cafile=self._settings.outgoing_ca_file or None)
            self.sock = trusted.wrap_socket(self.sock, server_hostname=self.host)
        if self.is_cut:
            raise OutgoingError("it takes too long")

    def _reach(self) -> socket.socket:
        *others, last = self._addresses
        for address in others:
            with contextlib.suppress(OSError):
                return socket.create_connection((address, self.port), patience.left(STEP_TIMEOUT))
            if self.is_cut:
                raise OutgoingError("it takes too long")
        return socket.create_connection((last, self.port), patience.left(STEP_TIMEOUT))

    def cut(self) -> None:
        """End it from outside: whoever waits for an answer gets an error at once."""
        self.is_cut = True
        for each in (self.sock, self._raw):
            if each is not None:
                with contextlib.suppress(OSError):
                    each.shutdown(socket.SHUT_RDWR)
