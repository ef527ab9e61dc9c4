"""How a mail looks: the same blocks as text and as HTML.

The HTML loads nothing, neither pictures nor fonts, and reads well where a mail program drops its style sheet. A link
stands by itself, on a line of its own, so that no program breaks it.
"""

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

WIDTH = 72  # columns of the text; links may be longer
_STYLE = """\
:root { color-scheme: light dark; supported-color-schemes: light dark; }
@media (prefers-color-scheme: dark) {
  .ground { background: #101216 !important; }
  .card { background: #191c22 !important; border-color: #30353f !important; }
  .ink, .ink a { color: #eceef2 !important; }
  .quiet, .quiet a { color: #a8afbc !important; }
  .code { background: #242831 !important; color: #eceef2 !important; }
}"""
_EDGE = "#858d9c"
_LOST_IN_DARK, _LOST_IN_LIGHT = 0.05, 0.7  # luminance
_FONT = "font-family:system-ui,-apple-system,'Segoe UI',Roboto,'Noto Sans',sans-serif"
_PARAGRAPH = f'<p class="ink" style="margin:0 0 16px;{_FONT};font-size:16px;line-height:1.5;color:#171a21">'
_QUIET = f'<p class="quiet" style="margin:0 0 8px;{_FONT};font-size:13px;line-height:1.5;color:#565d6b;'


@dataclass(frozen=True)
class Paragraph:
    """A few sentences."""

    words: str


@dataclass(frozen=True)
class Link:
    """A link to press.

    Attributes:
        label: what is on the button.
        url: where it leads.
    """

    label: str
    url: str


@dataclass(frozen=True)
class Code:
    """Something to type in elsewhere."""

    characters: str


@dataclass(frozen=True)
class Items:
    """A list."""

    items: Sequence[str]


Block = Paragraph | Link | Code | Items


@dataclass(frozen=True)
class Letterhead:
    """What is the same on every mail.

    Attributes:
        brand: the operator's name.
        accent: colour of buttons, `#rrggbb`.
        url: where the provider is.
        footer: who sends this, and that nobody reads answers.
        language: for the program that reads it out.
    """

    brand: str
    accent: str
    url: str
    footer: str
    language: str


def as_text(head: Letterhead, blocks: Sequence[Block]) -> str:
    """Return a mail's text part.

    Args:
        head: what is the same on every mail.
        blocks: what this one says.
    """
    parts = [_text_of(block) for block in blocks]
    return "\n\n".join([*parts, f"-- \n{head.brand}\n{head.url}\n{_wrapped(head.footer)}"]) + "\n"


def as_html(head: Letterhead, subject: str, blocks: Sequence[Block]) -> str:
    """Return a mail's HTML part.

    Args:
        head: what is the same on every mail.
        subject: the title.
        blocks: what this one says.
    """
    brand, url = escape(head.brand), escape(head.url)
    body = "\n".join(_html_of(block, head.accent) for block in blocks)
    return f"""<!doctype html>
<html lang="{escape(head.language)}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="color-scheme" content="light dark">
<meta name="supported-color-schemes" content="light dark">
<title>{escape(subject)}</title>
<style>
{_STYLE}
</style>
</head>
<body class="ground" style="margin:0;padding:24px 12px;background:#f5f6f8">
<div style="max-width:560px;margin:0 auto">
<p class="ink" style="margin:0 0 16px;padding-left:12px;border-left:4px solid {_edge_of(head.accent)};\
{_FONT};font-size:17px;font-weight:600;line-height:1.4;color:#171a21">{brand}</p>
<div class="card" style="padding:28px 28px 12px;border:1px solid #dfe3ea;border-radius:12px;background:#ffffff">
{body}
</div>
<div style="padding:16px 0 0">
{_QUIET}">{escape(head.footer)}</p>
{_QUIET}"><a href="{url}" style="color:#565d6b">{url}</a></p>
</div>
</div>
</body>
</html>
"""


def letters_on(colour: str) -> str:
    """Return black or white, whichever reads better on a colour (WCAG 2.2, relative luminance).

    Args:
        colour: `#rrggbb`.
    """
    return "#000000" if (_luminance(colour) + 0.05) ** 2 > 1.05 * 0.05 else "#ffffff"


def _edge_of(colour: str) -> str:
    """Return a grey where the accent itself would be lost, be it on the light card or on the dark one."""
    return colour if _LOST_IN_DARK < _luminance(colour) < _LOST_IN_LIGHT else _EDGE


def _luminance(colour: str) -> float:
    channels = (int(colour[start : start + 2], 16) / 255 for start in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in channels)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def _text_of(block: Block) -> str:
    match block:
        case Paragraph(words):
            return _wrapped(words)
        case Link(label, url):
            return f"{label}:\n{url}"
        case Code(characters):
            return f"    {characters}"
        case Items(items):
            return "\n".join(f"  * {item}" for item in items)


def _html_of(block: Block, accent: str) -> str:
    match block:
        case Paragraph(words):
            return f"{_PARAGRAPH}{escape(words)}</p>"
        case Link(label, url):
            return (
                f'<p style="margin:24px 0 12px"><a href="{escape(url)}" style="display:inline-block;padding:12px 22px;'
                f"border:1px solid {_edge_of(accent)};border-radius:8px;background:{accent};color:{letters_on(accent)};"
                f'{_FONT};font-size:16px;font-weight:600;text-decoration:none">{escape(label)}</a></p>\n'
                f'{_QUIET}margin-bottom:24px;word-break:break-all">{escape(url)}</p>'
            )
        case Code(characters):
            return (
                '<p class="code" style="display:inline-block;margin:8px 0 24px;padding:12px 20px;border-radius:8px;'
                "background:#eef0f4;color:#171a21;font-family:ui-monospace,Menlo,Consolas,monospace;font-size:28px;"
                f'font-weight:600;letter-spacing:6px">{escape(characters)}</p>'
            )
        case Items(items):
            lines = "".join(f'<li style="margin:0 0 6px"><strong>{escape(item)}</strong></li>' for item in items)
            return (
                f'<ul class="ink" style="margin:0 0 16px;padding-left:22px;{_FONT};font-size:16px;line-height:1.5;'
                f'color:#171a21">{lines}</ul>'
            )


def _wrapped(words: str) -> str:
    return textwrap.fill(words, WIDTH, break_long_words=False, break_on_hyphens=False)
