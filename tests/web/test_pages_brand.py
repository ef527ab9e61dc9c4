"""The operator's name, logo and colour; what pages weigh and load."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from flask import Flask
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st

from idp.models import User
from idp.settings import Settings
from idp.web.pages import brand, colours
from tests.factories import EVERY_CLAIM
from tests.relying_party import RelyingParty
from tests.web.page_driver import sign_in

COLOURS = st.tuples(*(st.integers(0, 255),) * 3).map(lambda colour: "#{:02x}{:02x}{:02x}".format(*colour))
SURFACES = {  # of pages.css, by scheme: every background that letters in the accent's colour may stand on
    "light": ("#f5f6f8", "#ffffff", "#eef0f4"),
    "dark": ("#101216", "#191c22", "#242831"),
}


@given(COLOURS)
def test_every_accent_is_readable(accent: str) -> None:
    for shade, surfaces in ((colours.light(accent), SURFACES["light"]), (colours.dark(accent), SURFACES["dark"])):
        for fill in (shade.fill, shade.fill_hover):
            assert colours.contrast(colours.parse(shade.on_fill), colours.parse(fill)) >= colours.READABLE
        for surface in surfaces:
            assert colours.contrast(colours.parse(shade.ink), colours.parse(surface)) >= colours.READABLE


@pytest.mark.parametrize("accent", ["#ffffff", "#000000", "#ffff00", "#808080", "#2b5fd9", "#ff0000"])
def test_light_buttons_have_the_operators_colour_to_the_letter(accent: str) -> None:
    assert colours.light(accent).fill == accent


def test_a_grey_is_bright_on_dark_pages() -> None:
    """A button in the middle of the greys looks out of use."""
    for accent in ("#000000", "#1c1917", "#444444"):
        assert colours.contrast(colours.parse(colours.dark(accent).fill), colours.DARK_GROUND) >= 12
    assert colours.contrast(colours.parse(colours.dark("#00007f").fill), colours.DARK_GROUND) < 5


def test_contrast_is_that_of_the_standard() -> None:
    assert colours.contrast((0, 0, 0), (255, 255, 255)) == pytest.approx(21)
    assert colours.contrast((118, 118, 118), (255, 255, 255)) == pytest.approx(4.54, abs=0.01)


def test_style_sheet_has_the_surfaces_that_the_accent_is_made_for() -> None:
    sheet = brand.STYLESHEET.read_text()
    for surface in (*SURFACES["light"], *SURFACES["dark"]):
        assert surface in sheet
    assert "url(" not in sheet
    assert "@import" not in sheet


def test_theme_carries_the_accent(settings: Settings, make_app: Callable[[Settings], Flask]) -> None:
    browser = make_app(replace(settings, brand_accent="#0a7f4f", brand_name="Häfen & Söhne")).test_client()
    page = browser.get("/sign-in")
    assert "Häfen &amp; Söhne" in page.text
    theme = browser.get(re.search(r'"(/brand/theme\.css[^"]*)"', page.text).group(1))  # type: ignore[union-attr]
    assert theme.mimetype == "text/css"
    assert "--accent: #0a7f4f" in theme.text
    assert "prefers-color-scheme: dark" in theme.text
    icon = browser.get("/brand/icon.svg")
    assert ">H</text>" in icon.text
    assert 'fill="#0a7f4f"' in icon.text


@pytest.mark.parametrize("name", ["pages.css", "theme.css", "icon.svg"])
def test_files_are_kept_by_the_browser_until_they_change(client: FlaskClient, name: str) -> None:
    page = client.get("/sign-in").text
    url = re.search(rf'"(/brand/{re.escape(name)}\?v=\w+)"', page).group(1)  # type: ignore[union-attr]
    served = client.get(url)
    assert served.status_code == 200
    assert served.headers["Cache-Control"] == "public, max-age=31536000, immutable"
    assert served.headers["X-Content-Type-Options"] == "nosniff"
    assert "Set-Cookie" not in served.headers
    for other in (f"/brand/{name}", f"/brand/{name}?v=old"):
        assert client.get(other).headers["Cache-Control"] == "no-cache"
    again = client.get(url, headers={"If-None-Match": served.headers["ETag"]})
    assert again.status_code == 304
    assert again.headers["Cache-Control"] == served.headers["Cache-Control"]
    assert again.data == b""
    refused = client.get(url, headers={"If-Match": '"another"'})
    assert (refused.status_code, refused.headers["Cache-Control"]) == (412, "no-store"), "or all would get that"


@pytest.mark.parametrize(
    ("suffix", "mimetype"), [("svg", "image/svg+xml"), ("png", "image/png"), ("webp", "image/webp")]
)
def test_logo_comes_from_the_instance(
    settings: Settings, make_app: Callable[[Settings], Flask], suffix: str, mimetype: str
) -> None:
    content = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    (settings.instance / f"logo.{suffix}").write_bytes(content)
    browser = make_app(replace(settings, brand_logo=f"logo.{suffix}")).test_client()
    assert '<img class="logo" src="/brand/logo?v=' in browser.get("/sign-in").text
    logo = browser.get("/brand/logo")
    assert logo.data == content
    assert logo.mimetype == mimetype
    assert logo.headers["Content-Security-Policy"].startswith("default-src 'none'")
    assert "script-src" not in logo.headers["Content-Security-Policy"]


def test_a_logo_that_only_root_may_read_keeps_no_page_away(
    settings: Settings, make_app: Callable[[Settings], Flask], monkeypatch: pytest.MonkeyPatch, caplog
) -> None:
    read_bytes = Path.read_bytes

    def refuse(path: Path) -> bytes:
        if path.name == "logo.svg":
            raise PermissionError(13, "Permission denied", str(path))
        return read_bytes(path)

    (settings.instance / "logo.svg").touch()
    monkeypatch.setattr(Path, "read_bytes", refuse)
    page = make_app(replace(settings, brand_logo="logo.svg")).test_client().get("/sign-in")
    assert page.status_code == 200
    assert 'class="logo"' not in page.text
    assert "logo.svg cannot be read (Permission denied)" in caplog.text


@pytest.mark.parametrize("logo", ["", "missing.svg"])
def test_without_a_logo_a_letter_stands_in(
    settings: Settings, make_app: Callable[[Settings], Flask], logo: str
) -> None:
    browser = make_app(replace(settings, brand_logo=logo, brand_name="«tasters»")).test_client()
    page = browser.get("/sign-in").text
    assert "<img" not in page
    assert '<span class="initial" aria-hidden="true">T</span>' in page
    assert browser.get("/brand/logo").status_code == 404


def test_pages_weigh_little_and_load_nothing_from_elsewhere(
    client: FlaskClient, make_user: Callable[..., User], relying_party: Callable[..., RelyingParty]
) -> None:
    make_user(roles=tuple(f"role-{number}" for number in range(20)), **EVERY_CLAIM)
    weather = relying_party(client, is_trusted=False, tos_uri="https://app.example.org/terms")
    pages = [client.get("/sign-in"), client.get("/register"), client.get("/signed-out"), client.get("/nowhere")]
    sign_in(client)
    pages += [client.get(path) for path in ("/account", "/account/password", "/account/sessions")]
    scope = "openid profile email address phone roles account offline_access"
    pages += [weather.follow(weather.send(scope=scope)), weather.follow(weather.send(prompt="select_account"))]
    for page in pages:
        loaded = re.findall(r'<(?:link|img|script)[^>]*(?:href|src)="([^"]*)"', page.text)
        assert len(loaded) == 3
        assert all(url.startswith("/brand/") for url in loaded)
        assert len(page.data) + sum(len(client.get(url).data) for url in loaded) < 50_000
        assert "<script" not in page.text
        assert " style=" not in page.text
        assert not re.search(r"<[^>]*\son\w+=", page.text), "no script in attributes"
        assert page.text.count("<h1") == 1
        assert page.text.count("<main") == 1
        assert page.headers["Cache-Control"] == "no-store"
