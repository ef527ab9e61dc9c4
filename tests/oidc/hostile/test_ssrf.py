"""Having the provider call where the attacker cannot (SSRF: RFC 9101 section 10.4, RFC 7591 section 5, OWASP).

By whatever an app may register that the provider itself calls: `jwks_uri`, `request_uris`, `sector_identifier_uri`,
`backchannel_logout_uri`. One function makes all these calls (`idp.oidc.outgoing`); each way to it is tried here.
"""

import gzip
import json
import socket
import ssl
import subprocess
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from joserfc.jwk import ECKey

from idp import patience, turns
from idp.errors import InvalidInputError
from idp.oidc import client_keys, outgoing
from idp.oidc.client_admission import admit_client
from idp.oidc.client_keys import ClientKeys
from idp.oidc.client_rules import check_metadata
from idp.oidc.outgoing import OutgoingError, fetch, post_form
from idp.oidc.presented_jwts import JwtRefused
from tests.oidc.hostile.conftest import raw_server
from tests.oidc.registering import ask_to_register
from tests.relying_party import ASSERTION_TYPE, error_of
from tests.waiting import until

KEY = ECKey.generate_key("P-256", {"kid": "k"})

# An address of somebody's inside in every notation that a resolver or a URL reader understands.
INSIDE = (
    *("127.0.0.1", "2130706433", "0177.0.0.1", "0x7f.1", "0x7f000001", "127.1", "017700000001", "0", "0.0.0.0"),
    *("10.0.0.1", "172.16.0.1", "192.168.0.1", "100.64.0.1", "169.254.169.254", "2852039166", "0xa9fea9fe"),
    *("100.100.100.200", "168.63.129.16", "192.0.0.192", "198.18.0.1", "224.0.0.1", "240.0.0.1", "255.255.255.255"),
    *("[::1]", "[::]", "[::ffff:127.0.0.1]", "[::ffff:a9fe:a9fe]", "[::ffff:0:127.0.0.1]", "[::127.0.0.1]"),
    *("[64:ff9b::7f00:1]", "[64:ff9b::a9fe:a9fe]", "[64:ff9b:1::a00:1]", "[2002:7f00:1::]", "[2002:a9fe:a9fe::1]"),
    *("[2001:0:7f00:1::]", "[fe80::1]", "[fe80::1%25lo]", "[fc00::1]", "[fd00:ec2::254]", "[fec0::1]", "[ff02::1]"),
)


def outcome(call) -> str:
    """Return why a call was not made."""
    with pytest.raises(OutgoingError) as caught:
        call()
    return str(caught.value)


@pytest.fixture
def no_connection(monkeypatch):
    """Fail the test if anything is connected to."""
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: pytest.fail("a connection was made"))


# -- Addresses -------------------------------------------------------------------------------


@pytest.mark.parametrize("host", INSIDE)
def test_an_inner_address_in_any_notation_is_not_called(public_settings, no_connection, host):
    """SSRF by notation: decimal, octal, hexadecimal, short, mapped, NAT64, 6to4, Teredo, link-local, cloud metadata."""
    for url in (f"https://{host}/", f"https://{host}:8443/latest/meta-data/", f"http://{host}/"):
        outcome(lambda url=url: fetch(public_settings, url, "*/*"))
        outcome(lambda url=url: post_form(public_settings, url, {}))


@pytest.mark.parametrize(
    "address", [host.strip("[]").partition("%")[0] for host in INSIDE if "." in host or ":" in host]
)
def test_a_name_that_leads_inside_is_not_called(public_settings, no_connection, names, address):
    """SSRF by DNS: a public name with an inner address, alone or beside an innocent one."""
    try:
        socket.inet_pton(socket.AF_INET6 if ":" in address else socket.AF_INET, address)
    except OSError:
        return  # a notation that no resolver answers with
    for answers in ([address], ["93.184.216.34", address], [address, "2606:2800:220:1::1"]):
        names({"app.example.org": answers})
        assert "private network" in outcome(lambda: fetch(public_settings, "https://app.example.org/", "*/*"))


def test_a_name_that_changes_after_the_look_is_called_where_we_looked(public_settings, monkeypatch, names):
    """DNS rebinding: the second answer leads inside. There is no second look: the judged address itself is called."""
    connected = []

    def connect(address, *_args, **_kwargs):
        connected.append(address)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    names({"app.example.org": [["93.184.216.34"], ["127.0.0.1"], ["127.0.0.1"]]})
    outcome(lambda: fetch(public_settings, "https://app.example.org/keys", "*/*"))
    assert connected == [("93.184.216.34", 443)]


@pytest.mark.parametrize("host", ["a..example.org", ".example.org", f"{64 * 'a'}.example.org"])
def test_what_can_be_no_name_is_a_refusal(public_settings, host):
    """Crashes by names: anybody can register these, and the library raises another error than for unknown names."""
    assert "cannot be resolved" in outcome(lambda: post_form(public_settings, f"https://{host}/", {}))


@pytest.fixture
def connected(monkeypatch):
    """The addresses that were called; none of them answers."""
    called = []

    def connect(address, *_args, **_kwargs):
        called.append(address[0])
        raise ConnectionRefusedError

    monkeypatch.setattr(socket, "create_connection", connect)
    return called


def test_where_one_address_is_dead_the_next_one_is_called(public_settings, connected, names):
    names({"app.example.org": ["2606:2800:220:1::1", "93.184.216.34"]})
    assert "ConnectionRefused" in outcome(lambda: fetch(public_settings, "https://app.example.org/keys", "*/*"))
    assert connected == ["93.184.216.34", "2606:2800:220:1::1"]


def test_not_every_address_of_thousands_is_called(public_settings, connected, names):
    """Attacking others by us: whoever runs the name's server lists whom we are to knock at."""
    names({"app.example.org": [f"93.184.{third}.{fourth}" for third in range(20) for fourth in range(100)]})
    outcome(lambda: fetch(public_settings, "https://app.example.org/keys", "*/*"))
    assert len(connected) == outgoing.ADDRESSES_MOST


@pytest.mark.parametrize(
    "url",
    [
        *("file:///etc/passwd", "gopher://127.0.0.1:6379/_x", "ftp://example.org/", "dict://127.0.0.1:11211/"),
        *("data:application/json,{}", "https:///x", "https://", "https://[::1", "https://a:99999/", "//example.org/x"),
        *("http://example.org/", "http://localhost.example.org/", "jar:https://example.org/!/", "unix:/run/x.sock"),
    ],
)
def test_only_https_is_called(public_settings, no_connection, url):
    """SSRF by scheme: what speaks another protocol, or none."""
    outcome(lambda: fetch(public_settings, url, "*/*"))


def test_new_lines_and_spaces_make_no_second_request(settings):
    """Request smuggling by the URL: a path with control characters is not sent."""
    with raw_server(lambda handler: handler.send_error(404)) as (url, asked):
        for path in ("/a\r\nX: y", "/a b", "/a\x00b", "/ä", "/a HTTP/1.1\r\nHost: evil\r\n\r\nGET /b"):
            outcome(lambda path=path: fetch(settings, url + path, "*/*"))
        assert all(each.startswith("GET /a") and "evil" not in each for each in asked)


# -- Every way there --------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "2130706433", "[::ffff:10.0.0.1]", "10.0.0.1"])
def test_sector_identifier_uri_leads_not_inside(public_settings, no_connection, metadata, host):
    """OIDC Registration section 5: the list of a sector is fetched while software registers itself."""
    client = metadata(subject_type="pairwise", sector_identifier_uri=f"https://{host}/sector")
    with pytest.raises(InvalidInputError) as caught:
        admit_client(public_settings, client)
    assert "private network" in str(caught.value.faults["sector_identifier_uri"])


def test_what_stands_inside_is_not_read_out_by_the_answer(public_settings, app_of):
    """SSRF as an oracle: a registration hears no more of an inner address than that it is one, open port or closed."""
    app = app_of(public_settings)
    with raw_server(lambda handler: handler.send_error(404)) as (url, asked):
        port = url.rpartition(":")[2]
        told = set()
        for each in (port, "9"):
            uri = f"https://127.0.0.1:{each}/x"
            response = ask_to_register(app, subject_type="pairwise", sector_identifier_uri=uri)
            told.add(response.json["error_description"])
        assert asked == []
    assert len(told) == 1


@pytest.mark.parametrize("host", ["127.0.0.1", "169.254.169.254", "0x7f.1", "[64:ff9b::a9fe:a9fe]"])
def test_jwks_uri_leads_not_inside(public_settings, no_connection, metadata, host):
    """RFC 7523 with a hostile `jwks_uri`: any unauthenticated request could make us ask there."""
    client = metadata(jwks_uri=f"https://{host}/jwks", token_endpoint_auth_method="private_key_jwt")
    with pytest.raises(JwtRefused, match="private network"):
        ClientKeys(public_settings).public_keys(None, client)


def test_request_uri_that_is_not_registered_is_not_called(target, no_connection):
    """RFC 9101 section 10.4.1: the browser brings a `request_uri`; only what the app registered is fetched."""
    for uri in (
        "https://127.0.0.1/x",
        "https://evil.example.net/x",
        "http://localhost:1/",
        "https://app.example.org/x",
    ):
        assert target.ask(request_uri=uri).error == "invalid_request_uri"


def test_request_uri_is_compared_to_the_letter(relying_party, ada, no_connection):
    """RFC 9101 section 10.4.1: a registered address is no pattern."""
    uri = "https://app.example.org/requests/1"
    rp = relying_party(request_uris=(uri,), may_send_unsigned_request_objects=True)
    for asked in (
        *(uri + "/", uri + "?x", uri + "/../../2", "https://app.example.org/requests/2", uri.replace("app", "APP")),
        *("https://app.example.org:443/requests/1", "https://app.example.org@evil.example.net/requests/1", uri + "%2e"),
    ):
        assert rp.ask(request_uri=asked).error == "invalid_request_uri", asked


@pytest.mark.parametrize("field", ["jwks_uri", "request_uris", "sector_identifier_uri", "backchannel_logout_uri"])
@pytest.mark.parametrize(
    "uri",
    [
        *("http://example.org/x", "file:///etc/passwd", "https://user:password@example.org/", "ftp://example.org/"),
        *("https://example.org\\@127.0.0.1/", "https://exa mple.org/", "https://example.org/\r\nX: y", "javascript:1"),
        *("https://ex\u0430mple.org/", "https:///x", "https://[::1", "https://example.org:x/", "example.org/x"),
    ],
)
def test_hostile_addresses_cannot_be_registered(metadata, field, uri):
    """Two readers of one URL (OWASP SSRF): what could be read in two ways is not registered at all."""
    given = (uri,) if field == "request_uris" else uri
    with pytest.raises(InvalidInputError) as caught:
        check_metadata(metadata(**{field: given}))
    assert field in caught.value.faults


# -- What the other side does -------------------------------------------------------------------


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_leads_nowhere(settings, status):
    """SSRF by redirect: a public host sends us on to an inner one."""

    def redirect(handler):
        handler.send_response(status)
        handler.send_header("Location", "/inside")
        handler.send_header("Content-Length", "0")
        handler.end_headers()

    with raw_server(redirect) as (url, asked):
        assert outcome(lambda: fetch(settings, url + "/keys", "*/*")) == f"it answered {status}"
        assert post_form(settings, url + "/logout", {}).status == status
        assert asked == ["GET /keys", "POST /logout"]


def test_a_huge_answer_is_cut(settings):
    """Memory: a body without end, with and without a length, and one that lies about it."""

    def flood(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n")
        for _ in range(10_000):
            handler.wfile.write(b"x" * 65_536)

    def lie(handler):
        handler.wfile.write(b"HTTP/1.0 200 OK\r\nContent-Length: 999999999999\r\n\r\n" + b"x" * 100_000)

    for behaviour in (flood, lie):
        with raw_server(behaviour) as (url, _):
            assert outcome(lambda url=url: fetch(settings, url, "*/*")) == "the answer is too long"


def test_a_compressed_bomb_is_not_unpacked(settings):
    """Decompression bomb: ten megabytes in ten kilobytes stay ten kilobytes, and are no JWK Set."""
    bomb = gzip.compress(b"0" * 10_000_000)

    def drop(handler):
        handler.send_response(200)
        handler.send_header("Content-Encoding", "gzip")
        handler.send_header("Content-Length", str(len(bomb)))
        handler.end_headers()
        handler.wfile.write(bomb)

    with raw_server(drop) as (url, _):
        assert fetch(settings, url, "*/*").body == bomb


@pytest.mark.parametrize("part", ["status", "headers", "continue", "chunks", "silence"])
def test_who_takes_too_long_is_cut_off(settings, monkeypatch, part):
    """Slow answers (the guillotine): byte by byte, in whatever part of the answer, each step being in time."""
    monkeypatch.setattr(outgoing, "WHOLE_TIMEOUT", 0.5)
    stop, ended = threading.Event(), threading.Event()

    def crawl(handler):
        pieces = {
            "status": [bytes([each]) for each in b"HTTP/1.1 200 " + b"O" * 500],
            "headers": [b"HTTP/1.1 200 OK\r\n"] + [b"X-A: b\r\n"] * 90,
            "continue": [b"HTTP/1.1 100 Continue\r\n\r\n"] * 500,
            "chunks": [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"] + [b"1\r\nx\r\n"] * 500,
            "silence": [],
        }[part]
        for piece in pieces:
            handler.wfile.write(piece)
            if stop.wait(0.05):
                return
        stop.wait(600)
        ended.set()

    with raw_server(crawl) as (url, _):
        outcome(lambda: fetch(settings, url, "*/*"))
        assert not ended.is_set(), "it was cut off long before it had ended"
        stop.set()


def test_who_is_slow_to_let_us_in_is_cut_off_as_well(settings, monkeypatch):
    """Slow answers whose time ends while there is nothing yet to cut: from then on nobody looked at the clock."""
    monkeypatch.setattr(outgoing, "WHOLE_TIMEOUT", 0.1)
    real, stop = socket.create_connection, threading.Event()

    def connect(*given, **more):
        time.sleep(0.3)
        return real(*given, **more)

    def crawl(handler):
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n\r\n")
        while not stop.wait(0.05):
            handler.wfile.write(b"x")

    monkeypatch.setattr(socket, "create_connection", connect)
    with raw_server(crawl) as (url, _), ThreadPoolExecutor(1) as pool:
        asking = pool.submit(outcome, lambda: fetch(settings, url, "*/*"))
        try:
            assert asking.result(timeout=60) == "it takes too long"
        finally:
            stop.set()


@pytest.mark.parametrize(
    "answer",
    [
        *(b"", b"\x00\xff\xfe", b"SSH-2.0-OpenSSH_9.2\r\n", b"HTTP/9.9 abc\r\n\r\n"),
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 500,
        *(b"HTTP/1.1 200 OK\r\nA: " + b"x" * 100_000, b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\nx"),
        *(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nZZ\r\n", b"HTTP/1.1 204 No Content\r\n\r\n"),
    ],
)  # fmt: skip
def test_what_is_no_http_is_a_refusal(settings, metadata, answer):
    """A host that speaks something else: an error that is ours, and no trace of what it said."""

    def speak(handler):
        handler.wfile.write(answer)

    with raw_server(speak) as (url, _):
        client = metadata(jwks_uri=url + "/keys")
        with pytest.raises(JwtRefused) as caught:
            ClientKeys(settings).public_keys(None, client)
    assert "OpenSSH" not in str(caught.value)


@pytest.mark.parametrize(
    "document",
    [
        *("<html>", "null", "[]", '"x"', "1", '{"keys": null}', '{"keys": {}}', '{"keys": [1]}', '{"keys": [[]]}'),
        *('{"keys": [{"kty": "oct", "k": "c2VjcmV0"}]}', '{"keys": [{"kty": "RSA", "n": "!!", "e": 1}]}'),
        *('{"keys": [{"kty": "RSA", "n": "AQAB", "e": "AQAB", "d": "AQAB"}]}', '{"keys": ' + "[" * 60_000),
        *('{"keys": [{"kty": ["RSA"]}, {}]}', '{"keys": [{"kty": "EC", "crv": "P-256", "x": "AA", "y": "AA"}]}'),
        json.dumps({"keys": [{"kty": "RSA"}] * 500}),
    ],
)  # fmt: skip
def test_hostile_key_sets_are_a_refusal(relying_party, document):
    """A `jwks_uri` with anything but keys (RFC 8725 section 3.1): no key, no entry, no fault of ours."""

    def serve(handler):
        handler.send_response(200)
        handler.send_header("Content-Type", "text/html")
        handler.end_headers()
        handler.wfile.write(document.encode())

    with raw_server(serve) as (url, asked):
        rp = relying_party(key=KEY, jwks_uri=url + "/keys", token_endpoint_auth_method="private_key_jwt",
                           grant_types=("client_credentials",), redirect_uris=())  # fmt: skip
        response = rp.post("token_endpoint", grant_type="client_credentials")
        assert response.status_code == 401
        assert error_of(response) == "invalid_client"
        assert asked == ["GET /keys"]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory):
    """A certificate for another name, and one for our name; nobody signed either but its own key."""
    folder = tmp_path_factory.mktemp("tls")
    made = {}
    for name in ("other.example.org", "localhost"):
        key, certificate = folder / f"{name}.key", folder / f"{name}.pem"
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
             "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", key, "-out", certificate],
            check=True, capture_output=True,
        )  # fmt: skip
        made[name] = (certificate, key)
    return made


@pytest.mark.parametrize(
    ("name", "is_trusted", "is_called"),
    [("localhost", True, True), ("localhost", False, False), ("other.example.org", True, False)],
)
def test_a_wrong_certificate_is_refused(settings, certificates, name, is_trusted, is_called):
    """TLS: another name's certificate, or one that nobody signed: who stands in the network's way serves no keys."""
    certificate, key = certificates[name]
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    trusting = replace(settings, outgoing_ca_file=str(certificate) if is_trusted else "")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(60)

        def serve():
            try:
                with context.wrap_socket(server.accept()[0], server_side=True) as connection:
                    connection.recv(4096)
                    connection.sendall(b"HTTP/1.0 200 OK\r\n\r\n{}")
            except OSError:
                return

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"https://localhost:{server.getsockname()[1]}/"
        if is_called:
            assert fetch(trusting, url, "*/*").body == b"{}"
        else:
            assert "CERTIFICATE_VERIFY_FAILED" in outcome(lambda: fetch(trusting, url, "*/*"))
        thread.join()


@pytest.mark.parametrize(
    ("url", "host"),
    [
        ("https://app.example.org/", "app.example.org"),
        ("https://app.example.org:443/", "app.example.org"),
        ("https://app.example.org:8443/", "app.example.org:8443"),
    ],
)
def test_a_host_is_called_by_its_name_as_browsers_do(public_settings, monkeypatch, names, url, host):
    """A proxy that compares names knows none with the usual port behind it."""
    names({"app.example.org": ["93.184.216.34"]})
    ours, theirs = socket.socketpair()
    monkeypatch.setattr(socket, "create_connection", lambda *_, **__: ours)
    monkeypatch.setattr(ssl.SSLContext, "wrap_socket", lambda _context, plain, **_: plain)
    theirs.sendall(b"HTTP/1.1 204 No Content\r\n\r\n")
    with theirs:
        assert post_form(public_settings, url, {}).status == 204
        assert f"\r\nHost: {host}\r\n".encode() in theirs.recv(4_096)


def test_a_file_of_certificates_that_is_gone_is_a_refusal(settings, tmp_path):
    """While certificates are exchanged, the file may be gone for a moment: that is a fault of this call only."""
    trusting = replace(settings, outgoing_ca_file=str(tmp_path / "gone.pem"))
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        url = f"https://localhost:{listening.getsockname()[1]}/"
        assert "No such file" in outcome(lambda: post_form(trusting, url, {}))


@pytest.mark.parametrize("kind", [threading.Thread, threading.Timer])
def test_where_no_thread_can_be_had_the_call_is_refused(settings, monkeypatch, kind):
    """Exhaustion of the machine: whoever looks the name up and whoever looks at the clock need a thread each."""

    def start(_thread):
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(kind, "start", start)
    assert "no thread" in outcome(lambda: post_form(settings, "http://127.0.0.1:9/", {}))


# -- How much of it there may be ------------------------------------------------------------------


def waiting_server(release):
    """A host that answers nobody until it is told to."""

    def wait(handler):
        release.wait(120)
        handler.send_response(404)
        handler.end_headers()

    return raw_server(wait)


def test_a_slow_host_does_not_take_every_thread(settings):
    """Exhaustion by slow fetches: so many are waited for, the next are refused at once; then there is room again."""
    release = threading.Event()
    with waiting_server(release) as (url, asked), ThreadPoolExecutor(20) as pool:
        held = [pool.submit(fetch, settings, f"{url}/{n}", "*/*") for n in range(outgoing.FETCHES_OF_HOST_MOST)]
        until(lambda: len(asked) == outgoing.FETCHES_OF_HOST_MOST)
        assert "too many" in outcome(lambda: fetch(settings, f"{url}/more", "*/*"))
        release.set()
        assert all("it answered 404" in str(each.exception()) for each in held)
        assert outcome(lambda: fetch(settings, f"{url}/again", "*/*")) == "it answered 404"
        assert "GET /more" not in asked


def test_many_slow_hosts_do_not_take_every_thread_either(settings, monkeypatch):
    """Exhaustion by slow fetches of many hosts: the bound of them all is half of the threads that serve."""
    from idp.serving.server import THREADS

    assert outgoing.FETCHES_MOST <= THREADS // 2
    release = threading.Event()
    with waiting_server(release) as (url, asked), ThreadPoolExecutor(20) as pool:
        port = url.rpartition(":")[2]
        hosts = [f"http://{n}.localhost:{port}/" for n in range(outgoing.FETCHES_MOST)]
        monkeypatch.setattr(outgoing, "_judged_addresses", lambda *_: ["127.0.0.1"])
        held = [pool.submit(fetch, settings, host, "*/*") for host in hosts]
        until(lambda: len(asked) == outgoing.FETCHES_MOST)
        assert "too many" in outcome(lambda: fetch(settings, f"http://other.localhost:{port}/", "*/*"))
        release.set()
        assert all("it answered 404" in str(each.exception()) for each in held)


def test_a_slow_name_server_holds_up_nobody_else(settings, monkeypatch):
    """Exhaustion by DNS: the attacker runs the name's server. While it is waited for, others have their turn."""
    release, began = threading.Event(), threading.Event()

    def resolve(*_, **__):
        began.set()
        release.wait(120)
        raise socket.gaierror(-2, "no such name")

    monkeypatch.setattr(outgoing.socket, "getaddrinfo", resolve)

    def ask():
        with turns.taken():
            return outcome(lambda: fetch(settings, "https://slow.example.org/", "*/*"))

    with ThreadPoolExecutor(2) as pool:
        asking = pool.submit(ask)
        assert began.wait(60)

        def serve():
            with turns.taken():
                return "served"

        assert pool.submit(serve).result(timeout=60) == "served"
        release.set()
        assert "cannot be resolved" in asking.result()


def test_a_name_server_that_is_silent_is_not_waited_for(settings, monkeypatch):
    """Exhaustion by DNS: a request has its answer before whoever sent it gives up."""
    monkeypatch.setattr(patience, "WITHIN", 0.2)
    release = threading.Event()
    monkeypatch.setattr(outgoing.socket, "getaddrinfo", lambda *_, **__: release.wait(120) and [])

    def ask():
        begun = patience.begin()
        try:
            return outcome(lambda: fetch(settings, "https://slow.example.org/", "*/*"))
        finally:
            patience.end(begun)

    with ThreadPoolExecutor(1) as pool:
        asking = pool.submit(ask)
        try:
            assert "too long" in asking.result(timeout=60)
        finally:
            release.set()


def test_keys_that_are_away_are_not_asked_for_by_everyone(relying_party, monkeypatch):
    """A storm of fetches: whoever sends nonsense in an app's name has its host asked once in a while, not each time."""
    with raw_server(lambda handler: handler.send_error(503)) as (url, asked):
        rp = relying_party(key=KEY, jwks_uri=url + "/keys", token_endpoint_auth_method="private_key_jwt",
                           grant_types=("client_credentials",), redirect_uris=())  # fmt: skip
        for _ in range(20):
            assert rp.post("token_endpoint", grant_type="client_credentials").status_code == 401
        assert asked == ["GET /keys"]
        monkeypatch.setattr(client_keys, "REFETCH_AFTER", 0)
        assert rp.post("token_endpoint", grant_type="client_credentials").status_code == 401
        assert asked == ["GET /keys"] * 2


def test_made_up_kids_do_not_have_keys_fetched_anew(relying_party):
    """A storm of fetches by unknown `kid`: one look, however many ids are made up (RFC 8725 section 3.10)."""

    def serve(handler):
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(json.dumps({"keys": [KEY.as_dict(private=False)]}).encode())

    with raw_server(serve) as (url, asked):
        rp = relying_party(key=KEY, jwks_uri=url + "/keys", token_endpoint_auth_method="private_key_jwt",
                           grant_types=("client_credentials",), redirect_uris=())  # fmt: skip
        for number in range(20):
            assertion = rp.assertion(header={"kid": f"made-up-{number}"})
            form = {"client_assertion": assertion, "client_assertion_type": ASSERTION_TYPE}
            response = rp.browser.post("/oauth/token", data={"grant_type": "client_credentials", **form})
            assert response.status_code == 401
        assert rp.post("token_endpoint", grant_type="client_credentials").status_code == 200
        assert len(asked) == 1


def test_of_many_at_once_one_asks_for_keys(settings, metadata):
    """A storm of fetches by many at once: one asks, the others wait for what it hears."""

    def serve(handler):
        time.sleep(0.3)
        handler.send_response(200)
        handler.end_headers()
        handler.wfile.write(json.dumps({"keys": [KEY.as_dict(private=False)]}).encode())

    keys = ClientKeys(settings)
    with raw_server(serve) as (url, asked), ThreadPoolExecutor(8) as pool:
        client = metadata(jwks_uri=url + "/keys")

        def ask(_):
            with turns.taken():  # as a request does: whoever waits for another must not hold its turn
                return keys.public_keys(None, client)

        found = list(pool.map(ask, range(8)))
        assert len(asked) == 1
    assert all(each[0].kid == "k" for each in found)
