"""SMTP itself: encryption is demanded and certificates are verified, or nothing is sent."""

import ssl
from collections.abc import Callable

import pytest

from idp.mail import smtp
from idp.mail.envelope import Envelope, compose
from idp.mail.smtp import SmtpTransport
from idp.mail.transport import NotEver, NotNow, Unreachable
from idp.settings import Settings
from tests.mail.conftest import HOST, PASSWORD, USERNAME, Certificate, Manners, authenticate

Serve = Callable[..., int]
BySmtp = Callable[..., Settings]
LOGIN = {"smtp_username": USERNAME, "smtp_password": PASSWORD}


def envelope_for(settings: Settings, recipient: str = "ada@example.org") -> Envelope:
    """Return a small mail."""
    return compose(
        settings, mail_id="1" * 32, recipient=recipient, subject="Hi", text="Hi", html="<p>Hi</p>", created_at=0
    )


def send(settings: Settings, recipient: str = "ada@example.org") -> None:
    """Send a small mail."""
    transport = SmtpTransport(settings)
    try:
        transport.open()
        transport.hand_over(envelope_for(settings, recipient), "")
    finally:
        transport.close()


def test_tls_from_the_first_byte(serve: Serve, by_smtp: BySmtp, manners: Manners, certificate: Certificate) -> None:
    port = serve(tls=certificate.context)
    send(by_smtp(port, smtp_security="tls", smtp_ca_file=str(certificate.file)))
    assert manners.recipients() == ["ada@example.org"]


def test_tls_where_the_server_does_not_begin_with_it(serve: Serve, by_smtp: BySmtp, certificate: Certificate) -> None:
    """The two ways of encryption are mistaken for each other: the library's own words help nobody."""
    port = serve(tls_context=certificate.context, require_starttls=True)
    with pytest.raises(Unreachable, match="the mail server does not begin with TLS there"):
        send(by_smtp(port, smtp_security="tls", smtp_ca_file=str(certificate.file)))


def test_starttls_and_sign_in(serve: Serve, by_smtp: BySmtp, manners: Manners, certificate: Certificate) -> None:
    port = serve(tls_context=certificate.context, require_starttls=True, authenticator=authenticate, auth_required=True)
    send(by_smtp(port, smtp_security="starttls", smtp_ca_file=str(certificate.file), **LOGIN))
    assert manners.recipients() == ["ada@example.org"]


@pytest.mark.parametrize("security", ["tls", "starttls"])
def test_a_certificate_that_nobody_vouches_for(
    serve: Serve, by_smtp: BySmtp, manners: Manners, certificate: Certificate, security: str
) -> None:
    options = {"tls": certificate.context} if security == "tls" else {"tls_context": certificate.context}
    with pytest.raises(Unreachable, match="not to be trusted"):
        send(by_smtp(serve(**options), smtp_security=security))
    assert not manners.received


def test_a_certificate_of_somebody_else(
    serve: Serve, by_smtp: BySmtp, make_certificate: Callable[[str], Certificate]
) -> None:
    other = make_certificate("mail.example.net")
    port = serve(tls=other.context)
    with pytest.raises(Unreachable, match="not to be trusted"):
        send(by_smtp(port, smtp_security="tls", smtp_ca_file=str(other.file)))


def test_without_starttls_nothing_is_sent_in_clear(serve: Serve, by_smtp: BySmtp, manners: Manners) -> None:
    port = serve(authenticator=authenticate, auth_require_tls=False)
    with pytest.raises(Unreachable, match="STARTTLS"):
        send(by_smtp(port, smtp_security="starttls", **LOGIN))
    assert not manners.received


def test_a_wrong_password_is_told_without_it(serve: Serve, by_smtp: BySmtp, certificate: Certificate) -> None:
    port = serve(tls_context=certificate.context, authenticator=authenticate, auth_required=True)
    trusting = {"smtp_security": "starttls", "smtp_ca_file": str(certificate.file), "smtp_username": USERNAME}
    with pytest.raises(Unreachable, match="refused the sign-in") as told:
        send(by_smtp(port, **trusting, smtp_password="a wrong one"))
    assert "a wrong one" not in str(told.value)
    with pytest.raises(Unreachable, match="cannot carry"):
        send(by_smtp(port, **trusting, smtp_password="größer"))


def test_a_sign_in_that_the_server_does_not_offer(serve: Serve, by_smtp: BySmtp) -> None:
    with pytest.raises(Unreachable, match="lacks something"):
        send(by_smtp(serve(), **LOGIN))


def test_a_server_that_wants_a_sign_in(serve: Serve, by_smtp: BySmtp, certificate: Certificate) -> None:
    port = serve(tls_context=certificate.context, authenticator=authenticate, auth_required=True)
    with pytest.raises(NotNow, match="530"):
        send(by_smtp(port, smtp_security="starttls", smtp_ca_file=str(certificate.file)))


def test_a_name_that_nobody_knows(by_smtp: BySmtp) -> None:
    with pytest.raises(Unreachable):
        send(by_smtp(25, smtp_host="no such host"))


def test_an_address_beyond_ascii(serve: Serve, by_smtp: BySmtp, manners: Manners) -> None:
    send(by_smtp(serve()), "grüße@bücher.example")
    assert manners.recipients() == ["grüße@xn--bcher-kva.example"]
    with pytest.raises(NotEver, match="SMTPUTF8"):
        send(by_smtp(serve(enable_SMTPUTF8=False)), "grüße@bücher.example")
    send(by_smtp(serve(enable_SMTPUTF8=False)), "ada@bücher.example")


def test_certificates_are_verified_by_default() -> None:
    trust = smtp.trust_of(Settings())
    assert trust.verify_mode is ssl.CERT_REQUIRED
    assert trust.check_hostname
    # Some systems leave it to OpenSSL, whose third version has nothing older above security level 0.
    assert trust.minimum_version >= ssl.TLSVersion.TLSv1_2 or trust.security_level > 0


def test_a_file_of_certificates_that_holds_none(by_smtp: BySmtp, serve: Serve, tmp_path: object) -> None:
    with pytest.raises(Unreachable):
        send(by_smtp(serve(), smtp_host=HOST, smtp_security="tls", smtp_ca_file=__file__))
