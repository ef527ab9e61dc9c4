"""Mails as they travel: nothing that anybody typed in becomes a header or another recipient."""

from email import message_from_bytes, policy
from email.message import EmailMessage

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from idp.mail.envelope import Envelope, compose
from idp.mail.outbox import check_recipient
from idp.settings import Settings

SETTINGS = Settings(
    smtp_host="mail.example.org", mail_from="login@example.org", brand_name='Tea "House", Grüße, آی\u200cتی'
)
ENCODED = "=?utf-8?q?a=0d=0aBcc=3a=20eve=40example.org=0d=0a=0d=0aHi?="  # RFC 2047: Python decodes what it writes
HEADERS = {
    "From",
    "To",
    "Subject",
    "Date",
    "Message-ID",
    "Auto-Submitted",
    "X-Auto-Response-Suppress",
    "MIME-Version",
    "Content-Type",
}


def make(recipient: str = "ada@example.org", subject: str = "Hi", text: str = "Hi", html: str = "Hi") -> Envelope:
    """Put a mail into its envelope."""
    return compose(SETTINGS, mail_id="0" * 32, recipient=recipient, subject=subject, text=text, html=html, created_at=1)


def read(envelope: Envelope) -> EmailMessage:
    """Read a mail as its receiver does."""
    mail = message_from_bytes(envelope.content, policy=policy.default)
    assert isinstance(mail, EmailMessage)
    return mail


@pytest.mark.parametrize(
    "recipient",
    [
        "ada@example.org\r\nBcc: eve@example.org",
        "ada@example.org\nX: y",
        "ada@example.org, eve@example.org",
        "ada@example.org;eve@example.org",
        "Ada <ada@example.org>",
        "ada\x00@example.org",
        "ada\u2028@example.org",
        "ada",
        "@example.org",
        "ada@",
        "",
        "a" * 250 + "@b.cc",
        "ada\ud800@example.org",
        f"{ENCODED}@example.org",
        "=?utf-8?b?ZXZlQGV4YW1wbGUub3Jn?=@example.org",
    ],
)
def test_what_is_no_address_is_refused(recipient: str) -> None:
    with pytest.raises(ValueError, match="recipient"):
        make(recipient)


@pytest.mark.parametrize(
    "subject", ["Hi\r\nBcc: eve@example.org", "Hi\nBcc: x", "Hi\rX: y", "a\x00b", "a\u2029b", ENCODED]
)
def test_a_subject_is_one_line(subject: str) -> None:
    with pytest.raises(ValueError, match="one line"):
        make(subject=subject)


def test_the_sender_is_named_after_the_brand() -> None:
    mail = read(make())
    [sender] = mail["From"].addresses
    assert (sender.display_name, sender.addr_spec) == (SETTINGS.brand_name, "login@example.org")
    assert make().sender == "login@example.org"


@settings(deadline=None)
@given(
    st.emails() | st.builds("{}@{}".format, st.text(min_size=1, max_size=30), st.just("bücher.example")),
    st.text(max_size=150),
    st.text(max_size=300),
)
def test_whatever_is_mailed_to_whomever(recipient: str, subject: str, text: str) -> None:
    assume(not any(0xD800 <= ord(c) <= 0xDFFF for c in text))
    try:
        envelope = make(recipient, subject, text)
    except ValueError:
        assert _is_refused(recipient) or any(not c.isprintable() for c in subject) or "=?" in subject
        return
    mail = read(envelope)
    assert set(mail.keys()) == HEADERS
    assert [len(mail.get_all(name, [])) for name in HEADERS] == [1] * len(HEADERS)
    assert len(mail["To"].addresses) == 1
    assert str(mail["Subject"]).split() == subject.split()
    parts = [part.get_content_type() for part in mail.iter_parts()]
    assert parts == ["text/plain", "text/html"]
    body = mail.get_body(("plain",))
    assert body is not None
    assert body.get_content().rstrip().splitlines() == text.rstrip().splitlines()


def _is_refused(recipient: str) -> bool:
    try:
        check_recipient(recipient)
    except ValueError:
        return True
    return False


@pytest.mark.parametrize("length", [60, 200, 1_500])
def test_a_long_link_comes_out_in_one_piece(length: int) -> None:
    link = "https://login.example.org/r?t=" + "x" * length
    envelope = make(text=f"Press:\n{link}\n", html=f'<a href="{link}">{link}</a>')
    for part in read(envelope).iter_parts():
        assert link in part.get_content()
    assert max(len(line) for line in envelope.content.splitlines()) < 998
