"""What a move did, and what it did not: counts, and a finding for everything that somebody should know."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from typing import Any

EXAMPLES = 3


class Weight(Enum):
    """What a finding means for whoever moves."""

    LEFT_OUT = "left out"
    CHANGED = "changed"
    NOTED = "noted"
    DROPPED = "dropped"


class Kind(Enum):
    """Every kind of finding: its code, its weight, and what it means."""

    def __init__(self, code: str, weight: Weight, meaning: str) -> None:
        self.code = code
        self.weight = weight
        self.meaning = meaning

    BAD_ENTRY = "bad_entry", Weight.LEFT_OUT, "These entries are no accounts."
    MISSING_ADDRESS = (
        "missing_address",
        Weight.LEFT_OUT,
        "An account needs an e-mail address: add it to the file and import again, or use --email-domain.",
    )
    BAD_ADDRESS = "bad_address", Weight.LEFT_OUT, "These are no e-mail addresses."
    BAD_USERNAME = "bad_username", Weight.LEFT_OUT, "No permitted user name could be made of these."
    DUPLICATE_USERNAME = (
        "duplicate_username",
        Weight.LEFT_OUT,
        "Another entry of the file has this user name, when case and spelling are ignored.",
    )
    DUPLICATE_ADDRESS = (
        "duplicate_address",
        Weight.LEFT_OUT,
        "Another entry of the file has this address, when case is ignored.",
    )
    LOOK_ALIKE = "look_alike", Weight.LEFT_OUT, "The user name looks like that of somebody else."
    USERNAME_TAKEN = (
        "username_taken",
        Weight.LEFT_OUT,
        "An account with this user name exists, and has another address. It was left alone.",
    )
    ADDRESS_TAKEN = (
        "address_taken",
        Weight.LEFT_OUT,
        "An account with this address exists, and has another user name. It was left alone.",
    )
    REGISTRATION_PENDING = (
        "registration_pending",
        Weight.LEFT_OUT,
        "Somebody is registering with this name or address and has not confirmed the address yet: import again later.",
    )
    UNUSABLE_PASSWORD = (
        "unusable_password",
        Weight.LEFT_OUT,
        "The password could not come along: the account has none until its owner asks for a new one.",
    )
    BAD_ROLE = (
        "bad_role",
        Weight.LEFT_OUT,
        "These roles were not given: a role is letters, digits and . : _ - (64 at most).",
    )
    BAD_NAME = "bad_name", Weight.LEFT_OUT, "These people's names cannot be shown; their accounts have none."
    BAD_DETAIL = "bad_detail", Weight.LEFT_OUT, "These details are not what they should be."
    BAD_PREAUTHORIZATION = "bad_preauthorization", Weight.LEFT_OUT, "These preauthorizations name no e-mail address."
    RENAMED = (
        "renamed",
        Weight.CHANGED,
        "The user name broke a rule and was mended. The address works for signing in too.",
    )
    PLAIN_TEXT_PASSWORD = (
        "plain_text_password",
        Weight.CHANGED,
        "The password stands in the file as plain text. Here it is hashed; put the file away safely, or delete it.",
    )
    ADDRESS_MADE = "address_made", Weight.CHANGED, "There was no address: it was made of the user name."
    NAME_SPLIT = "name_split", Weight.CHANGED, "Which part is the family name was guessed."
    NEW_ID = "new_id", Weight.CHANGED, "The id belongs to somebody else here: the account has a new one."
    NO_PASSWORD = (
        "no_password",
        Weight.NOTED,
        "There was no password (a guest?): the owner can ask for one by mail.",
    )
    PREAUTHORIZATION_USED = (
        "preauthorization_used",
        Weight.NOTED,
        "The preauthorized address has an account already.",
    )
    HINT = "hint", Weight.DROPPED, "Password hints give passwords away: they do not come along."
    OTHER_SYSTEM = "other_system", Weight.DROPPED, "Only the old package had a use for these."
    UNKNOWN_KEY = "unknown_key", Weight.DROPPED, "Nothing here has a use for these."


@dataclass(frozen=True)
class Finding:
    """One thing that somebody should know.

    Attributes:
        subject: the user name, the address or the key that it is about.
        told: more, as a phrase; never a password or a hash.
        line: where in the file; 0 when that is not known.
    """

    kind: Kind
    subject: str
    told: str = ""
    line: int = 0


@dataclass
class Report:
    """What a move did. Counts are of accounts unless they say otherwise."""

    is_dry_run: bool = False
    layout: str = ""
    found: int = 0
    created: int = 0
    updated: int = 0
    unchanged: int = 0
    left_out: int = 0
    preauthorizations_found: int = 0
    preauthorizations_created: int = 0
    preauthorizations_unchanged: int = 0
    findings: list[Finding] = field(default_factory=list)
    dropped: dict[tuple[Kind, str], list[str]] = field(default_factory=dict)
    dropped_counts: dict[tuple[Kind, str], int] = field(default_factory=dict)

    def tell(self, kind: Kind, subject: str, told: str = "", line: int = 0) -> None:
        """Add a finding."""
        self.findings.append(Finding(kind, subject, told, line))

    def leave_out(self, kind: Kind, subject: str, told: str = "", line: int = 0) -> None:
        """Add a finding for which an account did not come in."""
        self.left_out += 1
        self.tell(kind, subject, told, line)

    def drop(self, kind: Kind, key: str, subject: str = "") -> None:
        """Count a key that did not come along, and remember the first subjects that had it."""
        self.dropped_counts[kind, key] = self.dropped_counts.get((kind, key), 0) + 1
        examples = self.dropped.setdefault((kind, key), [])
        if subject and len(examples) < EXAMPLES:
            examples.append(subject)

    @property
    def is_complete(self) -> bool:
        """Whether everything went in that is meant to."""
        return not any(finding.kind.weight is Weight.LEFT_OUT for finding in self.findings)

    def by_kind(self) -> Iterator[tuple[Kind, list[Finding]]]:
        """Yield each kind that has findings, the gravest first."""
        grouped: dict[Kind, list[Finding]] = {}
        for finding in self.findings:
            grouped.setdefault(finding.kind, []).append(finding)
        for kind in Kind:
            if kind in grouped:
                yield kind, grouped[kind]

    def as_dict(self) -> dict[str, Any]:
        """Return the whole report for JSON."""
        return {
            "dry_run": self.is_dry_run,
            "layout": self.layout,
            "complete": self.is_complete,
            "accounts": {
                "found": self.found,
                "created": self.created,
                "updated": self.updated,
                "unchanged": self.unchanged,
                "left_out": self.left_out,
            },
            "preauthorizations": {
                "found": self.preauthorizations_found,
                "created": self.preauthorizations_created,
                "unchanged": self.preauthorizations_unchanged,
            },
            "findings": [
                {
                    "kind": each.kind.code,
                    "weight": each.kind.weight.value,
                    "subject": each.subject,
                    "told": each.told,
                    "line": each.line or None,
                }
                for _, found in self.by_kind()
                for each in found
            ],
            "dropped": [
                {"kind": kind.code, "key": key, "count": count, "examples": self.dropped[kind, key]}
                for (kind, key), count in self.dropped_counts.items()
            ],
        }
