"""Random tokens, digests, password hashes and encryption at rest: nobody else asks for randomness.

Secrets that people choose are hashed slowly (bcrypt over SHA-256, because bcrypt reads 72 bytes at most);
secrets that machines make carry enough entropy for one SHA-256 (OWASP Password Storage).
"""

import base64
import binascii
import hashlib
import hmac
import secrets
import unicodedata
from functools import lru_cache

import bcrypt
from cryptography.exceptions import InvalidTag
from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.hmac import HMAC
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from idp import hashing, metrics
from idp.errors import NotReadyError
from idp.hashing import OWN, Place

_PREHASHED = "sha256"  # marks a bcrypt hash that was taken over a SHA-256 digest
_MAC_BYTES = 16
_NONCE = bytes(12)  # of a key that encrypts one message


def new_token() -> str:
    """Return a URL-safe secret with 256 bits of entropy (43 characters)."""
    return secrets.token_urlsafe(32)


def new_id() -> str:
    """Return an identifier that nobody can guess: 128 bits, 32 hexadecimal digits."""
    return secrets.token_hex(16)


def new_row_id(now: int) -> str:
    """Return an identifier for a row that comes and goes: the time and 96 random bits, in 32 digits like all others.

    Rows of one time then lie together in an index (as with version 7 of RFC 9562), also where they are written and
    swept among millions. It tells when the row was made: people, apps and sessions, of which others hear, are not
    named so.

    Args:
        now: seconds since the epoch.
    """
    return f"{now & 0xFFFFFFFF:08x}{secrets.token_hex(12)}"


def random_bytes(count: int) -> bytes:
    """Return so many bytes that nobody can foresee."""
    return secrets.token_bytes(count)


def random_letters(alphabet: str, count: int) -> str:
    """Return so many letters of an alphabet, each as likely as any other."""
    return "".join(secrets.choice(alphabet) for _ in range(count))


def digest(secret: str) -> str:
    """Return the SHA-256 digest, in hexadecimal, under which a machine-made secret is stored."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()


def is_digest_of(secret: str, stored: str) -> bool:
    """Tell in constant time whether `stored` is the digest of `secret`."""
    return hmac.compare_digest(digest(secret), stored)


def are_equal(one: str, other: str) -> bool:
    """Compare two secrets in constant time, whatever characters they hold."""
    return hmac.compare_digest(one.encode("utf-8", "surrogatepass"), other.encode("utf-8", "surrogatepass"))


def base64url(raw: bytes) -> str:
    """Return bytes as base64url without padding (RFC 7515 section 2)."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")


def from_base64url(text: str) -> bytes | None:
    """Return what base64url without padding stands for; None where a text is none."""
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):  # the latter for what is not ASCII
        return None


# -- Passwords ----------------------------------------------------------------


def hash_password(password: str, cost: int, place: Place = OWN) -> str:
    """Hash a password for storage.

    Args:
        password: as typed.
        cost: bcrypt's cost, the base-two logarithm of its rounds.
        place: where it waits when there is much to hash.

    Raises:
        Busy: too much waits there.
    """
    with metrics.in_progress(metrics.PASSWORD_HASHES):
        made = hashing.run(place, bcrypt.hashpw, _prehash(password), bcrypt.gensalt(cost))
    return f"{_PREHASHED}{made.decode('ascii')}"


def verify_password(password: str, stored: str, place: Place = OWN) -> bool:
    """Tell whether `password` belongs to the hash `stored`, ours or a plain bcrypt hash brought from elsewhere.

    Args:
        place: where it waits when there is much to hash.

    Raises:
        Busy: too much waits there.
    """
    with metrics.in_progress(metrics.PASSWORD_HASHES):
        if stored.startswith(_PREHASHED):
            bcrypts = stored.removeprefix(_PREHASHED).encode("ascii")
            return hashing.run(place, bcrypt.checkpw, _prehash(password), bcrypts)
        plain = password.encode("utf-8", "surrogatepass")[:72]
        return hashing.run(place, bcrypt.checkpw, plain, stored.encode("ascii"))


def is_password_hash_outdated(stored: str, cost: int) -> bool:
    """Tell whether a hash was made in another way or at another cost than today's."""
    if not stored.startswith(_PREHASHED):
        return True
    return int(stored.removeprefix(_PREHASHED).split("$")[2]) != cost


@lru_cache
def dummy_password_hash(cost: int) -> str:
    """Return a hash that no password opens: verifying against it costs what verifying a real one costs.

    It is a salt with random letters behind: making it takes no hashing, so the first use costs no more than the others.
    """
    return f"{_PREHASHED}{bcrypt.gensalt(cost).decode('ascii')}{secrets.token_hex(16)[:31]}"


def normal_form(password: str) -> str:
    """Return a password as it is hashed: the same on every keyboard, whether that writes wide letters or plain ones.

    That is NFKC, one of the two of NIST SP 800-63B revision 3, section 5.1.1.2; revision 4 makes fewer spellings one
    (NFC).
    """
    return unicodedata.normalize("NFKC", password)


def _prehash(password: str) -> bytes:
    normal = normal_form(password).encode("utf-8", "surrogatepass")
    return base64.b64encode(hashlib.sha256(normal).digest())


# -- What hangs on the instance's secret key ----------------------------------


@lru_cache
def _derived_key(secret_key: str, purpose: str) -> bytes:
    """One key a purpose (RFC 5869), so that a value made for one use is worthless in another."""
    if not secret_key:
        raise NotReadyError("There is no secret key: run `idp init` if this instance is new; otherwise bring it back.")
    return HKDF(SHA256(), length=32, salt=None, info=b"streamlit-idp " + purpose.encode()).derive(secret_key.encode())


def seal(secret_key: str, purpose: str, plain: str) -> str:
    """Encrypt and authenticate `plain` for storage (Fernet: AES-128-CBC with HMAC-SHA-256)."""
    key = base64.urlsafe_b64encode(_derived_key(secret_key, purpose))
    return Fernet(key).encrypt(plain.encode()).decode("ascii")


def unseal(secret_key: str, purpose: str, sealed: str) -> str:
    """Decrypt what `seal` made.

    Raises:
        NotReadyError: the secret key is not the one that it was sealed with.
    """
    key = base64.urlsafe_b64encode(_derived_key(secret_key, purpose))
    try:
        return Fernet(key).decrypt(sealed).decode()
    except (InvalidToken, ValueError):  # the latter for what is not ASCII
        raise NotReadyError(
            "The secret key does not fit this database: restore the instance's own `secret_key` file (or "
            "IDP_SECRET_KEY) that belongs to it. Where it is lost for good: `idp keys rotate --now --new-secret-key`."
        ) from None


@lru_cache
def _keyed_hmac(secret_key: str, purpose: str) -> HMAC:
    """An HMAC-SHA-256 under the purpose's own key, to be copied: OpenSSL takes far longer to make one anew."""
    return HMAC(_derived_key(secret_key, purpose), SHA256())


def _hmac(secret_key: str, purpose: str, message: bytes) -> bytes:
    copied = _keyed_hmac(secret_key, purpose).copy()
    copied.update(message)
    return copied.finalize()


def mac(secret_key: str, purpose: str, message: bytes) -> bytes:
    """Return a 128-bit HMAC-SHA-256 of `message` under the purpose's own key (RFC 2104 section 5 on truncation)."""
    return _hmac(secret_key, purpose, message)[:_MAC_BYTES]


def is_mac_of(secret_key: str, purpose: str, message: bytes, tag: bytes) -> bool:
    """Tell in constant time whether `tag` is the MAC of `message`."""
    return hmac.compare_digest(mac(secret_key, purpose, message), tag)


def encrypt_once(secret_key: str, purpose: str, name: bytes, plain: bytes, *, bound_to: bytes) -> bytes:
    """Encrypt and authenticate one message, under a key of its own (AES-256-GCM; the key is an HMAC of the name).

    Random nonces under one key would be safe for 2^32 messages only (NIST SP 800-38D section 8.3), which a large
    instance reaches in some weeks.

    Args:
        name: of the message, never used again for this purpose: 12 bytes of it at least are random.
        bound_to: what has to be known to read it, and is not in it.
    """
    return AESGCM(_hmac(secret_key, purpose, name)).encrypt(_NONCE, plain, bound_to)


def decrypt_once(secret_key: str, purpose: str, name: bytes, sealed: bytes, *, bound_to: bytes) -> bytes | None:
    """Read what `encrypt_once` made; None where it was altered, or made for something else."""
    try:
        return AESGCM(_hmac(secret_key, purpose, name)).decrypt(_NONCE, sealed, bound_to)
    except InvalidTag:
        return None
