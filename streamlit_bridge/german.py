"""What ``texts`` says to people, in German."""

from typing import Final

from streamlit_bridge import texts

GERMAN: Final = {
    texts.SIGN_IN_TITLE: "Bitte melden Sie sich an",
    texts.SIGN_IN_TEXT: "Diese Seite ist für angemeldete Benutzer. Nach der Anmeldung kommen Sie hierher zurück.",
    texts.SIGN_IN_BUTTON: "Anmelden",
    texts.CLASSIC_SIGN_IN_TITLE: "Anmelden",
    texts.CLASSIC_SIGN_IN_TEXT: "Sie melden sich auf einer eigenen, geschützten Seite an und kommen hierher zurück.",
    texts.SIGN_IN_UNFINISHED: (
        "Die Anmeldung wurde nicht abgeschlossen. Das macht nichts: Sie können es jederzeit noch einmal versuchen."
    ),
    texts.SESSION_ENDED: "Ihre Sitzung ist zu Ende, deshalb wurden Sie abgemeldet. Bitte melden Sie sich wieder an.",
    texts.SIGN_IN_LATER: "Der Anmeldedienst antwortet gerade nicht. Bitte versuchen Sie es gleich noch einmal.",
    texts.SIGN_IN_ELSEWHERE: (
        "Unter der Adresse, an der diese App geöffnet ist, kann sich niemand anmelden. Sie hat dafür eine andere."
    ),
    texts.SIGN_IN_ELSEWHERE_LINK: "Weiter bei {host}",
    texts.SIGNED_OUT_LOCALLY: (
        "Sie sind nur von dieser App abgemeldet, weil der Anmeldedienst nicht geantwortet hat. Dort und in anderen "
        "Apps sind Sie vielleicht noch angemeldet. Um auch das zu beenden, melden Sie sich später noch einmal an und "
        "wieder ab."
    ),
    texts.NOT_CONFIRMED: (
        "Der Anmeldedienst antwortet gerade nicht, deshalb weiß niemand, ob Sie noch angemeldet sind. "
        "Bitte versuchen Sie es gleich noch einmal."
    ),
    texts.EMBEDDED_TEXT: (
        "Diese App wird in einer anderen Seite angezeigt, in der Ihr Browser keine Anmeldung zulässt."
    ),
    texts.EMBEDDED_LINK: "Zum Anmelden in neuem Tab öffnen",
    texts.EMBEDDED_SIGN_OUT: (
        "Diese App wird in einer anderen Seite angezeigt, deshalb sind Sie vielleicht nur von ihr abgemeldet. Um "
        "überall abgemeldet zu sein, melden Sie sich auf Ihrer Kontoseite ab."
    ),
    texts.FORBIDDEN_TITLE: "Sie haben keinen Zugang zu dieser Seite",
    texts.FORBIDDEN_TEXT: (
        "Sie sind als **{name}** angemeldet, aber für diese Seite braucht man {roles}. Fragen Sie bei Bedarf den "
        "Betreiber dieser App: Eine neue Rolle gilt innerhalb einer Minute, ohne neue Anmeldung."
    ),
    texts.FORBIDDEN_ONE_ROLE: "die Rolle {role}",
    texts.FORBIDDEN_SEVERAL_ROLES: "eine der Rollen {roles}",
    texts.SIGN_OUT_BUTTON: "Abmelden",
    texts.CLASSIC_SIGN_OUT_BUTTON: "Abmelden",
    texts.ACCOUNT_LINK: "Mein Konto",
    texts.ACCOUNT_ROLES: "Rollen: {roles}",
    # Labels of the account widgets.
    "Register user": "Konto anlegen",
    "First name": "Vorname",
    "Last name": "Nachname",
    "Email": "E-Mail-Adresse",
    "Username": "Benutzername",
    "Password": "Passwort",
    "Repeat password": "Passwort wiederholen",
    "Captcha": "Captcha",
    "Register": "Konto anlegen",
    "Reset password": "Passwort ändern",
    "Current password": "Aktuelles Passwort",
    "New password": "Neues Passwort",
    "Reset": "Ändern",
    "Forgot password": "Passwort vergessen",
    "Submit": "Absenden",
    "Forgot username": "Benutzernamen vergessen",
    "Update user details": "Angaben ändern",
    "Field": "Angabe",
    "New value": "Neuer Wert",
    "Update": "Ändern",
    "Verification code": "Code bestätigen",
    "Code": "Code",
    # What is refused.
    texts.PASSWORDS_DIFFER: "Die Passwörter sind nicht gleich",
    texts.USERNAME_TAKEN: "Benutzername oder E-Mail-Adresse ist schon vergeben",
    texts.NOT_PREAUTHORIZED: "Diese Adresse ist nicht zur Registrierung vorgesehen",
    texts.NOT_PREAUTHORIZED_CLASSIC: "Diese Adresse ist nicht zur Registrierung vorgesehen",
    texts.CURRENT_IS_WRONG: "Das Passwort ist falsch",
    texts.NEW_IS_MISSING: "Das neue Passwort fehlt",
    texts.NEW_IS_CURRENT: "Das neue Passwort ist dasselbe wie das aktuelle",
    texts.VALUE_UNCHANGED: "Der neue Wert ist derselbe wie der aktuelle",
    texts.USERNAME_MISSING: "Der Benutzername fehlt",
    texts.EMAIL_MISSING: "Die E-Mail-Adresse fehlt",
    texts.CAPTCHA_WRONG: "Die Zeichen aus dem Bild stimmen nicht",
    texts.TOO_MANY_USERS: "Es sind schon so viele angemeldet, wie diese App zulässt",
    texts.NONE_CHOSEN: "Das Passwort fehlt",
    texts.CURRENT_IS_MISSING: "Das aktuelle Passwort fehlt",
    texts.VALUE_MISSING: "Der neue Wert fehlt",
    texts.CODE_WRONG: (
        "Der Code ist falsch oder gilt nicht mehr. Versuchen Sie es noch einmal, oder fangen Sie von vorn an, um einen "
        "neuen zu bekommen."
    ),
    texts.NOBODY_SIGNED_IN: "Niemand ist angemeldet, also gibt es kein Konto zu ändern",
    texts.SOMEBODY_ELSE: "Hier lässt sich nur das eigene Konto ändern",
    texts.TRY_LATER: (
        "Der Anmeldedienst antwortet gerade nicht. Es wurde nichts geändert; bitte versuchen Sie es gleich noch einmal."
    ),
    texts.ANSWER_LOST: (
        "Die Antwort des Anmeldedienstes ging verloren, deshalb ist nicht bekannt, ob das geschehen ist. Sie können es "
        "noch einmal versuchen; wird das abgelehnt, hat es wohl beim ersten Mal geklappt."
    ),
    texts.NOT_OFFERED_HERE: "Das darf diese App nicht selbst. Bitte nutzen Sie Ihre Kontoseite beim Anmeldedienst.",
    texts.STILL_AT_IT: "Ihre Anfrage ist noch in Arbeit. Bitte sehen Sie gleich noch einmal nach.",
    texts.THROTTLED: "Das waren zu viele Versuche. Bitte warten Sie {wait} und versuchen Sie es dann noch einmal.",
    texts.WAIT_A_MOMENT: "einige Minuten",
    texts.WAIT_SECONDS: "{count} Sekunden",
    texts.WAIT_MINUTES: "{count} Minuten",
    texts.SEVERAL_FAULTS: "Das geht so noch nicht:",
    texts.REFUSED_WITHOUT_REASON: "Der Anmeldedienst hat das abgelehnt und keinen Grund genannt.",
    # What was done, and what to know.
    texts.REGISTER_MAILED: (
        "Eine E-Mail an {email} ist unterwegs. Öffnen Sie den Link darin, dann ist Ihr Konto bereit."
    ),
    texts.REGISTER_READY: "Ihr Konto ist bereit. Sie können sich jetzt anmelden.",
    texts.EMAIL_MAILED: (
        "Eine E-Mail an {email} ist unterwegs. Öffnen Sie den Link darin; bis dahin bleibt es bei der alten Adresse."
    ),
    texts.EMAIL_HINT: "Wir senden einen Link an die neue Adresse, um sicher zu sein, dass sie Ihnen gehört.",
    texts.CODE_MAILED: "Eine E-Mail mit einem sechsstelligen Code ist unterwegs. Das kann eine Minute dauern.",
    texts.CODE_CANCEL: "Von vorn beginnen",
    texts.CAPTCHA_ALT: "Verzerrte Buchstaben und Ziffern. Wählen Sie „Zeichen anhören“, um sie zu hören.",
    texts.CAPTCHA_LISTEN: "Zeichen anhören",
    texts.CAPTCHA_HINT: "Geben Sie die Zeichen aus dem Bild ein. Groß oder klein ist gleich.",
    texts.CAPTCHA_SOLVED: "Captcha gelöst",
    texts.HOSTED_TEXT: "Das geschieht auf einer eigenen, geschützten Seite.",
    texts.HOSTED_BUTTONS["Register user"]: "Konto anlegen",
    texts.HOSTED_BUTTONS["Reset password"]: "Mein Passwort ändern",
    texts.HOSTED_BUTTONS["Update user details"]: "Meine Angaben ändern",
    texts.HOSTED_BUTTONS["Forgot password"]: "Neues Passwort wählen",
    texts.HOSTED_BUTTONS["Forgot username"]: "Meinen Benutzernamen finden",
    texts.HOSTED_UNKNOWN: "Das ist gerade nicht möglich. Bitte versuchen Sie es später noch einmal.",
}
