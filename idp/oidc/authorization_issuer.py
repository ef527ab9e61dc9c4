"""What the authorization endpoint itself gives out: a code, and in the implicit and hybrid flows tokens beside it.

OIDC Core sections 3.2.2.5 and 3.3.2.5. RFC 9700 section 2.1.2 advises against tokens here; the operator turns them on.
"""

from typing import TYPE_CHECKING

from sqlalchemy.orm import Session

from idp import clock, crypto
from idp.accounts.sessions import CurrentSession
from idp.errors import ExpiredError
from idp.oidc import token_status
from idp.oidc.authorization_request import AuthorizationRequest
from idp.oidc.authorization_response import CODE
from idp.oidc.codes import PREFIX, issue_code, write_grant
from idp.oidc.token_issuer import (
    Authorization,
    access_token_expires_at,
    id_token_claims,
    mint_access_token,
    prepare_id_token,
)

if TYPE_CHECKING:
    from idp.oidc.server import Provider


def issue(db: Session, provider: "Provider", request: AuthorizationRequest, session: CurrentSession) -> dict[str, str]:
    """Give out what a person granted: returns the parameters of the answer.

    Raises:
        ExpiredError: the session or account ended at this very moment, a consent was taken back or the client changed.
        CannotEncrypt: the ID token cannot be encrypted as the client wants it; `check_encryption` tells beforehand.
    """
    if request.response_type == CODE:
        return {"code": issue_code(db, provider, request, session)}
    code = PREFIX + crypto.new_token() if request.wants(CODE) else None
    grant_id = write_grant(db, provider, request, session, code=code, kind="implicit")
    grant = token_status.find_grant(db, provider.settings, grant_id)
    if grant is None:
        raise ExpiredError("The session ended just now. Go back to the app and start again.")
    answer = {"code": code} if code else {}
    access_token = None
    if request.wants("token"):
        authorization = Authorization(request.client, grant["grant_scope"], grant, resources=request.resources)
        expires_at = access_token_expires_at(provider, authorization)
        access_token = mint_access_token(provider, authorization, expires_at)
        answer |= {
            "access_token": access_token,
            "token_type": "Bearer",
            "expires_in": str(expires_at - clock.now()),
            "scope": authorization.scope,
        }
    if request.wants("id_token"):
        answer["id_token"] = prepare_id_token(
            provider,
            request.client,
            grant,
            id_token_claims(request.client, grant["grant_scope"], grant, is_alone=request.response_type == "id_token"),
            nonce=request.nonce,
            access_token=access_token,
            code=code,
        ).finish()
    return answer
