"""The authorization code grant with PKCE (RFC 6749 section 4.1.3, RFC 7636)."""

import re
from collections.abc import Iterator
from contextlib import contextmanager

from authlib.oauth2.base import OAuth2Error
from authlib.oauth2.rfc6749.errors import InvalidGrantError, InvalidRequestError

from idp.oidc import jwt_access_token, token_status
from idp.oidc.clients import ClientMetadata
from idp.oidc.codes import PresentedCode, is_verifier_of
from idp.oidc.grants.grant import Grant
from idp.oidc.requests import Answer
from idp.oidc.token_issuer import Authorization, id_token_claims

_VERIFIER = re.compile(r"[A-Za-z0-9._~-]{43,128}")
_UNUSABLE = "The code is unknown, expired, already used, was issued to another client, or what it stands for has ended."


class AuthorizationCodeGrant(Grant):
    """Redeems a code. The code is claimed first, so that whoever guesses at its verifier has one guess."""

    GRANT_TYPE = "authorization_code"

    _code: PresentedCode
    _remembered: ClientMetadata | None = None  # the client, where nothing has confirmed yet that it still is so

    def look_up(self, client_id: str) -> ClientMetadata | None:
        """Open the code; returns its client as remembered, if that is how it has to be: claiming the code tells."""
        self._code = PresentedCode(self.server.settings, self.request.payload.get("code") or "", client_id)
        kept = self.server.clients.kept(client_id)
        is_proven = self.request.client is not None
        if not is_proven and kept is not None and kept.version == self._code.client_version:
            self._remembered = kept
        return self._remembered

    def validate_token_request(self) -> None:
        """Authenticate the client and check that it may use this grant."""
        with self._confirming():
            super().validate_token_request()

    def create_token_response(self) -> Answer:  # type: ignore[override]
        """Claim, mint, answer."""
        with self._confirming():
            return super().create_token_response()

    @contextmanager
    def _confirming(self) -> Iterator[None]:
        """Say what is wrong to a client only once it is known to be the one that it says."""
        try:
            yield
        except OAuth2Error:
            self._confirm()
            raise

    def _confirm(self) -> None:
        """Authenticate the client by what the database says, if that was by what is remembered."""
        if self.request.client is not None and self.request.client is self._remembered:
            self._remembered = None
            self.authenticate()

    def authorize(self, client: ClientMetadata) -> Authorization:
        """Claim the code and check that it is presented as it was asked for."""
        self.request.payload.required("code")
        redirect_uri = self.request.payload.required("redirect_uri")
        verifier = self.request.payload.get("code_verifier")
        if verifier is not None and not _VERIFIER.fullmatch(verifier):
            raise InvalidRequestError("The code_verifier must have 43 to 128 unreserved characters.")
        db = self.request.db
        if self.proof is not None:
            if not self._code.is_known(db):
                raise InvalidGrantError(_UNUSABLE)
            self.note_proof()
        grant = self._code.claim(db)
        if grant is None:
            self._confirm()
            self._code.end_reused(db, self.request.visitor, verifier)
            raise InvalidGrantError(_UNUSABLE)
        self._remembered = None  # confirmed
        if redirect_uri != grant["redirect_uri"]:
            raise InvalidGrantError("The redirect_uri is not that of the authorization request.")
        _check_verifier(verifier, grant["code_challenge"])
        if grant["dpop_jkt"] is not None and grant["dpop_jkt"] != self.dpop_jkt:
            raise InvalidGrantError("The code is bound to a key: a DPoP proof of that key is needed.")
        scope = grant["grant_scope"]
        is_person_told_of = client.has_readable_access_tokens and jwt_access_token.needs_person(scope)
        if client.is_access_token_session_bound or is_person_told_of or id_token_claims(client, scope, grant):
            found = token_status.find_grant(db, self.server.settings, grant["grant_id"])
            if found is None:
                raise InvalidGrantError("The session or account that this code stands for has ended.")
            grant = found
        return self.first_tokens(client, grant)


def _check_verifier(verifier: str | None, challenge: str | None) -> None:
    """Compare verifier and challenge; one without the other is a downgrade (RFC 9700 section 4.8.2)."""
    if challenge is None:
        if verifier is not None:
            raise InvalidGrantError("There is a code_verifier, but the authorization request had no code_challenge.")
        return
    if verifier is None:
        raise InvalidGrantError("The code_verifier is missing.")
    if not is_verifier_of(challenge, verifier):
        raise InvalidGrantError("The code_verifier does not belong to the code_challenge.")
