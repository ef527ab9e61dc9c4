"""The operator's name, logo and colour, and the style sheets: everything a page loads.

A browser may keep these files for good: their URLs change with their content.
"""

import hashlib
import logging
from dataclasses import dataclass
from functools import cache, cached_property
from pathlib import Path

from flask import Response, current_app, request, url_for
from markupsafe import Markup

from idp.errors import NotFoundError
from idp.settings import Settings
from idp.web import context
from idp.web.pages import colours
from idp.web.texts import text

STYLESHEET = Path(__file__).parents[1] / "static" / "pages.css"
LOGO_TYPES = {".svg": "image/svg+xml", ".png": "image/png", ".webp": "image/webp"}
_KEPT = "idp_brand"
_FOR_GOOD = "public, max-age=31536000, immutable"
_SVG_POLICY = "default-src 'none'; style-src 'unsafe-inline'"  # a picture opened by itself runs and loads nothing
_ICON = Markup(
    '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 32 32"><rect width="32" height="32" rx="8" fill="{}"/>'
    '<text x="16" y="22.5" text-anchor="middle" font-family="system-ui,sans-serif" font-size="19" font-weight="700"'
    ' fill="{}">{}</text></svg>'
)

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class BrandFile:
    """A file that pages load, and the version that its URL carries."""

    content: bytes
    mimetype: str

    @cached_property
    def version(self) -> str:
        """What changes when the content does."""
        return hashlib.sha256(self.content).hexdigest()[:12]


@dataclass(frozen=True)
class Brand:
    """What templates know of the operator."""

    name: str
    initial: str
    stylesheet_url: str
    theme_url: str
    icon_url: str
    logo_url: str | None


def current_brand() -> Brand:
    """Return the brand of this provider, with URLs for this request: below the issuer's path, unless it missed that."""
    kept: dict[str, Brand] = current_app.extensions.setdefault(_KEPT, {})
    brand = kept.get(request.script_root)
    if brand is None:
        brand = kept[request.script_root] = _brand_of(context.settings())
    return brand


def _brand_of(settings: Settings) -> Brand:
    logo = logo_of(settings)
    return Brand(
        name=settings.brand_name,
        initial=initial_of(settings.brand_name),
        stylesheet_url=url_for("show_stylesheet", v=stylesheet().version),
        theme_url=url_for("show_theme", v=theme_of(settings).version),
        icon_url=url_for("show_icon", v=icon_of(settings).version),
        logo_url=url_for("show_logo", v=logo.version) if logo else None,
    )


def initial_of(name: str) -> str:
    """Return the letter that stands for a name where there is no picture."""
    return next((letter for letter in name if letter.isalnum()), "?").upper()


def show_stylesheet() -> Response:
    """Serve the style sheet of all pages."""
    return _serve(stylesheet())


def show_theme() -> Response:
    """Serve the operator's colours."""
    return _serve(theme_of(context.settings()))


def show_icon() -> Response:
    """Serve the small picture in the browser's tab."""
    return _serve(icon_of(context.settings()))


def show_logo() -> Response:
    """Serve the operator's logo."""
    logo = logo_of(context.settings())
    if logo is None:
        raise NotFoundError(text("error.not_found"))
    return _serve(logo)


@cache
def stylesheet() -> BrandFile:
    """Return the style sheet of all pages."""
    return BrandFile(STYLESHEET.read_bytes(), "text/css")


@cache
def theme_of(settings: Settings) -> BrandFile:
    """Return the operator's colours as a style sheet: pages may hold no style of their own."""
    return BrandFile(colours.theme(settings.brand_accent).encode(), "text/css")


@cache
def icon_of(settings: Settings) -> BrandFile:
    """Return the logo's stand-in: the name's first letter on the accent colour."""
    accent = colours.light(settings.brand_accent)
    drawn = _ICON.format(accent.fill, accent.on_fill, initial_of(settings.brand_name))
    return BrandFile(drawn.encode(), "image/svg+xml")


@cache
def logo_of(settings: Settings) -> BrandFile | None:
    """Return the logo, or None when none is set or its file is missing or not for us to read."""
    if not settings.brand_logo:
        return None
    path = settings.instance / settings.brand_logo
    try:
        return BrandFile(path.read_bytes(), LOGO_TYPES[path.suffix])
    except OSError as fault:
        log.warning("%s cannot be read (%s): pages show no logo.", path, fault.strerror)
        return None


def _serve(file: BrandFile) -> Response:
    response = Response(file.content, mimetype=file.mimetype)
    is_current = request.args.get("v") == file.version
    response.headers["Cache-Control"] = _FOR_GOOD if is_current else "no-cache"
    response.set_etag(file.version)
    if file.mimetype == "image/svg+xml":
        response.headers["Content-Security-Policy"] = _SVG_POLICY
    response.make_conditional(request)
    return response
