"""Encrypting what a client alone may read: ID tokens and userinfo as JWE (RFC 7516, OIDC Core section 16.14)."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from authlib.oauth2.base import OAuth2Error
from joserfc import jwe
from joserfc.errors import JoseError
from joserfc.jwk import Key
from sqlalchemy.orm import Session

from idp.oidc.client_keys import ClientKeys
from idp.oidc.clients import ClientMetadata
from idp.oidc.presented_jwts import JwtRefused

KEY_ALGORITHMS = ("RSA-OAEP-256", "RSA-OAEP", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
CONTENT_ALGORITHMS = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")
DEFAULT_CONTENT_ALGORITHM = "A128CBC-HS256"  # where a client names only how the key is encrypted (OIDC Registration)
_WRAPPING, _AGREEING = ("encrypt", "wrapKey"), ("deriveKey", "deriveBits")  # `key_ops` that admit encryption
_CURVES = ("P-256", "P-384", "P-521", "X25519")  # for key agreement


class CannotEncrypt(OAuth2Error):
    """The client has published no key to encrypt to: better nothing than what others could read."""

    error = "invalid_request"


def find_key(client_keys: ClientKeys, db: Session | None, client: ClientMetadata, algorithm: str) -> Key:
    """Return the client's key to encrypt to: one that is meant for it, or else one that says nothing of its use.

    Args:
        db: keeps no connection while keys are fetched; None for who has none, or has asked `check_encryption` before.
        algorithm: how the content's key is encrypted; one of `KEY_ALGORITHMS`.

    Raises:
        CannotEncrypt: there is none, or the client's keys cannot be fetched.
    """
    try:
        fitting = _fitting(client_keys.public_keys(db, client), algorithm)
        if not fitting and client.jwks_uri is not None:
            fresh = client_keys.public_keys(db, client, fetch_anew=True)
            fitting = _fitting(fresh, algorithm)
    except JwtRefused:
        raise CannotEncrypt("Nothing can be encrypted to this client: its keys are not to be had.") from None
    if not fitting:
        raise CannotEncrypt(f"This client has no key for {algorithm} to encrypt to.")
    return fitting[0]


def check_encryption(client_keys: ClientKeys, db: Session, client: ClientMetadata) -> None:
    """Check that ID tokens can be encrypted for a client that wants it so, before anything is claimed for them.

    Where keys have to be fetched, what was written so far is committed.

    Raises:
        CannotEncrypt: see `find_key`.
    """
    if client.id_token_encrypted_response_alg is not None:
        find_key(client_keys, db, client, client.id_token_encrypted_response_alg)


def encrypt_id_token(client_keys: ClientKeys, client: ClientMetadata, signed: str) -> str:
    """Encrypt an ID token, or what is to look like one, for a client that wants it so; for all others it stays signed.

    Raises:
        CannotEncrypt: see `find_key`; `check_encryption` tells beforehand.
    """
    if client.id_token_encrypted_response_alg is None:
        return signed
    encryption = client.id_token_encrypted_response_alg, client.id_token_encrypted_response_enc
    return encrypt_jwt(client_keys, None, client, signed, *encryption)


def encrypt_jwt(
    client_keys: ClientKeys, db: Session | None, client: ClientMetadata, token: str, algorithm: str, enc: str | None
) -> str:
    """Encrypt a signed JWT: sign first, then encrypt (RFC 7519 section 11.2).

    Args:
        db: see `find_key`.
        enc: how the content is encrypted; by default `DEFAULT_CONTENT_ALGORITHM`.

    Raises:
        CannotEncrypt: see `find_key`.
    """
    return _encrypt(find_key(client_keys, db, client, algorithm), token, algorithm, enc, {"cty": "JWT"})


def encrypt_claims(
    client_keys: ClientKeys,
    db: Session,
    client: ClientMetadata,
    claims: Mapping[str, Any],
    algorithm: str,
    enc: str | None,
) -> str:
    """Encrypt claims that nobody signed.

    Args:
        db: keeps no connection while keys are fetched.

    Raises:
        CannotEncrypt: see `find_key`.
    """
    return _encrypt(find_key(client_keys, db, client, algorithm), json.dumps(claims), algorithm, enc, {})


def _encrypt(key: Key, content: str, algorithm: str, enc: str | None, told: Mapping[str, str]) -> str:
    enc = enc or DEFAULT_CONTENT_ALGORITHM
    header = {"alg": algorithm, "enc": enc, **told} | ({"kid": key.kid} if key.kid else {})
    try:
        if key.get("key_ops") is not None:  # judged already, and joserfc would judge otherwise
            key = type(key).import_key({name: value for name, value in key.as_dict().items() if name != "key_ops"})
        return jwe.encrypt_compact(header, content, key, registry=jwe.JWERegistry(algorithms=[algorithm, enc]))
    except (JoseError, ValueError, TypeError):
        raise CannotEncrypt(f"The client's key for {algorithm} cannot be used.") from None


def _fitting(keys: Sequence[Key], algorithm: str) -> Sequence[Key]:
    fitting = [
        key
        for key in keys
        if (key.key_type == "RSA" if algorithm.startswith("RSA") else key.get("crv") in _CURVES)
        and key.get("use", "enc") == "enc"
        and _may_encrypt(key)
        and key.get("alg", algorithm) == algorithm
    ]
    return sorted(fitting, key=lambda key: key.get("use") != "enc")


def _may_encrypt(key: Key) -> bool:
    """Tell whether a key's `key_ops` admit it, where there are any (RFC 7517 section 4.3).

    Browsers (WebCrypto) write them into every key: none at all into the public half of a key agreement.
    """
    operations: Sequence[str] | None = key.get("key_ops")
    if operations is None or (key.key_type != "RSA" and not operations):
        return True
    return any(each in operations for each in (_WRAPPING if key.key_type == "RSA" else _AGREEING))
