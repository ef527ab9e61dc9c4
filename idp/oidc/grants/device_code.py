"""The device code grant (RFC 8628 section 3.4): a device asks, again and again, whether somebody has typed its code."""

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidGrantError
from sqlalchemy import or_, select, update

from idp import clock, crypto
from idp.accounts import audit
from idp.accounts.audit import Event
from idp.models import AuthorizationGrant, DeviceAuthorization
from idp.oidc import token_status
from idp.oidc.clients import DEVICE_CODE_GRANT, ClientMetadata
from idp.oidc.grants.grant import Grant
from idp.oidc.token_issuer import Authorization

SLOW_DOWN_BY = 5  # seconds that the interval grows when a device asks too often (section 3.5)
_UNUSABLE = "The device_code is unknown, already used, or was issued to another client."
_ENDED = "The session or account that this device_code stands for has ended."


class DeviceCodeGrant(Grant):
    """Exchanges a device code for tokens, once."""

    GRANT_TYPE = DEVICE_CODE_GRANT

    def authorize(self, client: ClientMetadata) -> Authorization:
        """Say how things stand; when somebody has said yes, claim the code."""
        code_digest = crypto.digest(self.request.payload.required("device_code"))
        device = self.request.db.execute(
            select(
                DeviceAuthorization.id,
                DeviceAuthorization.state,
                DeviceAuthorization.grant_id,
                DeviceAuthorization.claimed_at,
                DeviceAuthorization.expires_at,
            ).where(
                DeviceAuthorization.device_code_digest == code_digest,
                DeviceAuthorization.client_id == client.client_id,
            )
        ).first()
        if device is None:
            raise InvalidGrantError(_UNUSABLE)
        if device.claimed_at is not None:
            self._end_family(client, device.grant_id)
        if device.state == "denied":
            raise OAuth2Error("The person denied the request.", error="access_denied")
        if device.expires_at <= clock.now():
            raise OAuth2Error("The device_code has expired. Ask for a new one.", error="expired_token")
        if device.state == "waiting":
            self._wait(device.id)
        return self._redeem(client, device.id, device.grant_id)

    def _wait(self, device_id: str) -> None:
        """Nobody has answered yet: note that the device asked, and whether it asked too soon."""
        db, now = self.request.db, clock.now()
        mine = update(DeviceAuthorization).where(DeviceAuthorization.id == device_id)
        is_in_time = or_(
            DeviceAuthorization.last_polled_at.is_(None),
            DeviceAuthorization.last_polled_at <= now - DeviceAuthorization.interval,
        )
        noted = db.execute(
            mine.where(is_in_time)
            .values(last_polled_at=now)
            .returning(DeviceAuthorization.id)
            .execution_options(synchronize_session=False)
        )
        if noted.first() is not None:
            raise OAuth2Error("Nobody has answered yet.", error="authorization_pending")
        db.execute(mine.values(last_polled_at=now, interval=DeviceAuthorization.interval + SLOW_DOWN_BY))
        raise OAuth2Error(f"Asked too soon: wait {SLOW_DOWN_BY} seconds longer from now on.", error="slow_down")

    def _redeem(self, client: ClientMetadata, device_id: str, grant_id: str) -> Authorization:
        """Claim the code: of any number who ask at once, one gets tokens.

        A proof is noted from here on only: before somebody has said yes, strangers get codes, and may ask without end.
        """
        self.note_proof()
        db, now = self.request.db, clock.now()
        # The grant first, as by whoever removes it, and the device with it.
        db.execute(update(AuthorizationGrant).where(AuthorizationGrant.id == grant_id).values(code_claimed_at=now))
        claimed = db.execute(
            update(DeviceAuthorization)
            .where(DeviceAuthorization.id == device_id, DeviceAuthorization.claimed_at.is_(None))
            .values(claimed_at=now)
            .returning(DeviceAuthorization.id)
            .execution_options(synchronize_session=False)
        ).first()
        if claimed is None:
            self._end_family(client, grant_id)
        grant = token_status.find_grant(db, self.server.settings, grant_id)
        if grant is None:
            raise InvalidGrantError(_ENDED)
        return self.first_tokens(client, grant)

    def _end_family(self, client: ClientMetadata, grant_id: str) -> None:
        """A second use betrays that somebody else has the code: all that came of it ends (RFC 9700 section 4.5)."""
        self.note_proof()
        if token_status.revoke_grant(self.request.db, grant_id):
            audit.record(self.request.db, Event.CODE_REUSED, self.request.visitor, client_id=client.client_id)
        raise InvalidGrantError(_UNUSABLE)
