"""How pages are looked at: in which windows, and what must hold in each."""

import os
import re
from pathlib import Path
from typing import Any

from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page

from tests.factories import PASSWORD

LOOKS: dict[str, Any] = {
    "desktop-light": {"viewport": {"width": 1280, "height": 800}},
    "desktop-dark": {"viewport": {"width": 1280, "height": 800}, "color_scheme": "dark"},
    "phone-light": {"viewport": {"width": 390, "height": 844}, "locale": "de-DE"},
    "phone-dark": {"viewport": {"width": 320, "height": 568}, "color_scheme": "dark"},
    "zoomed": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
    "forced-colours": {"viewport": {"width": 1280, "height": 800}, "forced_colors": "active"},
}
AXE = {"runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}}
PICTURES = os.environ.get("IDP_TEST_PICTURES")  # a folder that keeps a picture of every page, for people to look at


def sign_in(page: Page, username: str = "ada", password: str = PASSWORD) -> None:
    """Fill in the form and send it with Enter."""
    page.fill("#username", username)
    page.fill("#password", password)
    page.press("#password", "Enter")


def check(page: Page, what: str) -> None:
    """Axe finds nothing, and nothing is wider than the window."""
    if PICTURES:
        size = page.viewport_size or {"width": 0}
        is_dark = page.evaluate("matchMedia('(prefers-color-scheme: dark)').matches")
        is_forced = page.evaluate("matchMedia('(forced-colors: active)').matches")
        look = "-dark" if is_dark else "-forced" if is_forced else ""
        name = f"{re.sub('[^a-z]+', '-', what.lower())}-{size['width']}{look}.png"
        page.screenshot(path=Path(PICTURES) / name, full_page=True)
    found = Axe().run(page, options=AXE)
    assert found.violations_count == 0, f"{what}: {found.generate_report()}"
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{what} is {overflow} pixels too wide"
    brand = page.locator(".brand").bounding_box()
    assert brand
    assert brand["height"] < 120, f"{what}: name and logo take too much room"
    for button in page.locator("button:visible, .button:visible").all():
        box = button.bounding_box()
        assert box
        assert box["height"] >= 24, f"{what}: a button is too small (WCAG 2.5.8)"
