"""The operator's accent colour, made readable: contrast as WCAG 2.2 measures it (success criterion 1.4.3)."""

from dataclasses import dataclass
from functools import cache

READABLE = 4.5
_BRIGHT = 12  # what a grey needs on a dark page, or a button of it would look as if it were out of use
_GREY = 24  # how far apart red, green and blue of a colour are at most that counts as one
Colour = tuple[int, int, int]

WHITE: Colour = (255, 255, 255)
BLACK: Colour = (0, 0, 0)
# The darkest background in light mode and the lightest in dark mode that links stand on; `pages.css` holds the same.
LIGHT_GROUND: Colour = (0xEE, 0xF0, 0xF4)
DARK_GROUND: Colour = (0x28, 0x2C, 0x36)


@dataclass(frozen=True)
class Accent:
    """One accent colour in use.

    Attributes:
        fill: what buttons are filled with.
        fill_hover: the same under the pointer.
        on_fill: letters on either.
        ink: links, focus rings and edges on the page's own background.
    """

    fill: str
    fill_hover: str
    on_fill: str
    ink: str


@cache
def light(accent: str) -> Accent:
    """Return the accent for light pages: the fill is the operator's colour to the letter."""
    return _accent(parse(accent), LIGHT_GROUND, towards=BLACK)


@cache
def dark(accent: str) -> Accent:
    """Return the accent for dark pages: lightened until it stands out."""
    colour = parse(accent)
    is_grey = max(colour) - min(colour) <= _GREY
    ink = readable(colour, DARK_GROUND, towards=WHITE, least=_BRIGHT if is_grey else READABLE)
    return _accent(ink, DARK_GROUND, towards=WHITE)


def theme(accent: str) -> str:
    """Return the style sheet that gives the pages their accent."""
    return (
        f":root {{{_properties(light(accent))}}}\n"
        f"@media (prefers-color-scheme: dark) {{ :root {{{_properties(dark(accent))}}} }}\n"
    )


def parse(colour: str) -> Colour:
    """Read `#rrggbb`."""
    return int(colour[1:3], 16), int(colour[3:5], 16), int(colour[5:7], 16)


def contrast(one: Colour, other: Colour) -> float:
    """Return the contrast ratio of two colours: 1 is none, 21 is black on white."""
    brighter, darker = sorted((_luminance(one), _luminance(other)), reverse=True)
    return (brighter + 0.05) / (darker + 0.05)


def readable(colour: Colour, ground: Colour, *, towards: Colour, least: float = READABLE) -> Colour:
    """Mix `colour` with as little of `towards` as gives it a contrast of `least` to `ground`."""
    mixtures = (_mix(colour, towards, percent / 100) for percent in range(101))
    return next((mixed for mixed in mixtures if contrast(mixed, ground) >= least), towards)


def _accent(fill: Colour, ground: Colour, *, towards: Colour) -> Accent:
    on_fill = max(WHITE, BLACK, key=lambda letters: contrast(letters, fill))  # the better one is always readable
    hover = _mix(fill, BLACK if on_fill == WHITE else WHITE, 0.14)
    return Accent(_text(fill), _text(hover), _text(on_fill), _text(readable(fill, ground, towards=towards)))


def _properties(accent: Accent) -> str:
    return (
        f" --accent: {accent.fill}; --accent-hover: {accent.fill_hover};"
        f" --on-accent: {accent.on_fill}; --accent-ink: {accent.ink}; "
    )


def _mix(colour: Colour, other: Colour, share: float) -> Colour:
    red, green, blue = (round(one + (two - one) * share) for one, two in zip(colour, other, strict=True))
    return red, green, blue


def _luminance(colour: Colour) -> float:
    red, green, blue = (
        value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4
        for value in (channel / 255 for channel in colour)
    )
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _text(colour: Colour) -> str:
    return "#{:02x}{:02x}{:02x}".format(*colour)
