"""A real mail server for the tests, which can be told to misbehave."""

import asyncio
import ssl
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes, policy
from email.message import EmailMessage
from functools import partial
from ipaddress import ip_address
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from sqlalchemy import Engine
from sqlalchemy.orm import Session as DatabaseSession

from idp.mail import messages, outbox
from idp.settings import Settings

HOST = "127.0.0.1"
USERNAME, PASSWORD = "provider", "hush, mail server"  # gitleaks:allow


@dataclass
class Manners:
    """How the server behaves.

    Attributes:
        refused: recipients and what they are answered.
        answer: what every content is answered.
        hangs_up: ends the connection `in the middle` of DATA, or `before its answer`; empty: not at all.
        wait: seconds before it takes a mail; `quick` of them it takes at once.
        received: everything that it took.
        in_hand: set once it has a mail in its hands that it does not take at once.
        connections: how many were made.
    """

    refused: dict[str, str] = field(default_factory=dict)
    answer: str = "250 Thank you"
    hangs_up: str = ""
    wait: float = 0
    quick: int = 0
    received: list[tuple[str, EmailMessage]] = field(default_factory=list)
    in_hand: threading.Event = field(default_factory=threading.Event)
    connections: int = 0

    def recipients(self) -> list[str]:
        """Return who got mail, in order."""
        return [recipient for recipient, _ in self.received]

    async def handle_EHLO(  # noqa: N802 - the library's name
        self, _server: SMTP, session: Session, _envelope: Envelope, hostname: str, responses: list[str]
    ) -> list[str]:
        """Count connections, and greet."""
        self.connections += 1
        session.host_name = hostname
        return responses

    async def handle_RCPT(  # noqa: N802
        self, _server: SMTP, _session: Session, envelope: Envelope, address: str, _options: list[str]
    ) -> str:
        """Take or refuse a recipient."""
        if address in self.refused:
            return self.refused[address]
        envelope.rcpt_tos.append(address)
        return "250 Fine"

    async def handle_DATA(self, server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802
        """Take a mail."""
        if self.answer.startswith("250"):
            content = envelope.content
            assert isinstance(content, bytes)
            mail = message_from_bytes(content, policy=policy.default)
            assert isinstance(mail, EmailMessage)
            self.received.append((envelope.rcpt_tos[0], mail))
        if len(self.received) > self.quick:
            self.in_hand.set()
        await asyncio.sleep(self.wait if len(self.received) > self.quick else 0)
        if self.hangs_up == "before its answer":
            server.transport.abort()  # type: ignore[union-attr]
        return self.answer


class HangingUp(SMTP):
    """Ends the connection in the middle of DATA, if it is told to."""

    async def smtp_DATA(self, arg: str) -> None:  # noqa: N802
        """Ask for the content, and go."""
        if self.event_handler.hangs_up != "in the middle":
            await super().smtp_DATA(arg)
            return
        await self.push("354 Go on")
        await self._reader.read(200)
        self.transport.abort()  # type: ignore[union-attr]


class Server:
    """A server in a thread, at a free port or at one that is given."""

    def __init__(self, manners: Manners, port: int, tls: ssl.SSLContext | None, options: dict[str, Any]) -> None:
        self._loop = asyncio.new_event_loop()
        make = partial(HangingUp, manners, loop=self._loop, hostname="mail.example.org", **options)
        self._server = self._loop.run_until_complete(self._loop.create_server(make, HOST, port, ssl=tls))
        self.port: int = self._server.sockets[0].getsockname()[1]
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._thread.start()

    def stop(self) -> None:
        """Stop at once: whoever is connected notices."""
        asyncio.run_coroutine_threadsafe(self._end(), self._loop).result(60)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _end(self) -> None:
        self._server.close()
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0.01)


def authenticate(_server: SMTP, _session: Session, _envelope: Envelope, _mechanism: str, given: Any) -> AuthResult:
    """Let in who knows the password."""
    is_right = isinstance(given, LoginPassword) and given == LoginPassword(USERNAME.encode(), PASSWORD.encode())
    return AuthResult(success=is_right, handled=False)


@pytest.fixture
def manners() -> Manners:
    """How the server of this test behaves; change it at any time."""
    return Manners()


@pytest.fixture
def serve(manners: Manners) -> Iterator[Callable[..., int]]:
    """Start servers; each gives its port."""
    running: list[Server] = []

    def start(port: int = 0, tls: ssl.SSLContext | None = None, **options: Any) -> int:
        server = Server(manners, port, tls, {"enable_SMTPUTF8": True, **options})
        running.append(server)
        return server.port

    yield start
    for server in running:
        server.stop()


@pytest.fixture
def by_smtp(settings: Settings) -> Callable[..., Settings]:
    """Return settings for a server on a port, without encryption unless told otherwise."""

    def make(port: int, **more: Any) -> Settings:
        ours = {"smtp_host": HOST, "smtp_port": port, "smtp_security": "none", "smtp_timeout": 60}
        return replace(settings, mail_from="Tea House <login@example.org>", **{**ours, **more})

    return make


@pytest.fixture
def post(engine: Engine, settings: Settings) -> Callable[..., str]:
    """Post a message with a link in it."""

    def post_one(recipient: str = "ada@example.org", link: str = "http://localhost:8000/r?t=secret") -> str:
        message = messages.reset_password(settings, "en", name="Ada", username="ada", link=link, minutes=30)
        with DatabaseSession(engine) as db, db.begin():
            return outbox.post(db, settings, message, recipient)

    return post_one


@pytest.fixture
def invite(engine: Engine, settings: Settings) -> Callable[[str], str]:
    """Post an invitation."""

    def invite_one(recipient: str) -> str:
        message = messages.invitation(settings, "en", link="http://localhost:8000/i?t=secret", days=7)
        with DatabaseSession(engine) as db, db.begin():
            return outbox.post(db, settings, message, recipient)

    return invite_one


@dataclass(frozen=True)
class Certificate:
    """A self-made certificate for this machine.

    Attributes:
        context: for a server.
        file: for a client that is to trust it.
    """

    context: ssl.SSLContext
    file: Path


@pytest.fixture(scope="session")
def make_certificate(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Certificate]:
    """Make certificates."""

    def make(name: str) -> Certificate:
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "A CA of our own")])
        now = datetime.now(UTC)
        names: list[x509.GeneralName] = [x509.DNSName(name)]
        if name == HOST:
            names = [x509.IPAddress(ip_address(name))]
        made = (
            x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=1))
            .add_extension(x509.SubjectAlternativeName(names), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        folder = tmp_path_factory.mktemp("certificate")
        (folder / "certificate.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
        (folder / "key.pem").write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(folder / "certificate.pem", folder / "key.pem")
        return Certificate(context, folder / "certificate.pem")

    return make


@pytest.fixture(scope="session")
def certificate(make_certificate: Callable[[str], Certificate]) -> Certificate:
    """A certificate for the address that the servers listen at."""
    return make_certificate(HOST)
