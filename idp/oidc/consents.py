"""What a person allowed an app, remembered so that they are asked once."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Self

from sqlalchemy import select
from sqlalchemy.orm import Session

from idp import clock
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.accounts.visitor import Visitor
from idp.database import insert_into
from idp.models import Consent
from idp.oidc import scopes as known_scopes
from idp.oidc.authorization_request import AuthorizationRequest


@dataclass(frozen=True)
class GivenConsent:
    """What was allowed so far; nothing to begin with."""

    scopes: frozenset[str] = frozenset()
    claims: frozenset[str] = frozenset()

    @classmethod
    def of(cls, scope: str | None, claims: Iterable[str] | None) -> Self:
        """Read a row, or the absence of one."""
        return cls(frozenset(known_scopes.split(scope)), frozenset(claims or ()))

    def covers(self, request: AuthorizationRequest) -> bool:
        """Tell whether a request asks for nothing new."""
        if not self.scopes:
            return False
        asked_claims = request.claims.names - known_scopes.claims_of(self.scopes)
        return self.scopes.issuperset(request.scopes) and self.claims.issuperset(asked_claims)


def load_consent(db: Session, user_id: str, client_id: str) -> GivenConsent:
    """Return what a user allowed a client."""
    row = db.execute(
        select(Consent.scope, Consent.claims).where(Consent.user_id == user_id, Consent.client_id == client_id)
    ).first()
    return GivenConsent.of(*row) if row else GivenConsent()


def give_consent(db: Session, visitor: Visitor, user_id: str, request: AuthorizationRequest) -> None:
    """Remember that a person allowed what a request asks for, beside what they allowed before."""
    before = load_consent(db, user_id, request.client.client_id)
    scopes = [*sorted(before.scopes), *(scope for scope in request.scopes if scope not in before.scopes)]
    key = {"user_id": user_id, "client_id": request.client.client_id}
    given = {
        "scope": " ".join(scopes),
        "claims": sorted(before.claims | request.claims.names),
        "granted_at": clock.now(),
    }
    db.execute(
        insert_into(db, Consent).values(**key, **given).on_conflict_do_update(index_elements=list(key), set_=given)
    )
    audit.record(db, Event.CONSENT_GIVEN, visitor, **key, scope=" ".join(request.scopes))
