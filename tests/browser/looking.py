"""How pages are looked at: in which windows, and what must hold in each."""

import os
import re
from collections.abc import Callable, Mapping
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
# What axe looks for where all is new, and where only colours are: an outline of the page stays what it was.
KINDS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
EVERYTHING: dict[str, Any] = {"type": "tag", "values": KINDS}
COLOURS: dict[str, Any] = {"type": "rule", "values": ["color-contrast", "link-in-text-block", "target-size"]}
# Not the page's "load", which waits for frames: those of an app that hangs as well.
TEXT_AND_STYLE = """() => document.readyState !== "loading"
    && [...document.querySelectorAll("link[rel=stylesheet]")].every(each => each.sheet)"""
BUTTONS = "button, .button"
FOR_FINGERS = f"{BUTTONS}, .tabs a, .ways a, .doors a, .links a, .facts a"  # but no links within a sentence
# All at once, as each question costs a way to the browser and back. To tell what passed takes axe longer than to look.
LOOK = """async ([rules, buttons, forFingers]) => {
    const found = await axe.run({runOnly: rules, reporter: "no-passes"});
    const page = document.documentElement;
    const isTouched = matchMedia("(pointer: coarse)").matches;
    const pressed = [...document.querySelectorAll(isTouched ? forFingers : buttons)];
    return {
        found,
        overflow: page.scrollWidth - page.clientWidth,
        brand: document.querySelector(".brand").getBoundingClientRect().height,
        least: isTouched ? 44 : 24,
        heights: pressed.filter(each => each.checkVisibility()).map(each => each.getBoundingClientRect().height),
    };
}"""
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
    widths: set[int] = set()
    for look in looks:
        look.show(page)
        _check_look(page, f"{what} ({look.name})", COLOURS if look.width in widths else EVERYTHING)
        widths.add(look.width)
    looks[0].show(page)


def _wait_until(page: Page, holds: str, about: str | None = None) -> None:
    """Ask again and again from here: the pages' policy lets no script of the page itself be asked for anything."""
    until(lambda: page.evaluate(holds, about), f"{page.url} never came to {holds}")


def _check_look(page: Page, what: str, rules: Mapping[str, Any]) -> None:
    if PICTURES:
        name = re.sub("[^a-z0-9]+", "-", what.lower()).strip("-")
        page.screenshot(path=Path(PICTURES) / f"{name}.png", full_page=True)
    seen = page.evaluate(LOOK, [rules, BUTTONS, FOR_FINGERS])
    found = AxeResults(seen["found"])
    assert found.violations_count == 0, f"{what}: {found.generate_report()}"
    assert seen["overflow"] <= 0, f"{what} is {seen['overflow']} pixels too wide"
    assert 0 < seen["brand"] < 120, f"{what}: name and logo take too much room"
    small = min(seen["heights"], default=seen["least"])
    assert small >= seen["least"], f"{what}: something to press is too small (WCAG 2.5.8, 2.5.5)"
