"""A small OpenID Connect provider with hosted account pages."""

__version__ = "0.1.0"
