"""Encrypting what a client alone may read: ID tokens and userinfo as JWE (RFC 7516, OIDC Core section 16.14)."""

KEY_ALGORITHMS = ("RSA-OAEP-256", "RSA-OAEP", "ECDH-ES", "ECDH-ES+A128KW", "ECDH-ES+A256KW")
CONTENT_ALGORITHMS = ("A128CBC-HS256", "A256CBC-HS512", "A128GCM", "A256GCM")
DEFAULT_CONTENT_ALGORITHM = "A128CBC-HS256"  # where a client names only how the key is encrypted (OIDC Registration)
