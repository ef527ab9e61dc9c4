"""Apps' logos: fetched by the provider and shown from its own address; nothing of another host is on our pages."""

import re
import struct
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import Engine, select, update
from sqlalchemy.orm import Session

from idp.models import Client, ClientLogo, User
from idp.oidc import client_logos
from idp.oidc.client_logos import LOGO_MOST, REFETCH_AFTER, TRY_AGAIN_AFTER
from idp.oidc.pictures import SIDE_MOST, Picture, recognise
from idp.settings import Settings
from tests.at_once import at_once
from tests.conftest import Clock
from tests.document_server import DocumentServer
from tests.relying_party import RelyingParty


def png(width: int, height: int) -> bytes:
    """Return what a PNG begins with."""
    return b"\x89PNG\r\n\x1a\n\x00\x00\x00\rIHDR" + struct.pack(">II", width, height) + b"\x08\x02\x00\x00\x00"


def jpeg(width: int, height: int) -> bytes:
    """Return what a JPEG begins with: a comment, a table, and the beginning of the frame."""
    comment, table = b"\xff\xfe\x00\x05abc", b"\xff\xc4\x00\x04xy"
    return b"\xff\xd8" + comment + table + b"\xff\xc0\x00\x11\x08" + struct.pack(">HH", height, width) + b"\x03"


def gif(width: int, height: int) -> bytes:
    """Return what a GIF begins with."""
    return b"GIF89a" + struct.pack("<HH", width, height) + b"\xf0\x00\x00"


def webp(width: int, height: int, kind: bytes = b"VP8 ") -> bytes:
    """Return what a WebP begins with."""
    head = b"RIFF\x40\x00\x00\x00WEBP" + kind + b"\x20\x00\x00\x00"
    if kind == b"VP8 ":
        return head + b"\x00\x00\x00\x9d\x01\x2a" + struct.pack("<HH", width, height)
    if kind == b"VP8L":
        return head + b"\x2f" + struct.pack("<I", (width - 1) | (height - 1) << 14)
    return head + b"\x00" * 4 + (width - 1).to_bytes(3, "little") + (height - 1).to_bytes(3, "little")


PNG, JPEG, GIF, WEBP = (make(64, 48) for make in (png, jpeg, gif, webp))
SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
Fetch = Callable[[], Mapping[str, int]]


@pytest.fixture
def host() -> Iterator[DocumentServer]:
    """The web server of an app."""
    with DocumentServer() as server:
        yield server


@pytest.fixture
def fetch(engine: Engine, settings: Settings) -> Fetch:
    """One round of the worker; returns what was done."""
    return lambda: {name: count for name, count in client_logos.fetch_due(engine, settings).items() if count}


@pytest.fixture
def weather(relying_party: Callable[..., RelyingParty], host: DocumentServer, make_user: Callable[..., User]) -> Any:
    """An app with a logo."""
    make_user()
    host.put("/logo", PNG, "image/png")
    return relying_party(logo_uri=host.url("/logo"), is_trusted=False)


def logo_on(page: Any) -> str | None:
    """Return the address of the app's logo on a page, or None where a letter stands in."""
    found = re.search(r'<img class="mark [a-z]*" src="([^"]+)" alt="">', page.text)
    return found[1] if found else None


# -- Shown --------------------------------------------------------------------------------


def test_oidcc_registration_logo_uri(weather: RelyingParty, fetch: Fetch) -> None:
    """The sign-in page shows the logo."""
    assert fetch() == {"logo_fetched": 1}
    logo = logo_on(weather.sign_in_page())
    assert logo
    served = weather.browser.get(logo)
    assert served.data == PNG
    assert served.mimetype == "image/png"


def test_consent_shows_it_too(weather: RelyingParty, fetch: Fetch) -> None:
    fetch()
    asked = weather.sign_in(weather.sign_in_page())
    assert 'id="consent-allow"' in asked.text
    assert logo_on(asked)


def test_the_list_of_apps_shows_it_too(weather: RelyingParty, fetch: Fetch) -> None:
    fetch()
    weather.submit(weather.sign_in(weather.sign_in_page()), "consent-allow")
    assert logo_on(weather.browser.get("/account/apps"))


def test_nobody_waits_for_it_and_a_letter_stands_in(weather: RelyingParty, host: DocumentServer) -> None:
    page = weather.sign_in_page()
    assert logo_on(page) is None
    assert '<span class="initial small" aria-hidden="true">W</span>' in page.text
    assert host.asked == [], "no page makes the provider call anybody"


def test_the_page_names_no_other_host_for_pictures(weather: RelyingParty, fetch: Fetch, host: DocumentServer) -> None:
    fetch()
    page = weather.sign_in_page()
    assert host.url("/logo") not in page.text
    assert "img-src 'self'" in page.headers["Content-Security-Policy"]


def test_it_is_served_so_that_it_can_do_nothing(weather: RelyingParty, fetch: Fetch) -> None:
    fetch()
    served = weather.browser.get(logo_on(weather.sign_in_page()) or "")
    assert served.headers["Content-Security-Policy"] == "default-src 'none'; sandbox"
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert served.headers["Cache-Control"] == "public, max-age=86400"
    again = weather.browser.get(
        f"/brand/client/{weather.metadata.client_id}", headers={"If-None-Match": served.headers["ETag"]}
    )
    assert again.status_code == 304


@pytest.mark.parametrize("client_id", ["nobody", "%00", "%ff", "x" * 3_000])
def test_there_is_no_logo_of_others(client: FlaskClient, client_id: str) -> None:
    assert client.get(f"/brand/client/{client_id}").status_code == 404


def test_an_app_without_logo_has_none(relying_party: Callable[..., RelyingParty], fetch: Fetch) -> None:
    app = relying_party()
    assert fetch() == {}
    assert logo_on(app.sign_in_page()) is None
    assert app.browser.get(f"/brand/client/{app.metadata.client_id}").status_code == 404


# -- Checked -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "kind"),
    [(PNG, "image/png"), (JPEG, "image/jpeg"), (GIF, "image/gif"), (WEBP, "image/webp")],
    ids=["png", "jpeg", "gif", "webp"],
)
def test_pictures_are_known_by_their_first_bytes_whatever_they_are_called(
    weather: RelyingParty, host: DocumentServer, fetch: Fetch, content: bytes, kind: str
) -> None:
    host.put("/logo", content, "text/html")
    fetch()
    assert weather.browser.get(logo_on(weather.sign_in_page()) or "").mimetype == kind


@pytest.mark.parametrize(
    "content",
    [
        SVG,
        b"<html><script>alert(1)</script>",
        b"",
        b"RIFF....WAVE",
        b"GIF90a",
        b" " + PNG,
        PNG[:20],
        JPEG[:10],
        b"\xff\xd8\xff\xfe\x00\x00" * 5,
        GIF[:8],
        WEBP[:27],
        WEBP.replace(b"VP8 ", b"VP8?"),
    ],
    ids=[
        "svg",
        "html",
        "nothing",
        "sound",
        "almost-gif",
        "png-behind-a-blank",
        "half-a-png",
        "half-a-jpeg",
        "jpeg-without-a-frame",
        "half-a-gif",
        "half-a-webp",
        "unknown-webp",
    ],
)
def test_what_is_no_harmless_picture_is_not_shown(
    weather: RelyingParty, host: DocumentServer, fetch: Fetch, content: bytes
) -> None:
    host.put("/logo", content, "image/png")
    assert recognise(content) is None
    assert fetch() == {"logo_refused": 1}
    assert logo_on(weather.sign_in_page()) is None
    assert weather.browser.get(f"/brand/client/{weather.metadata.client_id}").status_code == 404


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (png(300, 200), "image/png"),
        (jpeg(300, 200), "image/jpeg"),
        (gif(300, 200), "image/gif"),
        (webp(300, 200), "image/webp"),
        (webp(300, 200, b"VP8L"), "image/webp"),
        (webp(300, 200, b"VP8X"), "image/webp"),
    ],
    ids=["png", "jpeg", "gif", "webp", "webp-lossless", "webp-extended"],
)
def test_the_size_of_a_picture_is_read(content: bytes, kind: str) -> None:
    assert recognise(content) == Picture(kind, 300, 200)


@pytest.mark.parametrize(("width", "height"), [(SIDE_MOST + 1, 16), (16, SIDE_MOST + 1), (60_000, 60_000), (0, 16)])
def test_a_small_file_with_too_many_pixels_is_not_shown(
    weather: RelyingParty, host: DocumentServer, fetch: Fetch, width: int, height: int
) -> None:
    host.put("/logo", png(width, height))
    assert fetch() == {"logo_refused": 1}


def test_one_that_is_too_large_is_not_kept(weather: RelyingParty, host: DocumentServer, fetch: Fetch) -> None:
    host.put("/logo", PNG + b"x" * LOGO_MOST)
    assert fetch() == {"logo_refused": 1}


def test_a_redirect_is_not_followed(weather: RelyingParty, host: DocumentServer, fetch: Fetch) -> None:
    host.put("/elsewhere", PNG)
    host.redirect("/logo", host.url("/elsewhere"))
    assert fetch() == {"logo_refused": 1}
    assert host.asked == ["/logo"]


def test_a_private_network_is_not_called(
    weather: RelyingParty, host: DocumentServer, settings: Settings, engine: Engine
) -> None:
    """SSRF through logo_uri (RFC 7591 section 5): a provider on the internet calls nobody in its own network."""
    public = replace(settings, issuer="https://login.example.org")
    assert client_logos.fetch_due(engine, public)["logo_refused"] == 1
    assert host.asked == []


# -- Fetched ------------------------------------------------------------------------------------------


def test_it_is_fetched_anew_when_old_and_shown_meanwhile(
    weather: RelyingParty, host: DocumentServer, fetch: Fetch, clock: Clock
) -> None:
    fetch()
    assert fetch() == {}
    clock.advance(REFETCH_AFTER + 1)
    host.put("/logo", b"gone wrong")
    assert fetch() == {"logo_refused": 1}
    assert weather.browser.get(logo_on(weather.sign_in_page()) or "").data == PNG, "the old one is better than none"
    clock.advance(REFETCH_AFTER + 1)
    host.put("/logo", GIF)
    assert fetch() == {"logo_fetched": 1}
    assert weather.browser.get(logo_on(weather.sign_in_page()) or "").data == GIF


def test_one_that_failed_is_tried_again_an_hour_later(
    weather: RelyingParty, host: DocumentServer, fetch: Fetch, clock: Clock
) -> None:
    host.put("/logo", SVG)
    fetch()
    host.put("/logo", PNG)
    assert fetch() == {}
    clock.advance(TRY_AGAIN_AFTER + 1)
    assert fetch() == {"logo_fetched": 1}
    assert logo_on(weather.sign_in_page())


def test_another_address_is_fetched_at_once_and_the_old_picture_is_not_shown_for_it(
    weather: RelyingParty, host: DocumentServer, fetch: Fetch, db: Session
) -> None:
    fetch()
    db.execute(update(Client).values(logo_uri=host.put("/new", SVG), version=Client.version + 1))
    db.commit()
    assert logo_on(weather.sign_in_page()) is None
    assert fetch() == {"logo_refused": 1}
    assert db.scalar(select(ClientLogo.content)) is None


def test_of_many_workers_one_fetches_each(
    relying_party: Callable[..., RelyingParty],
    host: DocumentServer,
    settings: Settings,
    engine: Engine,
) -> None:
    for number in range(3):
        relying_party(logo_uri=host.put(f"/{number}", PNG))
    done = at_once(lambda _: Counter(client_logos.fetch_due(engine, settings)), 4)
    assert +sum(done, Counter[str]()) == {"logo_fetched": 3}
    assert sorted(host.asked) == ["/0", "/1", "/2"]


def test_it_goes_with_its_client(weather: RelyingParty, fetch: Fetch, db: Session, app: Flask) -> None:
    fetch()
    db.execute(Client.__table__.delete())
    db.commit()
    assert db.scalar(select(ClientLogo.client_id)) is None
