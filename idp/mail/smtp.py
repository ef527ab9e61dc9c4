"""Mail by SMTP (RFC 5321): encryption that is demanded, not just tried, and answers sorted by what they ask for."""

import contextlib
import smtplib
import ssl
from urllib.parse import urlsplit

from idp.mail.envelope import Envelope
from idp.mail.transport import NotEver, NotNow, Unreachable
from idp.settings import SMTP_PORTS, Settings

MANY = 50  # mails a connection: many servers refuse a hundred
_STEPS = 6  # answers that one mail waits for, at most: RSET, MAIL, RCPT, DATA, the content, RSET


class SmtpTransport:
    """One connection for a batch.

    Args:
        settings: say which server, and how to speak to it.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._connection: smtplib.SMTP | None = None
        self._handed_over = 0

    @property
    def is_open(self) -> bool:
        """Whether there is a connection that takes one more mail."""
        return self._connection is not None and self._connection.sock is not None and self._handed_over < MANY

    def open(self) -> None:
        """Connect, encrypt, sign in.

        Raises:
            Unreachable: one of these failed. Nothing was sent in clear that must not be.
        """
        self.close()
        try:
            self._connection = self._connect()
            self._handed_over = 0
            if self._settings.smtp_username:
                self._connection.login(self._settings.smtp_username, self._settings.smtp_password)
        except (OSError, smtplib.SMTPException, ValueError) as fault:
            self.close()
            raise Unreachable(_reason(fault)) from None

    def hand_over(self, envelope: Envelope, name: str) -> None:  # noqa: ARG002 - a server gives mails no names
        """Hand a mail over.

        Raises:
            NotNow: the server put it off, or does not like our sender, which the operator can mend.
            NotEver: the server refused recipient or content for good.
            Unreachable: the connection broke.
        """
        assert self._connection is not None
        self._handed_over += 1
        options = ["SMTPUTF8", "BODY=8BITMIME"] if envelope.is_international else []
        try:
            self._connection.sendmail(envelope.sender, [envelope.recipient], envelope.content, options)
        except smtplib.SMTPRecipientsRefused as refusal:
            code, answer = next(iter(refusal.recipients.values()))
            raise (NotEver if code >= 500 else NotNow)(_answer(code, answer)) from None
        except smtplib.SMTPDataError as refusal:
            kind = NotEver if refusal.smtp_code >= 500 else NotNow
            raise kind(_answer(refusal.smtp_code, refusal.smtp_error)) from None
        except smtplib.SMTPNotSupportedError:
            raise NotEver("the mail server does not speak SMTPUTF8, which this address needs") from None
        except smtplib.SMTPResponseException as refusal:
            raise NotNow(_answer(refusal.smtp_code, refusal.smtp_error)) from None
        except (OSError, smtplib.SMTPException) as fault:
            self._drop()
            raise Unreachable(_reason(fault)) from None

    def close(self) -> None:
        """Say goodbye; a server that is gone already need not answer."""
        if self._connection is not None and self._connection.sock is not None:
            with contextlib.suppress(OSError, smtplib.SMTPException):
                self._connection.quit()
        self._drop()

    def _drop(self) -> None:
        if self._connection is not None:
            self._connection.close()
        self._connection = None

    def _connect(self) -> smtplib.SMTP:
        in_force = self._settings
        host, port = in_force.smtp_host, port_of(in_force)
        # By itself the library would ask the resolver who we are, which may take long and tells little.
        ourselves = urlsplit(in_force.issuer).hostname or "localhost"
        if in_force.smtp_security == "tls":
            return smtplib.SMTP_SSL(host, port, ourselves, timeout=in_force.smtp_timeout, context=trust_of(in_force))
        connection = smtplib.SMTP(host, port, ourselves, timeout=in_force.smtp_timeout)
        try:
            if in_force.smtp_security == "starttls":
                connection.starttls(context=trust_of(in_force))
            connection.ehlo_or_helo_if_needed()
        except BaseException:
            connection.close()
            raise
        return connection


def port_of(settings: Settings) -> int:
    """Return the mail server's port: the one that was set, or the usual one."""
    return settings.smtp_port or SMTP_PORTS[settings.smtp_security]


def longest_step(settings: Settings) -> int:
    """Return how many seconds one mail can take at most, and some to spare."""
    return _STEPS * settings.smtp_timeout + 30


def trust_of(settings: Settings) -> ssl.SSLContext:
    """Return whom to believe to be the mail server: certificate and host name are always verified.

    Raises:
        OSError: the file of certificates cannot be read, or holds none.
    """
    return ssl.create_default_context(cafile=settings.smtp_ca_file or None)


def _answer(code: int, answer: bytes | str) -> str:
    said = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return f"{code} {said}"


def _reason(fault: Exception) -> str:
    """Say what went wrong in few words; no password is ever in them."""
    if isinstance(fault, smtplib.SMTPAuthenticationError):
        return f"the mail server refused the sign-in: {_answer(fault.smtp_code, fault.smtp_error)}"
    if isinstance(fault, smtplib.SMTPNotSupportedError):
        return f"the mail server lacks something that the settings demand: {fault}"
    if isinstance(fault, smtplib.SMTPResponseException):
        return _answer(fault.smtp_code, fault.smtp_error)
    if isinstance(fault, ssl.SSLCertVerificationError):
        return f"the mail server's certificate is not to be trusted: {fault.verify_message}"
    # The first is how OpenSSL before 3.2 puts it.
    if isinstance(fault, ssl.SSLError) and fault.reason in ("WRONG_VERSION_NUMBER", "RECORD_LAYER_FAILURE"):
        return "the mail server does not begin with TLS there"
    if isinstance(fault, TimeoutError) or str(fault).endswith("timed out"):  # the library hides it in another error
        return "the mail server took too long to answer"
    if isinstance(fault, UnicodeError):
        return "the mail server's name, or the name or password for it, holds characters that SMTP cannot carry"
    return str(getattr(fault, "strerror", None) or fault) or type(fault).__name__
