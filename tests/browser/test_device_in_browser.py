"""Connecting a device, and an app with everything that it says of itself, in a real browser."""

import json
import struct
import urllib.request
import zlib
from collections.abc import Callable
from urllib.parse import urlencode

import pytest
from playwright.sync_api import BrowserContext
from sqlalchemy.orm import Session

from idp import clock
from idp.models import ClientLogo, User
from idp.oidc.clients import DEVICE_CODE_GRANT, ClientMetadata
from tests.browser.looking import WINDOWS, check, open_page, sign_in, wait_for_focus

pytestmark = pytest.mark.browser

MakeClient = Callable[..., tuple[ClientMetadata, str]]
OpenContext = Callable[..., BrowserContext]


def picture(size: int = 64) -> bytes:
    """Return a small PNG: a blue square."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    rows = b"".join(b"\x00" + b"\x20\x60\xc0" * size for _ in range(size))
    header = chunk(b"IHDR", struct.pack(">IIBBBBB", size, size, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


@pytest.fixture
def with_logo(db: Session) -> Callable[[ClientMetadata], None]:
    """Let the worker have fetched an app's logo."""

    def store(client: ClientMetadata) -> None:
        logo = ClientLogo(
            client_id=client.client_id,
            logo_uri=client.logo_uri,
            content_type="image/png",
            content=picture(),
            fetched_at=clock.now(),
        )
        db.add(logo)
        db.commit()

    return store


@pytest.mark.parametrize("window", WINDOWS)
def test_a_device_is_connected(
    live_server: str,
    open_context: OpenContext,
    make_user: Callable[..., User],
    make_client: MakeClient,
    with_logo: Callable[[ClientMetadata], None],
    window: str,
) -> None:
    make_user()
    television, _ = make_client(
        client_name="Television in the sitting room",
        grant_types=(DEVICE_CODE_GRANT, "refresh_token"),
        response_types=(),
        redirect_uris=(),
        token_endpoint_auth_method="none",
        client_uri="https://tv.example.org/",
        policy_uri="https://tv.example.org/privacy",
        tos_uri="https://tv.example.org/terms",
        logo_uri="https://tv.example.org/logo.png",
    )
    with_logo(television)
    form = urlencode({"client_id": television.client_id, "scope": "openid profile email offline_access"}).encode()
    with urllib.request.urlopen(live_server + "/oauth/device_authorization", form) as answer:
        code = json.loads(answer.read())["user_code"]

    page = open_page(open_context, window)
    page.goto(live_server + "/device")
    wait_for_focus(page, "user_code")
    check(page, "device code")
    page.fill("#user_code", "aaaa")
    page.press("#user_code", "Enter")
    check(page, "device code refused")
    page.fill("#user_code", code.lower().replace("-", " "))
    page.press("#user_code", "Enter")
    sign_in(page)
    page.wait_for_selector("#device-allow")
    page.wait_for_load_state()
    assert page.evaluate("document.querySelector('.mark').naturalWidth") == 64
    check(page, "device confirm")
    page.click("#device-allow")
    page.wait_for_selector("#device-allowed")
    check(page, "device connected")


@pytest.mark.parametrize("window", WINDOWS)
def test_an_app_says_who_it_is(
    live_server: str,
    callback: str,
    open_context: OpenContext,
    make_user: Callable[..., User],
    make_client: MakeClient,
    with_logo: Callable[[ClientMetadata], None],
    window: str,
) -> None:
    make_user()
    app, _ = make_client(
        client_name="Weather and tides",
        is_trusted=False,
        redirect_uris=(callback,),
        client_uri="https://weather.example.org/",
        policy_uri="https://weather.example.org/privacy",
        tos_uri="https://weather.example.org/terms",
        logo_uri="https://weather.example.org/logo.png",
    )
    with_logo(app)
    asked = {
        "client_id": app.client_id,
        "redirect_uri": callback,
        "response_type": "code",
        "scope": "openid profile email offline_access",
        "prompt": "consent",
    }
    page = open_page(open_context, window)
    page.goto(f"{live_server}/oauth/authorize?{urlencode(asked)}")
    assert page.evaluate("document.querySelector('.mark').naturalWidth") == 64
    check(page, "sign in for an app with a logo")
    sign_in(page)
    page.wait_for_selector("#consent-allow")
    check(page, "consent with a logo")
    others = [each for each in page.evaluate("performance.getEntries().map(e => e.name)") if each.startswith("http")]
    assert [each for each in others if not each.startswith(live_server)] == []
    page.click("#consent-allow")
    page.wait_for_url(f"{callback}?code=*")
    page.goto(f"{live_server}/oauth/authorize?{urlencode({**asked, 'redirect_uri': callback + '/'})}")
    check(page, "an app's mistake and the way back")
    assert page.get_attribute("#error-back", "href") == "https://weather.example.org/"
