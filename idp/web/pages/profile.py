"""What people tell about themselves, for apps that ask: all of it freewill."""

import re
from dataclasses import dataclass
from functools import cache, partial
from zoneinfo import available_timezones

from flask import Response
from markupsafe import Markup

from idp.accounts import profile
from idp.accounts.sessions import CurrentSession
from idp.errors import InvalidInputError
from idp.web import context, forms
from idp.web.pages.account import signed_in
from idp.web.pages.rendering import NO_FAULTS, Faults, faults_of_token, form_again, page, see_other, shown_again
from idp.web.texts import text

_CONTINENTS = (
    "Africa", "America", "Antarctica", "Arctic", "Asia", "Atlantic", "Australia", "Europe", "Indian", "Pacific",
)  # fmt: skip
# Suggestions only: any language tag may be typed. Each in its own words, so that whoever needs it can read it.
LANGUAGES = (
    ("ar", "العربية"),
    ("cs-CZ", "Čeština"),
    ("da-DK", "Dansk"),
    ("de-AT", "Deutsch (Österreich)"),
    ("de-CH", "Deutsch (Schweiz)"),
    ("de-DE", "Deutsch (Deutschland)"),
    ("el-GR", "Ελληνικά"),
    ("en-GB", "English (United Kingdom)"),
    ("en-US", "English (United States)"),
    ("es-ES", "Español (España)"),
    ("es-MX", "Español (México)"),
    ("fi-FI", "Suomi"),
    ("fr-CA", "Français (Canada)"),
    ("fr-FR", "Français (France)"),
    ("he-IL", "עברית"),
    ("hi-IN", "हिन्दी"),
    ("hu-HU", "Magyar"),
    ("it-IT", "Italiano"),
    ("ja-JP", "日本語"),
    ("ko-KR", "한국어"),
    ("nb-NO", "Norsk bokmål"),
    ("nl-NL", "Nederlands"),
    ("pl-PL", "Polski"),
    ("pt-BR", "Português (Brasil)"),
    ("pt-PT", "Português (Portugal)"),
    ("ro-RO", "Română"),
    ("sv-SE", "Svenska"),
    ("tr-TR", "Türkçe"),
    ("uk-UA", "Українська"),
    ("vi-VN", "Tiếng Việt"),
    ("zh-CN", "中文（简体）"),
    ("zh-TW", "中文（繁體）"),
)
# What people call a language rather than its tag: its name here, or the name without the country.
_TAGS = {re.split(" ?[(（]", name)[0].casefold(): tag.partition("-")[0] for tag, name in LANGUAGES}
_TAGS |= {name.casefold(): tag for tag, name in LANGUAGES}


@dataclass(frozen=True)
class Entry:
    """One field as the page shows it.

    Attributes:
        name: of the field, which is the claim's.
        label: what people call it.
        autocomplete: what a browser may fill in (HTML section 4.10.18.7).
        kind: of keyboard that a phone shows.
        hint: what it should look like.
        suggestions: id of a list to choose from.
    """

    name: str
    label: Markup
    autocomplete: str
    kind: str = "text"
    hint: Markup | None = None
    suggestions: str | None = None


def show_profile() -> Response:
    """Show the form, filled in with what is known."""
    session = signed_in()
    known = _known(session)
    return _form(session, known, known)


def submit_profile() -> Response:
    """Save what was changed, or say everything that is wrong with it."""
    session = signed_in()
    shown = {name: _sent(_shown_as(name), value) for name, value in _known(session).items()}
    typed = {name: _sent(name, value) for name, value in shown.items()}
    form = partial(_form, session, typed, shown)
    if faults := faults_of_token():
        return form(faults, 400)
    typed["locale"] = _TAGS.get(typed["locale"].strip().casefold(), typed["locale"])
    # What was not touched stays as it is by now: an app may have changed it while the form was open. Nor is it checked
    # again: an import may have brought it.
    changes = {name: value for name, value in typed.items() if value != shown[name]}
    try:
        profile.update_profile(context.database(), context.visitor(), session.user_id, changes)
    except InvalidInputError as refusal:
        return form_again(refusal, form)
    return see_other("show_profile", notice="profile-saved")


@cache
def time_zones() -> tuple[str, ...]:
    """Return the zones that are named for a place, and UTC; the others are old names for the same."""
    return tuple(sorted(each for each in available_timezones() if each == "UTC" or each.startswith(_CONTINENTS)))


def sections() -> tuple[tuple[Markup, tuple[Entry, ...]], ...]:
    """Return the form: headings, and the fields below each."""
    example = partial(text, "profile.example")
    return (
        (
            text("profile.section_name"),
            (
                Entry("given_name", text("register.given_name"), "given-name"),
                Entry("family_name", text("register.family_name"), "family-name"),
                Entry("middle_name", text("profile.middle_name"), "additional-name"),
                Entry("nickname", text("profile.nickname"), "nickname"),
            ),
        ),
        (
            text("profile.section_contact"),
            (
                Entry("phone_number", text("profile.phone_number"), "tel", "tel", example(value="+49 30 1234567")),
                Entry("website", text("profile.website"), "url", "url", example(value="https://example.org/")),
                Entry("profile", text("profile.profile"), "off", "url", text("profile.profile_hint")),
                Entry("picture", text("profile.picture"), "photo", "url", text("profile.picture_hint")),
            ),
        ),
        (
            text("profile.section_address"),
            (
                Entry("street_address", text("profile.street_address"), "address-line1"),
                Entry("postal_code", text("profile.postal_code"), "postal-code"),
                Entry("locality", text("profile.locality"), "address-level2"),
                Entry("region", text("profile.region"), "address-level1"),
                Entry("country", text("profile.country"), "country-name"),
            ),
        ),
        (
            text("profile.section_person"),
            (
                Entry(
                    "locale",
                    text("profile.locale"),
                    "language",
                    hint=text("profile.locale_hint"),
                    suggestions="locales",
                ),
                Entry(
                    "zoneinfo",
                    text("profile.zoneinfo"),
                    "off",
                    hint=example(value="Europe/Vienna"),
                    suggestions="time-zones",
                ),
                Entry("birthdate", text("profile.birthdate"), "bday", hint=text("profile.birthdate_hint")),
                Entry("gender", text("profile.gender"), "sex", hint=text("profile.gender_hint")),
            ),
        ),
    )


def _known(session: CurrentSession) -> dict[str, str]:
    known = profile.read_profile(context.database(), session.user_id)
    return {name: value or "" for name, value in known.items()}


def _sent(field: str, otherwise: str) -> str:
    return forms.field(field) if forms.has_field(field) else otherwise


def _shown_as(name: str) -> str:
    """Return the hidden field that holds what the form showed at first."""
    return f"shown_{name}"


def _form(
    session: CurrentSession,
    typed: dict[str, str],
    shown: dict[str, str],
    faults: Faults = NO_FAULTS,
    status: int = 200,
) -> Response:
    return page(
        "profile.html",
        status,
        session=session,
        tab="profile",
        sections=sections(),
        typed={name: shown_again(value) for name, value in typed.items()},
        shown={_shown_as(name): shown_again(value) for name, value in shown.items()},
        languages=LANGUAGES,
        time_zones=time_zones(),
        faults=faults,
    )
