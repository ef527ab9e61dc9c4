"""Browsers and systems in words, as far as the User-Agent header tells; good enough to recognise one's own."""

from markupsafe import Markup

from idp.web.texts import text

# The first token found wins: many browsers also claim to be the ones below them.
BROWSERS = (
    ("Edg/", "Edge"),
    ("EdgA/", "Edge"),
    ("EdgiOS/", "Edge"),
    ("OPR/", "Opera"),
    ("Vivaldi/", "Vivaldi"),
    ("SamsungBrowser/", "Samsung Internet"),
    ("DuckDuckGo/", "DuckDuckGo"),
    ("FxiOS/", "Firefox"),
    ("Firefox/", "Firefox"),
    ("CriOS/", "Chrome"),
    ("Chromium/", "Chromium"),
    ("Chrome/", "Chrome"),
    ("Safari/", "Safari"),
    ("curl/", "curl"),
)
SYSTEMS = (
    ("iPhone", "iPhone"),
    ("iPad", "iPad"),
    ("Android", "Android"),
    ("CrOS", "ChromeOS"),
    ("Windows", "Windows"),
    ("Macintosh", "macOS"),
    ("Linux", "Linux"),
    ("X11", "Unix"),
)


def describe_device(user_agent: str) -> Markup:
    """Say which browser on which system a User-Agent header stands for."""
    browser = _first(BROWSERS, user_agent)
    system = _first(SYSTEMS, user_agent)
    if browser is None and system is None:
        return text("sessions.unknown_browser")
    return text(
        "sessions.device",
        browser=browser or text("sessions.unknown_browser"),
        system=system or text("sessions.unknown_system"),
    )


def _first(known: tuple[tuple[str, str], ...], user_agent: str) -> str | None:
    return next((name for token, name in known if token in user_agent), None)
