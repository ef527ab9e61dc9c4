"""Every sentence that the bridge shows to people or writes for app authors, in one place.

Labels that apps may replace through ``fields=`` keep the keys that they always had ("Form name", "Login").
"""

from typing import Final

SIGN_IN_TITLE: Final = "Please sign in"
SIGN_IN_TEXT: Final = "This page is for signed-in users. You will come back to it afterwards."
SIGN_IN_BUTTON: Final = "Sign in"
CLASSIC_SIGN_IN_TITLE: Final = "Login"
CLASSIC_SIGN_IN_TEXT: Final = "You sign in on a separate, protected page and come back here afterwards."
CLASSIC_SIGN_IN_BUTTON: Final = "Login"
SIGN_IN_UNFINISHED: Final = "The sign-in was not finished. No harm done: you can try again whenever you like."
SESSION_ENDED: Final = "Your session has ended, so you were signed out. Please sign in again to go on."
EMBEDDED_TEXT: Final = "This app is shown inside another page, where your browser does not let you sign in."
EMBEDDED_LINK: Final = "Open in a new tab to sign in"

FORBIDDEN_TITLE: Final = "You do not have access to this page"
FORBIDDEN_TEXT: Final = (
    "You are signed in as **{name}**, but this page asks for {roles}. "
    "If you need it, ask whoever runs this app: a new role takes effect within a minute, without signing in again."
)
FORBIDDEN_ONE_ROLE: Final = "the role {role}"
FORBIDDEN_SEVERAL_ROLES: Final = "one of the roles {roles}"

SIGN_OUT_BUTTON: Final = "Sign out"
CLASSIC_SIGN_OUT_BUTTON: Final = "Logout"
NOBODY_TO_SIGN_OUT: Final = "Nobody is signed in, so there is no session to end"
ACCOUNT_LINK: Final = "My account"
ACCOUNT_ROLES: Final = "Roles: {roles}"

BAD_LOCATION: Final = "location must be one of 'main', 'sidebar' and 'unrendered', not {location!r}"
NOT_CONFIGURED: Final = (
    "Signing in is not set up: {reason} The command `idp client add-streamlit NAME --url URL "
    "--secrets .streamlit/secrets.toml` writes the [auth] section that is needed."
)
OLD_ARGUMENTS_UNUSED: Final = (
    "Authenticate was given %s. Accounts and sessions now live at the identity provider, so these arguments are "
    "accepted and not used. To move your accounts over, create them at the provider (`idp user add`), then write "
    "`Authenticate()`."
)
TOKENS_NOT_EXPOSED: Final = (
    'The access token is not available, so ended sessions cannot be noticed early. Add expose_tokens = ["access"] '
    "to the [auth] section of secrets.toml; until then a sign-in lasts as long as its ID token."
)
SCOPE_MISSING: Final = (
    "The access token lacks the scope 'account', so name and roles are not refreshed. Add it to client_kwargs.scope in "
    "the [auth] section of secrets.toml and allow it for this client at the provider."
)
ACCOUNT_API_ABSENT: Final = (
    "The provider announces no account_api_endpoint, so ended sessions cannot be noticed early: a sign-in lasts as "
    "long as its ID token."
)
PROVIDER_UNAVAILABLE: Final = "The provider did not answer (%s). Users stay signed in; asking again in %.0f s."
