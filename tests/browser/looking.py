"""How pages are looked at: in which windows, and what must hold in each."""

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from axe_playwright_python.base import AxeResults
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import BrowserContext, Page

from tests.factories import PASSWORD
from tests.waiting import until


@dataclass(frozen=True)
class Look:
    """How a page is shown; 640 by 400 is a desktop whose reader enlarges everything to twice its size."""

    width: int
    height: int
    scheme: Literal["light", "dark"] = "light"
    forced: Literal["active", "none"] = "none"

    def show(self, page: Page) -> None:
        """Have a page shown like this, at once."""
        page.set_viewport_size({"width": self.width, "height": self.height})
        page.emulate_media(color_scheme=self.scheme, forced_colors=self.forced, reduced_motion="reduce")

    @property
    def name(self) -> str:
        """For messages, and for pictures."""
        return f"{self.width}-{'forced' if self.forced == 'active' else self.scheme}"


# Pages are loaded in these windows, and looked at in each of the window's looks: to load one anew for every look takes
# several times as long and shows nothing more.
WINDOWS: dict[str, Any] = {"desktop": {}, "phone": {"locale": "de-DE", "has_touch": True, "is_mobile": True}}
LOOKS: dict[str, list[Look]] = {
    "desktop": [Look(1280, 800), Look(1280, 800, "dark"), Look(640, 400), Look(1280, 800, forced="active")],
    "phone": [Look(390, 844), Look(320, 568, "dark")],
}
AXE = {
    "runOnly": {"type": "tag", "values": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]},
    "reporter": "no-passes",  # to tell what passed, and where it stands, takes longer than to find what does not
}
# Not the page's "load", which waits for frames: those of an app that hangs as well.
TEXT_AND_STYLE = """() => document.readyState !== "loading"
    && [...document.querySelectorAll("link[rel=stylesheet]")].every(each => each.sheet)"""
BUTTONS = "button, .button"
FOR_FINGERS = f"{BUTTONS}, .tabs a, .ways a, .doors a, .links a, .facts a"  # but no links within a sentence
HEIGHTS = """selector => [...document.querySelectorAll(selector)]
    .filter(each => each.checkVisibility()).map(each => each.getBoundingClientRect().height)"""
PICTURES = os.environ.get("IDP_TEST_PICTURES")  # a folder that keeps a picture of every page, for people to look at


def sign_in(page: Page, username: str = "ada", password: str = PASSWORD) -> None:
    """Fill in the form and send it with Enter."""
    page.fill("#username", username)
    page.fill("#password", password)
    page.press("#password", "Enter")


def wait_for_focus(page: Page, element: str) -> None:
    """Wait until what a page gives the focus has it: a busy browser does that a moment after all has loaded."""
    _wait_until(page, "element => document.activeElement.id === element", element)


def open_page(open_context: Callable[..., BrowserContext], window: str) -> Page:
    """Open a page in one of the windows."""
    page = open_context(**WINDOWS[window]).new_page()
    LOOKS[window][0].show(page)
    return page


def check(page: Page, what: str) -> None:
    """In all looks of its window axe finds nothing in a page, and nothing is wider than the window.

    What was pressed before may have brought the page's address, and not all of its text and style yet.
    """
    _wait_until(page, TEXT_AND_STYLE)
    looks = next(
        looks for looks in LOOKS.values() if page.viewport_size and looks[0].width == page.viewport_size["width"]
    )
    page.evaluate(Axe().axe_script)
    for look in looks:
        look.show(page)
        _check_look(page, f"{what} ({look.name})")
    looks[0].show(page)


def _wait_until(page: Page, holds: str, about: str | None = None) -> None:
    """Ask again and again from here: the pages' policy lets no script of the page itself be asked for anything."""
    until(lambda: page.evaluate(holds, about), f"{page.url} never came to {holds}")


def _check_look(page: Page, what: str) -> None:
    if PICTURES:
        name = re.sub("[^a-z0-9]+", "-", what.lower()).strip("-")
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
    found = AxeResults(page.evaluate("options => axe.run(options)", AXE))
    assert found.violations_count == 0, f"{what}: {found.generate_report()}"
    overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    assert overflow <= 0, f"{what} is {overflow} pixels too wide"
    brand = page.locator(".brand").bounding_box()
    assert brand
    assert brand["height"] < 120, f"{what}: name and logo take too much room"
    is_touched = page.evaluate("matchMedia('(pointer: coarse)').matches")
    selector, least = (FOR_FINGERS, 44) if is_touched else (BUTTONS, 24)
    heights = page.evaluate(HEIGHTS, selector)
    assert min(heights, default=least) >= least, f"{what}: something to press is too small (WCAG 2.5.8, 2.5.5)"
