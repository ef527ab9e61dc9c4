"""Presets: what a client of a known kind needs, so that nobody has to know it by heart."""

from typing import Final

from idp.oidc.clients import ClientMetadata

STREAMLIT_CALLBACK: Final = "/oauth2callback"


def streamlit_client(name: str, url: str, *, may_hand_out_passwords: bool = False) -> ClientMetadata:
    """Describe what a Streamlit app needs: to sign people in, and for its widgets to register and recover accounts.

    Streamlit never calls userinfo, so claims go into the ID token; it sends no refresh token, so its access token lives
    as long as the browser session and dies with it; it returns to its callback after sign-out too.

    Args:
        name: what people call it.
        url: where it is.
        may_hand_out_passwords: it gets the scope `recovery:password`: it learns which accounts there are, and may
            replace their passwords by one-time ones.
    """
    callback = url.rstrip("/") + STREAMLIT_CALLBACK
    return ClientMetadata(
        client_id="",
        client_name=name,
        client_uri=url,
        redirect_uris=(callback,),
        post_logout_redirect_uris=(callback,),
        grant_types=("authorization_code", "client_credentials"),
        scopes=(
            *("openid", "profile", "email", "roles", "account", "registration", "recovery"),
            *(("recovery:password",) if may_hand_out_passwords else ()),
        ),
        is_trusted=True,
        is_pkce_required=True,
        has_id_token_claims=True,
        is_access_token_session_bound=True,
    )
