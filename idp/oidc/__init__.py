"""The protocol: OAuth 2.0 and OpenID Connect. Authlib lives here, pages and Flask do not."""
