"""For whoever runs the provider: is it alive, is it ready, what does it do."""

from flask import Flask

from idp.web.operations import health, metrics

ROUTES = (
    ("/healthz", health.show_alive),
    ("/readyz", health.show_ready),
    ("/metrics", metrics.show_metrics),
)


def register_operations(app: Flask) -> None:
    """Add the routes to the application."""
    for path, view in ROUTES:
        app.add_url_rule(path, f"operations.{view.__name__}", view, methods=["GET"])
