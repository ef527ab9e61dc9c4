"""New accounts: by people themselves, as far as the operator's policy admits them, or by the operator.

Whoever registers by themselves proves their address by a mailed link before the account opens. Until then it is
pending: it cannot be signed in to, and it keeps nobody away. Another registration with the same address makes it over
and kills the links that were mailed before; an operator who adds the address, or an account that moves to it, removes
it; and after a week it is swept, and what it had claimed is given back.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NoReturn

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from idp import clock, crypto, hashing, sentences
from idp.accounts import (
    audit,
    email_verification,
    names,
    one_time_links,
    password_policy,
    passwords,
    preauthorization,
    throttle,
    users,
)
from idp.accounts.audit import Event
from idp.accounts.roles import begin_with_roles, change_roles
from idp.accounts.same_work import trial
from idp.accounts.users import Person
from idp.accounts.visitor import SYSTEM, Visitor
from idp.clock import DAY
from idp.errors import AlreadyExistsError, InvalidInputError, RegistrationRefused
from idp.mail import outbox
from idp.models import User
from idp.sentences import Sentence
from idp.settings import RegistrationPolicy, Settings

PENDING_LIFETIME = 7 * DAY
POLICIES: Sequence[RegistrationPolicy] = ("open", "preauthorized", "closed")  # the narrower the later


@dataclass(frozen=True)
class RegistrationRules:
    """What the operator set for who comes from one app.

    Attributes:
        policy: narrows the provider's own; None leaves it.
        domains: addresses must belong to one of them; empty for any. A listed address may be of any.
        roles: that the app may give.
        client_id: which app; empty for none.
    """

    policy: RegistrationPolicy | None = None
    domains: Sequence[str] = ()
    roles: Sequence[str] = ()
    client_id: str = ""


NO_RULES = RegistrationRules()


def effective_policy(settings: Settings, rules: RegistrationRules) -> RegistrationPolicy:
    """Return the policy in force: the narrower of the provider's and the app's."""
    return max(settings.registration, rules.policy or "open", key=POLICIES.index)


def register(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    person: Person,
    password: str,
    *,
    rules: RegistrationRules = NO_RULES,
    invitation_token: str = "",
    roles: Iterable[str] = (),
    must_be_preauthorized: bool = False,
    domains: Iterable[str] = (),
    is_address_proven: bool = False,
    language: str = "en",
    form: str = "",
) -> None:
    """Register somebody who came by themselves.

    Returns nothing to tell by: when the address belongs to an account already, the reply is the same, at the same
    cost, and the account's owner gets a mail that says so. A user name that is taken must be said, or nobody could
    choose another. A mailbox that has no room gets no mail, and nobody is told.

    Args:
        rules: of the app that they come from.
        invitation_token: secret of the link that they came by: it proves the address, and the account opens at once.
        roles: that the app wants to give; beside them come those of the preauthorization.
        must_be_preauthorized: the app admits listed addresses only, whatever the policy.
        domains: the app admits these only, whatever the operator's rule.
        is_address_proven: they proved the address in another way, such as by a mailed code.
        language: of the mail.
        form: names what was sent, all of it: who presses the button twice gets one mail, whose link stays good.

    Raises:
        RegistrationRefused: the policy does not admit them.
        InvalidInputError: fields with faults, a taken user name among them.
        ExpiredError: the invitation is no good any more.
        AlreadyExistsError: the address that the invitation proves has an account; nobody else is told so.
        Throttled: too many registrations from this network, or with this address, unless it is proven.
        Busy: too many passwords wait to be hashed.
    """
    policy = effective_policy(settings, rules)
    if policy == "closed":
        raise RegistrationRefused(sentences.REGISTRATION_CLOSED())
    asked_roles = _check_roles(rules, roles)
    hashing.check_room(passwords.place_of_stranger(visitor))
    throttle.spend(db, settings, throttle.PASSWORD_ESTIMATE_ADDRESS, visitor.network)
    person = password_policy.check_newcomer(settings, person, password)
    invitation = preauthorization.peek_invitation(db, invitation_token) if invitation_token else None
    if invitation and names.email_key(invitation.email) != names.email_key(person.email):
        raise InvalidInputError({"email": [sentences.INVITATION_OTHER_ADDRESS()]})
    client_id = invitation.client_id if invitation else rules.client_id
    is_proven = invitation is not None or is_address_proven
    charges = throttle.spend_all(db, settings, *_buckets(visitor, person.email, is_proven=is_proven))
    listed = preauthorization.find(db, person.email, client_id)
    must_be_listed = must_be_preauthorized or policy == "preauthorized"
    if must_be_listed and listed is None:
        _refuse(db, visitor, "not_preauthorized", sentences.NOT_PREAUTHORIZED())
    if not (_is_of(person.email, domains) and (listed or _is_of(person.email, rules.domains))):
        _refuse(db, visitor, "domain", sentences.DOMAIN_NOT_ALLOWED())
    if invitation:
        _check_address(db, visitor, person)
    _check_username(db, person)
    with throttle.free_when_busy(db, *charges):
        password_hash = passwords.hash_new(
            db, settings, password, passwords.place_of_stranger(visitor, charges[0].lane)
        )
    if throttle.is_sent_again(db, form):
        return
    # Who has proven the address is no stranger to its mailbox.
    is_admitted = is_proven or throttle.admits_mail(db, settings, person.email)
    name = names.full_name(person.given_name, person.family_name)
    with trial(db) as step:
        if invitation:
            one_time_links.claim_link(db, invitation_token, one_time_links.INVITATION)
        claimed = preauthorization.claim(db, person.email, client_id)
        if not claimed and (must_be_listed or invitation):  # somebody was quicker
            raise RegistrationRefused(sentences.NOT_PREAUTHORIZED())
        user_id = users.create_user_unless_taken(
            db, person, password_hash, is_email_verified=is_proven, claimed=[each.as_dict() for each in claimed] or None
        )
        owner = users.owner_of_address(db, person.email)
        if user_id is None and (owner is None or owner["is_registration_pending"]):  # the name, while it was hashed
            raise InvalidInputError({"username": [sentences.USERNAME_TAKEN()]})
        given = asked_roles.union(*(each.roles for each in claimed))
        begin_with_roles(db, user_id or "", given)
        message = email_verification.prepare_message(
            db,
            settings,
            user_id=user_id,
            email=person.email,
            password_hash=password_hash,
            name=name,
            language=language,
        )
        # Nothing is claimed, neither link nor listing, for an account that there is already.
        step.is_kept = user_id is not None
    if user_id is None and owner is not None:
        with trial(db, is_kept=is_admitted):
            outbox.post(
                db, settings, email_verification.already_registered_message(settings, owner, language), owner["email"]
            )
        audit.record(db, Event.REGISTRATION_REFUSED, visitor, user_id=owner["id"], reason="address_taken")
        return
    if not is_proven:
        with trial(db, is_kept=is_admitted):
            outbox.post(db, settings, message, person.email)
    audit.record(db, Event.ACCOUNT_CREATED, visitor, user_id=user_id, username=person.username, roles=sorted(given))


def add_user(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    person: Person,
    password: str | None,
    *,
    role_names: Iterable[str] = (),
    is_email_verified: bool = True,
) -> User:
    """Create an account by the operator, who vouches for the address.

    Raises:
        InvalidInputError: fields with faults.
        AlreadyExistsError: the name or address is taken.
    """
    person = person.check() if password is None else password_policy.check_newcomer(settings, person, password)
    password_hash = None if password is None else crypto.hash_password(password, settings.bcrypt_cost)
    user = users.create_user(db, visitor, person, password_hash=password_hash, is_email_verified=is_email_verified)
    change_roles(db, visitor, user.id, add=role_names)
    return user


def sweep_pending(db: Session, *, most: int) -> int:
    """Delete registrations that nobody confirmed for a week, and give back what they had claimed.

    Args:
        most: at most so many.

    Returns:
        How many went.
    """
    old = (
        select(User.id)
        .where(User.is_registration_pending, User.created_at < clock.now() - PENDING_LIFETIME)
        .order_by(User.created_at)
        .limit(most)
        .with_for_update(skip_locked=True)
    )
    if not (found := db.scalars(old).all()):
        return 0
    gone = db.execute(
        delete(User)
        .where(User.id.in_(found), User.is_registration_pending)
        .returning(User.id, User.claimed_preauthorization)
        .execution_options(synchronize_session=False)
    ).all()
    for each in gone:
        preauthorization.restore(db, each.claimed_preauthorization or ())
        audit.record(db, Event.REGISTRATION_EXPIRED, SYSTEM, user_id=each.id)
    return len(gone)


def _buckets(visitor: Visitor, email: str, *, is_proven: bool) -> list[tuple[str, str]]:
    """Return what a registration is charged to: who has proven the address waits behind no stranger who gave it."""
    network = (throttle.REGISTRATION_ADDRESS, visitor.network)
    return [network] if is_proven else [network, (throttle.REGISTRATION_ACCOUNT, names.email_key(email))]


def _check_roles(rules: RegistrationRules, asked: Iterable[str]) -> set[str]:
    given = set(asked)
    if beyond := sorted(given - set(rules.roles)):
        raise InvalidInputError({"roles": [sentences.ROLE_BEYOND_APP(role=repr(role)) for role in beyond]})
    return given


def _check_address(db: Session, visitor: Visitor, person: Person) -> None:
    """Refuse an address that has an account: told only to whoever has an invitation, and thereby the mailbox."""
    owner = users.owner_of_address(db, person.email)
    if owner is not None and not owner["is_registration_pending"]:
        audit.record(db, Event.REGISTRATION_REFUSED, visitor, user_id=owner["id"], reason="address_taken")
        raise AlreadyExistsError(sentences.ADDRESS_HAS_ACCOUNT())


def _check_username(db: Session, person: Person) -> None:
    is_taken = users.is_username_taken(db, person.username, unless_pending_at=person.email)
    # A user name that is the address says no more than the address does: then the reply must not tell either.
    if is_taken and "@" not in person.username:
        raise InvalidInputError({"username": [sentences.USERNAME_TAKEN()]})


def _is_of(email: str, domains: Iterable[str]) -> bool:
    """Tell whether an address belongs to one of some domains; without any, all do."""
    allowed = {names.domain_key(domain) for domain in domains}
    return not allowed or names.domain_key(email.rpartition("@")[2]) in allowed


def _refuse(db: Session, visitor: Visitor, reason: str, sentence: Sentence) -> NoReturn:
    audit.record(db, Event.REGISTRATION_REFUSED, visitor, reason=reason)
    raise RegistrationRefused(sentence)
