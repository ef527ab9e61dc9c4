"""Every sentence that the bridge shows to people or writes for app authors, in one place.

Labels that apps may replace through ``fields=`` keep the keys that they always had ("Form name", "Login"). Apps that
bring their own ``wording`` name the sentences for people by these very texts, gaps included.
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
SIGN_IN_LATER: Final = "The sign-in service does not answer just now. Please try again in a moment."
SIGN_IN_ELSEWHERE: Final = "Nobody can sign in at the address where this app is open. It has another one for that."
SIGN_IN_ELSEWHERE_LINK: Final = "Go on at {host}"
SIGNED_OUT_LOCALLY: Final = (
    "You are signed out of this app only, because the sign-in service did not answer. You may still be signed in there "
    "and in other apps: to end that, please sign in once more later, and sign out again."
)
NOT_CONFIRMED: Final = (
    "The sign-in service does not answer just now, so nobody can say whether you are still signed in. "
    "Please try again in a moment."
)
EMBEDDED_TEXT: Final = "This app is shown inside another page, where your browser does not let you sign in."
EMBEDDED_LINK: Final = "Open in a new tab to sign in"
EMBEDDED_SIGN_OUT: Final = (
    "This app is shown inside another page, so you may be signed out of this app only. To be signed out everywhere, "
    "sign out on your account page."
)

FORBIDDEN_TITLE: Final = "You do not have access to this page"
FORBIDDEN_TEXT: Final = (
    "You are signed in as **{name}**, but this page asks for {roles}. "
    "If you need it, ask whoever runs this app: a new role takes effect within a minute, without signing in again."
)
FORBIDDEN_ONE_ROLE: Final = "the role {role}"
FORBIDDEN_SEVERAL_ROLES: Final = "one of the roles {roles}"

SIGN_OUT_BUTTON: Final = "Sign out"
CLASSIC_SIGN_OUT_BUTTON: Final = "Logout"
RUN_ENDED: Final = "This run ends here: nobody is signed in who may go on. Apps are run by `streamlit run`."
NOBODY_TO_SIGN_OUT: Final = "Nobody is signed in, so there is no session to end"
ACCOUNT_LINK: Final = "My account"
ACCOUNT_ROLES: Final = "Roles: {roles}"

# Labels of the account widgets. Apps replace them by these very keys, so the keys never change.
LABELS: Final = {
    "Register user": {
        "Form name": "Register user",
        "First name": "First name",
        "Last name": "Last name",
        "Email": "Email",
        "Username": "Username",
        "Password": "Password",
        "Repeat password": "Repeat password",
        "Captcha": "Captcha",
        "Register": "Register",
    },
    "Reset password": {
        "Form name": "Reset password",
        "Current password": "Current password",
        "New password": "New password",
        "Repeat password": "Repeat password",
        "Reset": "Reset",
    },
    "Forgot password": {
        "Form name": "Forgot password",
        "Username": "Username",
        "Captcha": "Captcha",
        "Submit": "Submit",
    },
    "Forgot username": {
        "Form name": "Forgot username",
        "Email": "Email",
        "Captcha": "Captcha",
        "Submit": "Submit",
    },
    "Update user details": {
        "Form name": "Update user details",
        "Field": "Field",
        "First name": "First name",
        "Last name": "Last name",
        "Email": "Email",
        "New value": "New value",
        "Current password": "Current password",
        "Update": "Update",
    },
}

# What apps compare error texts with. These are part of the interface.
PASSWORDS_DIFFER: Final = "Passwords do not match"
USERNAME_TAKEN: Final = "Username/email already taken"
NOT_PREAUTHORIZED: Final = "User not pre-authorized to register"
NOT_PREAUTHORIZED_CLASSIC: Final = "User not preauthorized to register"
DOMAIN_REFUSED: Final = "Email domain is not allowed to register"
CURRENT_IS_WRONG: Final = "Password is incorrect"
NEW_IS_MISSING: Final = "No new password provided"
NEW_IS_CURRENT: Final = "New and current passwords are the same"
VALUE_UNCHANGED: Final = "New and current values are the same"
USERNAME_MISSING: Final = "Username not provided"
EMAIL_MISSING: Final = "Email not provided"
CAPTCHA_WRONG: Final = "Captcha entered incorrectly"
TOO_MANY_USERS: Final = "Maximum number of concurrent users exceeded"
SIGN_IN_REFUSALS: Final = (TOO_MANY_USERS,)
KNOWN_MESSAGES: Final = frozenset(
    {
        PASSWORDS_DIFFER,
        USERNAME_TAKEN,
        NOT_PREAUTHORIZED,
        DOMAIN_REFUSED,
        CURRENT_IS_WRONG,
        NEW_IS_MISSING,
        NEW_IS_CURRENT,
        VALUE_UNCHANGED,
        USERNAME_MISSING,
        EMAIL_MISSING,
        "Email already taken",
    }
)

NONE_CHOSEN: Final = "Password not provided"
CURRENT_IS_MISSING: Final = "Current password not provided"
VALUE_MISSING: Final = "New value not provided"
CODE_WRONG: Final = "The code is wrong or no longer valid. Try once more, or start again to get a new one."
CODE_LABELS: Final = {"Dialog name": "Verification code", "Code": "Code", "Submit": "Submit", "Error": CODE_WRONG}
NOBODY_SIGNED_IN: Final = "Nobody is signed in, so there is no account to change"
SOMEBODY_ELSE: Final = "Only the signed-in user's own account can be changed here"
TRY_LATER: Final = "The sign-in service does not answer just now. Nothing was changed; please try again in a moment."
ANSWER_LOST: Final = (
    "The sign-in service's answer was lost, so it is not known whether this was done. You can try again; if that is "
    "refused, it was probably done the first time."
)
NOT_OFFERED_HERE: Final = "This app may not do that itself. Please use your account page at the sign-in service."
STILL_AT_IT: Final = "Your request is still being worked on. Please look again in a moment."
THROTTLED: Final = "Too many attempts. Please wait {wait}, then try again."
WAIT_A_MOMENT: Final = "a few minutes"
WAIT_SECONDS: Final = "{count} seconds"
WAIT_MINUTES: Final = "{count} minutes"
SEVERAL_FAULTS: Final = "This is not accepted yet:"
REFUSED_WITHOUT_REASON: Final = "The sign-in service refused this without giving a reason."

REGISTER_MAILED: Final = "We have sent a message to {email}. Follow the link in it to finish your registration."
REGISTER_READY: Final = "Your account is ready. You can sign in now."
EMAIL_MAILED: Final = "We have sent a message to {email}. Follow the link in it; until then your old address stays."
EMAIL_HINT: Final = "We mail a link to the new address to make sure that it is yours."
CODE_MAILED: Final = "We have sent you a message with a six-digit code. It may take a minute to arrive."
CODE_CANCEL: Final = "Start again"
CAPTCHA_ALT: Final = "Distorted letters and digits. Choose “Listen to the characters” to hear them instead."
CAPTCHA_LISTEN: Final = "Listen to the characters"
CAPTCHA_HINT: Final = "Type the characters of the picture. Upper and lower case do not matter."
CAPTCHA_SOLVED: Final = "Captcha solved"

HOSTED_TEXT: Final = "This happens on a separate, protected page."
HOSTED_BUTTONS: Final = {
    "Register user": "Create an account",
    "Reset password": "Change my password",
    "Update user details": "Change my details",
    "Forgot password": "Reset my password",
    "Forgot username": "Find my user name",
}
HOSTED_UNKNOWN: Final = "This is not available just now. Please try again later."

BAD_LOCATION: Final = "location must be one of 'main', 'sidebar' and 'unrendered', not {location!r}"
BAD_FORM_LOCATION: Final = "location must be one of 'main' and 'sidebar', not {location!r}"
BAD_FIELDS: Final = "fields must be a mapping of labels; pass further arguments by name"
BAD_WORDING: Final = "wording has a gap in {sentence!r} that {english!r} has not"
ROLES_ARE_TEXTS: Final = 'each role is an argument of its own, as in require("admin", "owner")'
UNKNOWN_PAGE_IN_ROLES: Final = "roles names pages that do not exist: {pages}. The pages are {known}."
ENVIRONMENT_INCOMPLETE: Final = "These environment variables are missing or empty: {names}."
SETTING_UNREADABLE: Final = "{name} names a file that cannot be read: {reason}"
TOO_LONG_FOR_BCRYPT: Final = "bcrypt reads 72 bytes at most; this password is longer"
PARTS_MISSING: Final = (
    "{reason}. The bridge needs what this installs, with a recent Streamlit: pip install 'streamlit-idp[streamlit]'"
)
NOT_CONFIGURED: Final = (
    "Signing in is not set up: {reason} The command `idp client add-streamlit NAME --url URL "
    "--secrets .streamlit/secrets.toml` writes the [auth] section that is needed. Settings in the environment are read "
    "where a file with st.App and streamlit_bridge.asgi() is what `streamlit run` starts."
)
UNKNOWN_ARGUMENT: Final = "Authenticate() got an unexpected keyword argument {name!r}"
OLD_ARGUMENTS_UNUSED: Final = (
    "Authenticate was given arguments of the older package. Accounts and sessions now live at the identity provider, "
    "so they are accepted and not used. To move your accounts over, run `idp import streamlit-authenticator "
    "CONFIG.yaml` at the provider, then write `Authenticate()`."
)
TOKENS_NOT_EXPOSED: Final = (
    'The access token is not available, so ended sessions cannot be noticed early. Add expose_tokens = ["access"] '
    "to the [auth] section of secrets.toml; until then a sign-in lasts as long as its ID token."
)
SCOPE_MISSING: Final = (
    "The access token lacks the scope 'account', so name and roles are not refreshed. Add it to client_kwargs.scope in "
    "the [auth] section of secrets.toml and allow it for this client at the provider."
)
WIDGET_IS_HOSTED: Final = (
    "A widget leads to the provider's own page, because this app gets no token with the scope %s. The reason: %s"
)
SCOPE_NOT_GRANTED: Final = (
    "its client is not granted the scope at the provider. Once the provider's operator grants it, the widget becomes a "
    "form within five minutes."
)
CREDENTIALS_REFUSED: Final = (
    "the provider refuses client_id and client_secret of the [auth] section, so nobody can sign in either. "
    "`idp client list` names the clients, and `idp client rotate-secret` makes a new secret."
)
SETTING_MISSING: Final = (
    "the [auth] section of the secrets has no %s. The command `idp client add-streamlit NAME --url URL "
    "--secrets .streamlit/secrets.toml` writes that section."
)
SIGN_IN_NOT_STARTED: Final = (
    "Somebody could not sign in, because the provider did not answer as it should at %s (%s). Does it run, can this "
    "app reach it there, and is server_metadata_url in the [auth] section of the secrets right?"
)
OPENED_ELSEWHERE: Final = (
    "Somebody could not sign in, because the app is open at %s, and redirect_uri in the [auth] section of the secrets "
    "leads to %s. Open it there. If people shall use the other address (where a port is taken, Streamlit takes the "
    "next), that has to be the one in redirect_uri, and a --redirect-uri of `idp client update`."
)
ACCOUNT_NOT_CHANGEABLE: Final = (
    "The widget %r needs the user's access token with the scope 'account', so it leads to the provider's own page. "
    'Set expose_tokens = ["access"] and add account to client_kwargs.scope in the [auth] section of secrets.toml.'
)
GUEST_LOGIN_UNUSED: Final = (
    "experimental_guest_login shows no button: people sign in at the identity provider, whatever accounts it accepts. "
    "Call login() where the app does not yet."
)
HINT_UNUSED: Final = (
    "register_user was asked for a password hint. Hints help strangers more than owners, so there are none any more."
)
ACCOUNT_API_ABSENT: Final = (
    "The provider announces no account_api_endpoint, so ended sessions cannot be noticed early: a sign-in lasts as "
    "long as its ID token."
)
PROVIDER_UNAVAILABLE: Final = (
    "The provider did not answer (%s). Users stay signed in, those it has not confirmed while their ID token lasts; "
    "asking again in %.0f s."
)
