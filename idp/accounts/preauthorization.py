"""Addresses that may register: listed by the operator, claimed once, gone afterwards.

An address is claimed by deleting its row, in the transaction of the registration. While that registration waits for
the address to be confirmed, the account holds what was claimed (`User.claimed_preauthorization`): whoever registers
with a stranger's address takes nothing away from its owner, who may register as well; and should nobody confirm it,
the row comes back (see `registration.sweep_pending`).
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from sqlalchemy import ColumnElement, Executable, and_, delete, or_, select
from sqlalchemy.orm import Session

from idp import clock, crypto, sentences
from idp.accounts import audit, names, one_time_links
from idp.accounts.audit import Event
from idp.accounts.roles import fault_of_role
from idp.accounts.visitor import Visitor
from idp.clock import DAY
from idp.errors import ExpiredError, refuse_faults
from idp.mail import messages, outbox
from idp.models import Preauthorization, User
from idp.settings import Settings
from idp.storage.changes import count_changed
from idp.storage.database import INSERTS, EitherInsert, insert_into
from idp.storage.statements import Prepared

INVITATION_LIFETIME = 7 * DAY
_PAGE = 500
_COLUMNS = (
    Preauthorization.id,
    Preauthorization.email,
    Preauthorization.client_id,
    Preauthorization.roles,
    Preauthorization.created_at,
    Preauthorization.expires_at,
)


def _listing(insert: EitherInsert) -> Executable:
    """Return the statement that lists an address; one that is listed already gets these roles and this end."""
    anew = ("email", "roles", "expires_at", "created_at")
    key = (Preauthorization.email_key, Preauthorization.client_id)
    changed = {name: insert.excluded[name] for name in anew}
    return insert.on_conflict_do_update(index_elements=key, set_=changed).returning(*_COLUMNS)


# Prepared, for operators bring addresses by the thousand, and nobody else writes to SQLite meanwhile.
_LIST = Prepared(
    {name: _listing(insert(Preauthorization)) for name, insert in INSERTS.items()},
    columns=("id", "email_key", "client_id", "email", "roles", "expires_at", "created_at"),
)


@dataclass(frozen=True)
class Preauthorized:
    """An address that may register.

    Attributes:
        id: of its row.
        email: as it was listed.
        client_id: at which app; empty for all.
        roles: that its owner gets.
        created_at: when it was listed.
        expires_at: until when; None for ever.
    """

    id: str
    email: str
    client_id: str
    roles: Sequence[str]
    created_at: int
    expires_at: int | None

    @property
    def is_over(self) -> bool:
        """Whether its time is over."""
        return self.expires_at is not None and self.expires_at <= clock.now()

    def as_dict(self) -> dict[str, Any]:
        """Return it for JSON."""
        return asdict(self)


def preauthorize(
    db: Session,
    visitor: Visitor,
    email: str,
    *,
    roles: Iterable[str] = (),
    client_id: str = "",
    expires_at: int | None = None,
) -> Preauthorized:
    """List an address. One that is listed already gets these roles and this end instead.

    Args:
        roles: that its owner gets at registration.
        client_id: only for who registers at this app; empty for everywhere.
        expires_at: the listing is worth nothing from then on; None for no end.

    Raises:
        InvalidInputError: no address, or a role that is none.
    """
    email, faults = names.check_email(email)
    given = sorted(set(roles))
    refuse_faults({"email": faults, "role": [fault for role in given if (fault := fault_of_role(role))]})
    row = _LIST.first(
        db,
        id=crypto.new_id(),
        email_key=names.email_key(email),
        client_id=client_id,
        email=email,
        roles=given,
        expires_at=expires_at,
        created_at=clock.now(),
    )
    assert row is not None  # RETURNING gives what was written
    listed = Preauthorized(**row)
    audit.record(db, Event.PREAUTHORIZED, visitor, client_id=client_id or None, email=email, roles=listed.roles)
    return listed


def invite(
    db: Session,
    settings: Settings,
    visitor: Visitor,
    email: str,
    *,
    roles: Iterable[str] = (),
    client_id: str = "",
    expires_at: int | None = None,
    app_name: str = "",
    language: str = "en",
) -> Preauthorized:
    """List an address and mail its owner a link to register with, which proves the address.

    Args:
        roles, client_id, expires_at: as for `preauthorize`.
        app_name: how the mail calls that app.
        language: of the mail.

    Raises:
        InvalidInputError: no address, or a role that is none.
    """
    listed = preauthorize(db, visitor, email, roles=roles, client_id=client_id, expires_at=expires_at)
    lifetime = INVITATION_LIFETIME if expires_at is None else min(INVITATION_LIFETIME, expires_at - clock.now())
    token = one_time_links.make_link(
        db,
        one_time_links.INVITATION,
        user_id=None,
        email=names.email_key(listed.email),
        binding=listed.id,
        lifetime=lifetime,
        data={"email": listed.email, "client_id": client_id},
    )
    link = one_time_links.page_url(settings, one_time_links.INVITATION, token)
    days = max(1, -(-lifetime // DAY))
    message = messages.invitation(settings, language, link=link, days=days, app_name=app_name)
    outbox.post(db, settings, message, listed.email)
    audit.record(db, Event.INVITED, visitor, client_id=client_id or None, email=listed.email)
    return listed


def peek_invitation(db: Session, token: str) -> Preauthorized:
    """Look at an invitation without using it.

    Raises:
        ExpiredError: the link is no good any more, or the address was withdrawn.
    """
    link = one_time_links.peek_link(db, token, one_time_links.INVITATION)
    listed = find(db, link.data["email"], link.data["client_id"])
    if listed is None:
        raise ExpiredError(sentences.LINK_GONE())
    return listed


def withdraw(db: Session, visitor: Visitor, email: str, *, client_id: str = "") -> bool:
    """Take an address off the list. A registration that claimed it and waits for confirmation is undone.

    Returns:
        Whether it was listed.
    """
    key = names.email_key(email)
    gone = db.execute(
        delete(Preauthorization)
        .where(Preauthorization.email_key == key, Preauthorization.client_id == client_id)
        .returning(Preauthorization.id)
    ).first()
    held = _held_by_pending(db, key)
    undone = delete(User).where(User.email_key == key, User.is_registration_pending.is_(True))
    # Whoever confirms the address at this moment has an account, from which nothing is taken.
    if any(each.client_id == client_id for each in held) and count_changed(db, undone):
        restore(db, [each.as_dict() for each in held if each.client_id != client_id])
    elif gone is None:
        return False
    audit.record(db, Event.PREAUTHORIZATION_WITHDRAWN, visitor, client_id=client_id or None, email=email[:254])
    return True


def each_preauthorization(db: Session) -> Iterator[Preauthorized]:
    """Yield all listed addresses, expired ones too until they are swept, in the order of the addresses."""
    in_order = select(*_COLUMNS).order_by(Preauthorization.email_key, Preauthorization.client_id)
    for row in db.execute(in_order.execution_options(yield_per=_PAGE)):
        yield Preauthorized(**row._mapping)


def find(db: Session, email: str, client_id: str = "") -> Preauthorized | None:
    """Return the listing of an address for an app, also when a registration that waits has claimed it; or None."""
    key = names.email_key(email)
    rows = db.execute(select(*_COLUMNS).where(_is_good(key, client_id))).all()
    held = [each for each in _held_by_pending(db, key) if each.client_id in ("", client_id) and not each.is_over]
    listed = [*(Preauthorized(**row._mapping) for row in rows), *held]
    return max(listed, key=lambda each: each.client_id, default=None)


def claim(db: Session, email: str, client_id: str = "") -> list[Preauthorized]:
    """Claim the listing of an address: of any number who try at once, one deletes the row.

    What an earlier registration of the same address holds that still waits is listed again first: this one makes it
    over, and claims no more than is its own.

    Args:
        client_id: the app at which somebody registers; a listing for all apps counts too.

    Returns:
        The rows, as they were: they come back one by one if the address is never confirmed.
    """
    key = names.email_key(email)
    restore(db, [each.as_dict() for each in _held_by_pending(db, key)])
    listing = delete(Preauthorization).where(_is_good(key, client_id)).returning(*_COLUMNS)
    rows = db.execute(listing).all()
    if not rows and (held := _held_by_pending(db, key)):  # another one claimed it while this one waited for the row
        restore(db, [each.as_dict() for each in held])
        rows = db.execute(listing).all()
    return [Preauthorized(**row._mapping) for row in rows]


def restore(db: Session, held: Sequence[Mapping[str, Any]]) -> None:
    """List addresses again that were claimed in vain, unless they are listed anew or their time is over."""
    for each in held:
        listed = Preauthorized(**each)
        if not listed.is_over:
            statement = insert_into(db, Preauthorization).values(**each, email_key=names.email_key(listed.email))
            db.execute(statement.on_conflict_do_nothing())


def _is_good(key: str, client_id: str) -> ColumnElement[bool]:
    return and_(
        Preauthorization.email_key == key,
        Preauthorization.client_id.in_({"", client_id}),
        or_(Preauthorization.expires_at.is_(None), Preauthorization.expires_at > clock.now()),
    )


def _held_by_pending(db: Session, key: str) -> list[Preauthorized]:
    """Return the listings that a registration of this address holds while it waits."""
    held = db.execute(
        select(User.claimed_preauthorization).where(User.email_key == key, User.is_registration_pending.is_(True))
    ).scalar()
    return [Preauthorized(**each) for each in held or ()]
