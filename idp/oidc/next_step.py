"""What happens next to an authorization request: a pure function of what is known.

Every reason to interrupt a person, or to refuse an app, has a name.
"""

from dataclasses import dataclass
from enum import StrEnum

from idp.accounts.sessions import CurrentSession
from idp.oidc.authorization_request import AuthorizationRequest


class Reason(StrEnum):
    """Why a person is asked something."""

    NOT_SIGNED_IN = "not_signed_in"
    LOGIN_REQUESTED = "login_requested"  # prompt=login
    SIGNED_IN_TOO_LONG_AGO = "signed_in_too_long_ago"  # max_age
    OTHER_ACCOUNT_EXPECTED = "other_account_expected"  # id_token_hint, or a sub claim with a value
    REGISTRATION_REQUESTED = "registration_requested"  # prompt=create
    CHOICE_REQUESTED = "choice_requested"  # prompt=select_account
    PASSWORD_TEMPORARY = "password_temporary"  # noqa: S105 - whoever issued it knows it too
    DELETION_DUE = "deletion_due"  # the account goes soon: signing in is the time to think better of it
    CONSENT_REQUESTED = "consent_requested"  # prompt=consent
    CONSENT_MISSING = "consent_missing"
    APP_UNPROVEN = "app_unproven"  # any program on the person's machine may pass for it


@dataclass(frozen=True)
class Interruption:
    """Ask a person something on a page."""

    reason: Reason


class SignIn(Interruption):
    """Ask for a password."""


class Register(Interruption):
    """Offer a new account (Initiating User Registration via OpenID Connect 1.0)."""


class ChangePassword(Interruption):
    """Ask for a password of the person's own choice."""


class OfferToKeepAccount(Interruption):
    """Ask whether the account shall be deleted indeed."""


class ChooseAccount(Interruption):
    """Ask with which account to go on."""


class AskConsent(Interruption):
    """Ask whether the app may have what it asks for."""


@dataclass(frozen=True)
class Refuse:
    """Tell the client no."""

    error: str
    description: str


@dataclass(frozen=True)
class Issue:
    """Give the client what it asked for."""


Step = Interruption | Refuse | Issue


@dataclass(frozen=True)
class Facts:
    """What happened so far while the request was parked; nothing, for one that has just come.

    Attributes:
        session_id: the session that was started for this very request.
    """

    session_id: str | None = None
    is_account_chosen: bool = False
    is_consented: bool = False
    is_denied: bool = False


NOTHING_HAPPENED = Facts()


def decide(
    request: AuthorizationRequest,
    session: CurrentSession | None,
    *,
    facts: Facts = NOTHING_HAPPENED,
    subject: str | None = None,
    is_consent_given: bool,
    now: int,
) -> Step:
    """Return the next step.

    Args:
        session: the browser's living session.
        subject: who its person is to this client; left out where that is their id (`subject_type` public).
        facts: what this request's pages have settled.
        is_consent_given: what the person allowed this client before covers what is asked.
        now: seconds since the epoch.
    """
    if facts.is_denied:
        return Refuse("access_denied", "The person cancelled or denied the request.")
    step = _authentication(request, session, subject, facts, now) or _authorization(request, facts, is_consent_given)
    if "none" in request.prompt and isinstance(step, Interruption):
        return _SILENT_REFUSALS[type(step)]
    return step


def _authentication(
    request: AuthorizationRequest, session: CurrentSession | None, subject: str | None, facts: Facts, now: int
) -> Interruption | Refuse | None:
    """Is the right person signed in, recently and strongly enough?"""
    # Somebody who signed in for this request has answered prompt=login and max_age, however long consent took then.
    is_fresh = session is not None and session.id == facts.session_id
    if "create" in request.prompt and not is_fresh:
        return Register(Reason.REGISTRATION_REQUESTED)
    if session is None:
        return SignIn(Reason.NOT_SIGNED_IN)
    if "login" in request.prompt and not is_fresh:
        return SignIn(Reason.LOGIN_REQUESTED)
    if _is_too_old(request.max_age, now - session.auth_time) and not is_fresh:
        return SignIn(Reason.SIGNED_IN_TOO_LONG_AGO)
    if not request.admits(subject or session.user_id):
        if is_fresh:
            return Refuse("login_required", "Another person signed in than the one that the app asked for.")
        return SignIn(Reason.OTHER_ACCOUNT_EXPECTED)
    if (needed := request.claims.essential_acr_values()) and session.acr not in needed:
        return Refuse("unmet_authentication_requirements", "None of the essential acr values can be reached here.")
    if "select_account" in request.prompt and not (is_fresh or facts.is_account_chosen):
        return ChooseAccount(Reason.CHOICE_REQUESTED)
    if session.must_change_password:
        return ChangePassword(Reason.PASSWORD_TEMPORARY)
    if session.deletion_due_at is not None and is_fresh and not facts.is_account_chosen:
        return OfferToKeepAccount(Reason.DELETION_DUE)
    return None


def _is_too_old(max_age: int | None, age: int) -> bool:
    """Compare the age of a sign-in with max_age; 0 means prompt=login (OIDC Core section 3.1.2.1)."""
    return max_age is not None and (age > max_age or max_age == 0)


def _authorization(request: AuthorizationRequest, facts: Facts, is_consent_given: bool) -> Interruption | Issue:
    """Did the person allow it?

    What allows it is the remembered consent of whoever is signed in now, never the parked request's own note: another
    person may have signed in since. Where they have to be asked anew (prompt=consent, an app that any program may pass
    for), that note is needed besides.
    """
    if "consent" in request.prompt and not facts.is_consented:
        return AskConsent(Reason.CONSENT_REQUESTED)
    if not (request.client.is_trusted or is_consent_given):
        return AskConsent(Reason.CONSENT_MISSING)
    if request.is_allowed_once and not facts.is_consented:
        return AskConsent(Reason.APP_UNPROVEN)
    return Issue()


# prompt=none: what would have been a page is an error (OIDC Core section 3.1.2.6).
_SILENT_REFUSALS: dict[type[Interruption], Refuse] = {
    SignIn: Refuse("login_required", "Nobody suitable is signed in."),
    Register: Refuse("interaction_required", "The person would have to register."),
    ChangePassword: Refuse("interaction_required", "The person has to change their password."),
    OfferToKeepAccount: Refuse("interaction_required", "The person has asked for their account to be deleted."),
    ChooseAccount: Refuse("account_selection_required", "The person would have to choose an account."),
    AskConsent: Refuse("consent_required", "The person would have to be asked."),
}
