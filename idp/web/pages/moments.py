"""Times and spans in words: pages know no time zone, so they say how long ago something was, or on which day."""

from datetime import UTC, datetime

from markupsafe import Markup

from idp import clock
from idp.clock import DAY
from idp.mail import wording
from idp.web.texts import language, text

_MINUTE, _HOUR = 60, 3_600
_COUNTED_MOST = 60 * DAY  # of what was before, the day says more than how many there were since


def moment(at: int) -> Markup:
    """Say how long ago something was, with the exact time for machines and on hovering."""
    return _time(at, ago(at))


def until(at: int) -> Markup:
    """Say how far ahead something is, and on which day."""
    day = _time(at, _date(at))
    days = -(-(at - clock.now()) // DAY)
    return text("moment.within_a_day", day=day) if days <= 1 else text("moment.in_days", count=days, day=day)


def span(seconds: int) -> str:
    """Say how long something is."""
    if seconds >= 2 * DAY:
        return wording.span(_language(), "day", seconds // DAY)
    if seconds >= 2 * _HOUR:
        return wording.span(_language(), "hour", seconds // _HOUR)
    return wording.span(_language(), "minute", -(-seconds // _MINUTE))


def ago(at: int) -> Markup:
    """Say how long ago something was, in words only."""
    seconds = clock.now() - at
    if seconds < _MINUTE:
        return text("moment.now")
    if seconds < 2 * _MINUTE:
        return text("moment.minute")
    if seconds < _HOUR:
        return text("moment.minutes", count=seconds // _MINUTE)
    if seconds < 2 * _HOUR:
        return text("moment.hour")
    if seconds < DAY:
        return text("moment.hours", count=seconds // _HOUR)
    if seconds < 2 * DAY:
        return text("moment.day")
    if seconds < _COUNTED_MOST:
        return text("moment.days", count=seconds // DAY)
    return text("moment.on_day", day=_date(at))


def _time(at: int, words: str) -> Markup:
    exact = datetime.fromtimestamp(at, UTC)
    title = f"{exact:%Y-%m-%d %H:%M} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(exact.isoformat(), title, words)


def _date(at: int) -> str:
    return wording.date(_language(), at)


def _language() -> str:
    """Return the language in which mails name days and spans."""
    return wording.choose_language(language())
